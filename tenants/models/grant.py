"""What the platform lets each tenant take: read by the tenant, written by the platform's staff.

A grant lies inside its pool or range; one without either was adopted from an earlier version. The
copies of the pool's values are held equal by composite foreign keys (``ON UPDATE CASCADE``), so
that plain checks can compare them.
"""

from django.db import models
from django.db.models import F, Q

from tenants.models.fields import AddressField, CidrField
from tenants.models.pool import AddressPool, Purpose, VlanRange, VniRange
from tenants.models.scoped import TenantScoped
from tenants.models.tenant import Cluster
from tenants.models.vrf import Vrf


class PrefixGrant(TenantScoped):
    """Addresses, or room for subnets, in one VRF."""

    pool = models.ForeignKey(
        AddressPool,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    pool_prefix = CidrField(null=True, blank=True, editable=False)
    vrf = models.ForeignKey(Vrf, on_delete=models.PROTECT, related_name="+", verbose_name="VRF")
    vrf_owner = models.BigIntegerField(
        default=0, editable=False, help_text="The VRF's owner_key: 0, or the tenant."
    )
    prefix = CidrField()
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    hint = AddressField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """By prefix; an adopted grant of addresses is one address."""

        ordering = ["prefix"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="prefix_grant_tenant_id"),
            models.UniqueConstraint(
                fields=["tenant", "vrf", "prefix", "purpose"], name="prefix_grant_once"
            ),
            models.UniqueConstraint(
                fields=["tenant", "id", "vrf", "prefix", "purpose"], name="prefix_grant_taken"
            ),
            models.CheckConstraint(
                name="prefix_grant_purpose", condition=Q(purpose__in=["addresses", "subnets"])
            ),
            models.CheckConstraint(
                name="prefix_grant_vrf", condition=Q(vrf_owner=0) | Q(vrf_owner=F("tenant"))
            ),
        ]

    def __str__(self) -> str:
        return self.prefix


class VlanGrant(TenantScoped):
    """VLAN tags on one trunk of a cluster."""

    vlan_range = models.ForeignKey(
        VlanRange,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    range_first = models.PositiveIntegerField(null=True, blank=True, editable=False)
    range_last = models.PositiveIntegerField(null=True, blank=True, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    trunk = models.CharField(max_length=32, default="1.1")
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    hint = models.PositiveIntegerField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """By place and first tag."""

        ordering = ["cluster_id", "trunk", "first"]
        verbose_name = "VLAN grant"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="vlan_grant_tenant_id"),
            models.UniqueConstraint(
                fields=["tenant", "cluster", "trunk", "first", "last"], name="vlan_grant_once"
            ),
            models.UniqueConstraint(
                fields=["tenant", "id", "cluster", "trunk", "first", "last"],
                name="vlan_grant_taken",
            ),
            models.CheckConstraint(
                name="vlan_grant_in_order",
                condition=Q(first__gte=1, first__lte=F("last"), last__lte=4094),
            ),
            models.CheckConstraint(
                name="vlan_grant_in_range",
                condition=Q(vlan_range=None)
                | Q(
                    range_first__isnull=False,
                    range_last__isnull=False,
                    first__gte=F("range_first"),
                    last__lte=F("range_last"),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"VLAN {span(self.first, self.last)} on trunk {self.trunk}"


class VniGrant(TenantScoped):
    """VXLAN network identifiers on a cluster."""

    vni_range = models.ForeignKey(
        VniRange,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    range_first = models.PositiveIntegerField(null=True, blank=True, editable=False)
    range_last = models.PositiveIntegerField(null=True, blank=True, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    hint = models.PositiveIntegerField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """By cluster and first identifier."""

        ordering = ["cluster_id", "first"]
        verbose_name = "VNI grant"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="vni_grant_tenant_id"),
            models.UniqueConstraint(
                fields=["tenant", "cluster", "first", "last"], name="vni_grant_once"
            ),
            models.UniqueConstraint(
                fields=["tenant", "id", "cluster", "first", "last"], name="vni_grant_taken"
            ),
            models.CheckConstraint(
                name="vni_grant_in_order",
                condition=Q(first__gte=1, first__lte=F("last"), last__lte=16777215),
            ),
            models.CheckConstraint(
                name="vni_grant_in_range",
                condition=Q(vni_range=None)
                | Q(
                    range_first__isnull=False,
                    range_last__isnull=False,
                    first__gte=F("range_first"),
                    last__lte=F("range_last"),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"VNI {span(self.first, self.last)}"


class NamespaceGrant(TenantScoped):
    """Kubernetes namespaces of a cluster, by name (``acme``) or by how it begins (``acme-*``)."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    pattern = models.CharField(max_length=63)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """By pattern; one that fits every name is refused."""

        ordering = ["cluster_id", "pattern"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="namespace_grant_tenant_id"),
            models.UniqueConstraint(
                fields=["tenant", "cluster", "pattern"], name="namespace_grant_once"
            ),
            models.UniqueConstraint(
                fields=["tenant", "id", "cluster", "pattern"], name="namespace_grant_taken"
            ),
            models.CheckConstraint(
                name="namespace_grant_pattern",
                condition=Q(pattern__regex=r"^[a-z0-9][-a-z0-9]*[*]?$"),
            ),
        ]

    def __str__(self) -> str:
        return self.pattern


def span(first: int, last: int) -> str:
    """``101``, or ``101-199``."""
    return str(first) if first == last else f"{first}-{last}"
