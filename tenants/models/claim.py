"""Who has which address, prefix, tag, identifier and namespace: one owner each.

The rows of what ``tenants/domain/claims.py`` describes, written by ``tenants/services/claims.py``
alone. A row with a plan is held for it and goes with it. Each row copies what it needs of its
grant, held equal by a composite foreign key (``ON UPDATE CASCADE``), so that the database itself
refuses what was not granted, and a grant that is still used can neither shrink nor go.
"""

from typing import ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Q

from tenants.domain.claims import AddressRole
from tenants.models.fields import AddressField, CidrField, one_value
from tenants.models.grant import NamespaceGrant, PrefixGrant, VlanGrant, VniGrant
from tenants.models.pool import Purpose
from tenants.models.scoped import ScopedManager, TenantScoped
from tenants.models.tenant import DNS_LABEL, Cluster
from tenants.models.vrf import Vrf


class ClaimRow(models.Model):
    """What every claim has."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    user = models.CharField(max_length=200, blank=True, help_text="Which object uses it.")
    plan = models.ForeignKey(
        "proxyconfig.Plan",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        help_text="The waiting plan that it is held for; in force when empty.",
    )

    class Meta:
        """Abstract: each kind has a table of its own."""

        abstract = True


class NamespaceClaim(ClaimRow, TenantScoped):
    """A Kubernetes namespace of a cluster."""

    name = models.CharField(max_length=63, validators=[DNS_LABEL])
    grant = models.ForeignKey(
        NamespaceGrant, on_delete=models.RESTRICT, related_name="+", db_constraint=False
    )
    grant_pattern = models.CharField(max_length=63)

    class Meta:
        """One owner for each namespace of a cluster."""

        ordering = ["cluster_id", "name"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "name"], name="namespace_claim_one_owner"),
            models.UniqueConstraint(
                fields=["tenant", "cluster", "name"], name="namespace_claim_named"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class VlanClaim(ClaimRow, TenantScoped):
    """A VLAN tag on a trunk of a cluster's proxy."""

    trunk = models.CharField(max_length=32)
    tag = models.PositiveIntegerField()
    grant = models.ForeignKey(
        VlanGrant, on_delete=models.RESTRICT, related_name="+", db_constraint=False
    )
    grant_first = models.PositiveIntegerField()
    grant_last = models.PositiveIntegerField()

    class Meta:
        """One owner for each tag of a trunk."""

        ordering = ["cluster_id", "trunk", "tag"]
        verbose_name = "VLAN claim"
        constraints = [
            models.UniqueConstraint(
                fields=["cluster", "trunk", "tag"], name="vlan_claim_one_owner"
            ),
            models.CheckConstraint(
                name="vlan_claim_granted",
                condition=Q(tag__gte=F("grant_first"), tag__lte=F("grant_last")),
            ),
        ]

    def __str__(self) -> str:
        return f"VLAN {self.tag} on trunk {self.trunk}"


class VniClaim(ClaimRow, TenantScoped):
    """A VXLAN network identifier of a cluster."""

    vni = models.PositiveIntegerField("VNI")
    grant = models.ForeignKey(
        VniGrant, on_delete=models.RESTRICT, related_name="+", db_constraint=False
    )
    grant_first = models.PositiveIntegerField()
    grant_last = models.PositiveIntegerField()

    class Meta:
        """One owner for each identifier of a cluster."""

        ordering = ["cluster_id", "vni"]
        verbose_name = "VNI claim"
        constraints = [
            models.UniqueConstraint(fields=["cluster", "vni"], name="vni_claim_one_owner"),
            models.CheckConstraint(
                name="vni_claim_granted",
                condition=Q(vni__gte=F("grant_first"), vni__lte=F("grant_last")),
            ),
        ]

    def __str__(self) -> str:
        return f"VNI {self.vni}"


class SubnetClaim(ClaimRow):
    """An IP prefix of a segment; without a tenant, one that the platform keeps for itself."""

    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    vrf = models.ForeignKey(Vrf, on_delete=models.PROTECT, related_name="+", verbose_name="VRF")
    prefix = CidrField()
    grant = models.ForeignKey(
        PrefixGrant,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    grant_prefix = CidrField(null=True, blank=True)
    grant_purpose = models.CharField(max_length=16, default=Purpose.SUBNETS.value, editable=False)

    objects: ClassVar[models.Manager["SubnetClaim"]] = ScopedManager()

    class Meta:
        """Prefixes of one VRF of a cluster never overlap."""

        ordering = ["cluster_id", "vrf_id", "prefix"]
        constraints = [
            ExclusionConstraint(
                name="subnet_claim_one_owner",
                index_type="gist",
                expressions=[
                    # First: GiST would split pages of one cluster and VRF without regard to it.
                    (OpClass("prefix", name="inet_ops"), "&&"),
                    (one_value(F("cluster")), "&&"),
                    (one_value(F("vrf")), "&&"),
                ],
            ),
            models.UniqueConstraint(
                fields=["tenant", "id", "cluster", "vrf", "prefix"], name="subnet_claim_taken"
            ),
            models.CheckConstraint(
                name="subnet_claim_purpose", condition=Q(grant_purpose="subnets")
            ),
        ]
        indexes = [models.Index(fields=["cluster", "vrf", "prefix"], name="subnet_claim_in_order")]

    def __str__(self) -> str:
        return self.prefix


class AddressClaim(ClaimRow):
    """An address in one VRF of a cluster, or a prefix that the platform reserves.

    It comes from a grant, or lies in a subnet of the same tenant; a reserved one has no tenant.
    """

    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    vrf = models.ForeignKey(Vrf, on_delete=models.PROTECT, related_name="+", verbose_name="VRF")
    address = AddressField()
    role = models.CharField(
        max_length=16, choices=[(role.value, role.value) for role in AddressRole]
    )
    grant = models.ForeignKey(
        PrefixGrant,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    grant_prefix = CidrField(null=True, blank=True)
    grant_purpose = models.CharField(max_length=16, default=Purpose.ADDRESSES.value, editable=False)
    subnet = models.ForeignKey(
        SubnetClaim,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    subnet_prefix = CidrField(null=True, blank=True)

    objects: ClassVar[models.Manager["AddressClaim"]] = ScopedManager()

    class Meta:
        """One owner for each address of a VRF of a cluster, whatever it is for."""

        ordering = ["cluster_id", "vrf_id", "address"]
        constraints = [
            ExclusionConstraint(
                name="address_claim_one_owner",
                index_type="gist",
                expressions=[
                    # First: GiST would split pages of one cluster and VRF without regard to it.
                    (OpClass("address", name="inet_ops"), "&&"),
                    (one_value(F("cluster")), "&&"),
                    (one_value(F("vrf")), "&&"),
                ],
            ),
            models.CheckConstraint(
                name="address_claim_purpose", condition=Q(grant_purpose="addresses")
            ),
        ]
        indexes = [
            models.Index(fields=["cluster", "vrf", "address"], name="address_claim_in_order"),
            models.Index(
                fields=["cluster", "vrf"],
                name="address_claim_reserved",
                condition=Q(role="reserved"),
            ),
        ]

    def __str__(self) -> str:
        return self.address
