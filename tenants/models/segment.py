"""Network segments of the data centre, and the addresses that tenants hold on them."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField
from django.contrib.postgres.indexes import OpClass
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Func, Q, Value

from tenants.models.fields import CidrField
from tenants.models.scoped import TenantScoped
from tenants.models.tenant import DNS_LABEL, Cluster


class SegmentKind(models.TextChoices):
    """How a segment is carried."""

    VLAN = "vlan", "VLAN"
    VXLAN = "vxlan", "VXLAN overlay"
    SUBNET = "subnet", "IP subnet"


class Segment(TenantScoped):
    """A tenant's piece of the data-centre network: a VLAN, an overlay or a plain subnet."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=63, validators=[DNS_LABEL])
    kind = models.CharField(max_length=8, choices=SegmentKind.choices, default=SegmentKind.VLAN)
    trunk = models.CharField(max_length=32, default="1.1", help_text="The proxy's interface.")
    vlan_tag = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(4094)]
    )
    vni = models.PositiveIntegerField(
        "VNI", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(16777215)]
    )

    class Meta:
        """One owner for each VLAN tag on a trunk, and for each VNI of a cluster."""

        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="segment_name"),
            models.UniqueConstraint(fields=["tenant", "id"], name="segment_tenant_id"),
            models.UniqueConstraint(
                fields=["cluster", "trunk", "vlan_tag"], name="segment_vlan_one_owner"
            ),
            models.UniqueConstraint(fields=["cluster", "vni"], name="segment_vni_one_owner"),
            models.CheckConstraint(
                name="segment_identifier_fits_kind",
                condition=Q(kind="vlan", vlan_tag__range=(1, 4094), vni__isnull=True)
                | Q(kind="vxlan", vni__range=(1, 16777215), vlan_tag__isnull=True)
                | Q(kind="subnet", vlan_tag__isnull=True, vni__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def identifier(self) -> str:
        """The tag or VNI in the words people use; "" for a plain subnet."""
        if self.vlan_tag is not None:
            return f"VLAN {self.vlan_tag}"
        return f"VNI {self.vni}" if self.vni is not None else ""


def _one_value_range(expression: F | Func) -> Func:
    """A range that holds one integer: equality for GiST without btree_gist."""
    return Func(
        expression,
        expression,
        Value("[]"),
        function="int8range",
        output_field=BigIntegerRangeField(),
    )


class Subnet(TenantScoped):
    """An IP prefix on a segment; prefixes of one routing domain never overlap."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="subnets")
    vrf = models.CharField("VRF", max_length=63, default="default", validators=[DNS_LABEL])
    prefix = CidrField()
    gateway = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        """Exclusion by cluster and VRF; sub- and supernets count as overlap."""

        ordering = ["prefix"]
        constraints = [
            ExclusionConstraint(
                name="subnet_no_overlap",
                index_type="gist",
                expressions=[
                    (_one_value_range(F("cluster")), "&&"),
                    (
                        _one_value_range(
                            Func(
                                F("vrf"),
                                Value(0),
                                function="hashtextextended",
                                output_field=models.BigIntegerField(),
                            )
                        ),
                        "&&",
                    ),
                    (OpClass("prefix", name="inet_ops"), "&&"),
                ],
            ),
        ]

    def __str__(self) -> str:
        return self.prefix


class VirtualAddress(TenantScoped):
    """An address that the proxy answers on for one tenant."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    address = models.GenericIPAddressField()

    class Meta:
        """One owner for each address of a cluster."""

        ordering = ["address"]
        verbose_name_plural = "virtual addresses"
        constraints = [
            models.UniqueConstraint(
                fields=["cluster", "address"], name="virtual_address_one_owner"
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="virtual_address_tenant_id"),
        ]

    def __str__(self) -> str:
        return self.address


class SnatAddress(TenantScoped):
    """An address that the tenant's outbound connections leave from."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    address = models.GenericIPAddressField()

    class Meta:
        """One owner for each address of a cluster."""

        ordering = ["address"]
        verbose_name = "SNAT address"
        verbose_name_plural = "SNAT addresses"
        constraints = [
            models.UniqueConstraint(fields=["cluster", "address"], name="snat_address_one_owner"),
        ]

    def __str__(self) -> str:
        return self.address
