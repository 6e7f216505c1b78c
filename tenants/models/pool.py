"""The platform's address space: what can be granted to tenants.

A hint says where the next search for something free begins. It is written under the lock of its
row, and is never trusted: what is free is read from the claims.
"""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Q

from tenants.models.fields import AddressField, CidrField, closed_range, one_value, text_key
from tenants.models.tenant import DNS_LABEL, Cluster
from tenants.models.vrf import Vrf


class Purpose(models.TextChoices):
    """What is taken from a pool: an address can then never lie in a neighbour's subnet."""

    ADDRESSES = "addresses", "Single addresses"
    SUBNETS = "subnets", "Subnets"


class AddressPool(models.Model):
    """A prefix of one VRF; pools of a VRF never overlap."""

    name = models.CharField(max_length=63, unique=True, validators=[DNS_LABEL])
    vrf = models.ForeignKey(Vrf, on_delete=models.PROTECT, related_name="+", verbose_name="VRF")
    prefix = CidrField()
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    description = models.CharField(max_length=200, blank=True)
    hint = AddressField(null=True, blank=True, editable=False)

    class Meta:
        """By prefix."""

        ordering = ["vrf__name", "prefix"]
        constraints = [
            ExclusionConstraint(
                name="pool_no_overlap",
                index_type="gist",
                expressions=[
                    (OpClass("prefix", name="inet_ops"), "&&"),
                    (one_value(F("vrf")), "&&"),
                ],
            ),
            models.UniqueConstraint(
                fields=["id", "vrf", "prefix", "purpose"], name="pool_id_prefix"
            ),
            models.CheckConstraint(
                name="pool_purpose", condition=Q(purpose__in=["addresses", "subnets"])
            ),
        ]

    def __str__(self) -> str:
        return self.name


class VlanRange(models.Model):
    """VLAN tags of one trunk of a cluster's proxy; ranges of a trunk never overlap."""

    name = models.CharField(max_length=63, unique=True, validators=[DNS_LABEL])
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    trunk = models.CharField(max_length=32, default="1.1", help_text="The proxy's interface.")
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    hint = models.PositiveIntegerField(null=True, blank=True, editable=False)

    class Meta:
        """By place and first tag."""

        ordering = ["cluster__name", "trunk", "first"]
        verbose_name = "VLAN range"
        constraints = [
            ExclusionConstraint(
                name="vlan_range_no_overlap",
                index_type="gist",
                expressions=[
                    (closed_range("first", "last"), "&&"),
                    (one_value(F("cluster")), "&&"),
                    (text_key("trunk"), "&&"),
                ],
            ),
            models.UniqueConstraint(
                fields=["id", "cluster", "trunk", "first", "last"], name="vlan_range_id_tags"
            ),
            models.CheckConstraint(
                name="vlan_range_in_order",
                condition=Q(first__gte=1, first__lte=F("last"), last__lte=4094),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class VniRange(models.Model):
    """VXLAN network identifiers of a cluster; ranges of a cluster never overlap."""

    name = models.CharField(max_length=63, unique=True, validators=[DNS_LABEL])
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    hint = models.PositiveIntegerField(null=True, blank=True, editable=False)

    class Meta:
        """By cluster and first identifier."""

        ordering = ["cluster__name", "first"]
        verbose_name = "VNI range"
        constraints = [
            ExclusionConstraint(
                name="vni_range_no_overlap",
                index_type="gist",
                expressions=[
                    (closed_range("first", "last"), "&&"),
                    (one_value(F("cluster")), "&&"),
                ],
            ),
            models.UniqueConstraint(
                fields=["id", "cluster", "first", "last"], name="vni_range_id_vnis"
            ),
            models.CheckConstraint(
                name="vni_range_in_order",
                condition=Q(first__gte=1, first__lte=F("last"), last__lte=16777215),
            ),
        ]

    def __str__(self) -> str:
        return self.name
