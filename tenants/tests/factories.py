"""Rows for tests, without surprises: each opens the platform's scope only to be written."""

from ipaddress import ip_network
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from tenants.domain.claims import DEFAULT_VRF, AddressRole
from tenants.domain.quota import Resource, window_start
from tenants.domain.roles import Role
from tenants.models import (
    AddressClaim,
    AddressPool,
    ApiToken,
    AuditEntry,
    Cluster,
    Membership,
    NamespaceClaim,
    NamespaceGrant,
    Operation,
    OperationKind,
    PrefixGrant,
    Purpose,
    Quota,
    QuotaUse,
    SubnetClaim,
    Tenant,
    TenantTemplate,
    User,
    VlanClaim,
    VlanGrant,
    VlanRange,
    VniClaim,
    VniGrant,
    VniRange,
    Vrf,
    platform_scope,
)
from tenants.models.token import hash_key


class ScopedFactory(DjangoModelFactory):
    """Base of every factory of tenant-owned rows."""

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class: type[Any], *args: Any, **kwargs: Any) -> Any:
        with platform_scope("test"):
            return super()._create(model_class, *args, **kwargs)


class ClusterFactory(DjangoModelFactory):
    class Meta:
        model = Cluster
        django_get_or_create = ("name",)

    name = "local"
    # The local proxy serves one cluster, and tests of several want none of it.
    flavour = factory.LazyAttribute(lambda row: "local" if row.name == "local" else "memory")


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"user-{n}")


class TenantFactory(ScopedFactory):
    class Meta:
        model = Tenant

    slug = factory.Sequence(lambda n: f"tenant-{n}")
    name = factory.LazyAttribute(lambda row: row.slug.title())


class MembershipFactory(ScopedFactory):
    class Meta:
        model = Membership

    tenant = factory.SubFactory(TenantFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.NETOPS.value


class OperationFactory(ScopedFactory):
    class Meta:
        model = Operation

    tenant = factory.SubFactory(TenantFactory)
    kind = OperationKind.TRAIN
    title = factory.Sequence(lambda n: f"Train corpus {n}")
    target_id = factory.Sequence(lambda n: n)


class AuditEntryFactory(ScopedFactory):
    class Meta:
        model = AuditEntry

    tenant = factory.SubFactory(TenantFactory)
    at = factory.LazyFunction(timezone.now)
    actor = "alice"
    event = "segment.created"


class ApiTokenFactory(ScopedFactory):
    """``key`` is not stored; give it to know the secret."""

    class Meta:
        model = ApiToken

    class Params:
        key = "slc_known-to-the-test"

    tenant = factory.SubFactory(TenantFactory)
    user = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda n: f"token-{n}")
    role = Role.NETOPS.value
    key_hash = factory.LazyAttribute(lambda row: hash_key(row.key))
    key_hint = factory.LazyAttribute(lambda row: row.key[:12])


class QuotaFactory(ScopedFactory):
    class Meta:
        model = Quota

    tenant = factory.SubFactory(TenantFactory)
    resource = Resource.REQUESTS_PER_DAY.value
    limit = 1000


class QuotaUseFactory(ScopedFactory):
    class Meta:
        model = QuotaUse

    tenant = factory.SubFactory(TenantFactory)
    resource = Resource.REQUESTS_PER_DAY.value
    window_start = factory.LazyFunction(
        lambda: window_start(Resource.REQUESTS_PER_DAY, timezone.now())
    )
    used = 1


class VrfFactory(DjangoModelFactory):
    """The default one; give a name for another."""

    class Meta:
        model = Vrf
        django_get_or_create = ("name",)

    name = DEFAULT_VRF


class AddressPoolFactory(DjangoModelFactory):
    class Meta:
        model = AddressPool

    name = factory.Sequence(lambda n: f"pool-{n}")
    vrf = factory.SubFactory(VrfFactory)
    prefix = factory.Sequence(lambda n: f"100.{64 + n // 256 % 64}.{n % 256}.0/24")
    purpose = Purpose.ADDRESSES.value


class VlanRangeFactory(DjangoModelFactory):
    class Meta:
        model = VlanRange

    name = factory.Sequence(lambda n: f"vlans-{n}")
    cluster = factory.SubFactory(ClusterFactory)
    trunk = "1.1"
    first = 100
    last = 199


class VniRangeFactory(DjangoModelFactory):
    class Meta:
        model = VniRange

    name = factory.Sequence(lambda n: f"vnis-{n}")
    cluster = factory.SubFactory(ClusterFactory)
    first = 5000
    last = 5999


class PrefixGrantFactory(ScopedFactory):
    """Of a whole pool of addresses; ``pool=None`` with a prefix for an adopted one."""

    class Meta:
        model = PrefixGrant

    tenant = factory.SubFactory(TenantFactory)
    pool = factory.SubFactory(AddressPoolFactory)
    pool_prefix = factory.LazyAttribute(lambda row: row.pool.prefix if row.pool else None)
    vrf = factory.LazyAttribute(lambda row: row.pool.vrf if row.pool else VrfFactory())
    vrf_owner = factory.LazyAttribute(lambda row: row.vrf.owner_id or 0)
    prefix = factory.LazyAttribute(lambda row: row.pool.prefix)
    purpose = factory.LazyAttribute(
        lambda row: row.pool.purpose if row.pool else Purpose.ADDRESSES.value
    )


class VlanGrantFactory(ScopedFactory):
    """Of all tags of a trunk, adopted; ``vlan_range`` for a part of the platform's."""

    class Meta:
        model = VlanGrant

    tenant = factory.SubFactory(TenantFactory)
    vlan_range = None
    range_first = factory.LazyAttribute(lambda row: row.vlan_range and row.vlan_range.first)
    range_last = factory.LazyAttribute(lambda row: row.vlan_range and row.vlan_range.last)
    cluster = factory.LazyAttribute(
        lambda row: row.vlan_range.cluster if row.vlan_range else ClusterFactory()
    )
    trunk = factory.LazyAttribute(lambda row: row.vlan_range.trunk if row.vlan_range else "1.1")
    first = factory.LazyAttribute(lambda row: row.vlan_range.first if row.vlan_range else 1)
    last = factory.LazyAttribute(lambda row: row.vlan_range.last if row.vlan_range else 4094)


class VniGrantFactory(ScopedFactory):
    """Of all identifiers of a cluster, adopted; ``vni_range`` for a part of the platform's."""

    class Meta:
        model = VniGrant

    tenant = factory.SubFactory(TenantFactory)
    vni_range = None
    range_first = factory.LazyAttribute(lambda row: row.vni_range and row.vni_range.first)
    range_last = factory.LazyAttribute(lambda row: row.vni_range and row.vni_range.last)
    cluster = factory.LazyAttribute(
        lambda row: row.vni_range.cluster if row.vni_range else ClusterFactory()
    )
    first = factory.LazyAttribute(lambda row: row.vni_range.first if row.vni_range else 1)
    last = factory.LazyAttribute(lambda row: row.vni_range.last if row.vni_range else 16777215)


class NamespaceGrantFactory(ScopedFactory):
    class Meta:
        model = NamespaceGrant

    tenant = factory.SubFactory(TenantFactory)
    cluster = factory.SubFactory(ClusterFactory)
    pattern = factory.LazyAttribute(lambda row: f"{row.tenant.slug}*")


class NamespaceClaimFactory(ScopedFactory):
    class Meta:
        model = NamespaceClaim

    grant = factory.SubFactory(NamespaceGrantFactory)
    tenant = factory.SelfAttribute("grant.tenant")
    cluster = factory.SelfAttribute("grant.cluster")
    grant_pattern = factory.SelfAttribute("grant.pattern")
    name = factory.LazyAttribute(lambda row: row.grant.pattern.rstrip("*"))


class VlanClaimFactory(ScopedFactory):
    class Meta:
        model = VlanClaim

    grant = factory.SubFactory(VlanGrantFactory)
    tenant = factory.SelfAttribute("grant.tenant")
    cluster = factory.SelfAttribute("grant.cluster")
    trunk = factory.SelfAttribute("grant.trunk")
    grant_first = factory.SelfAttribute("grant.first")
    grant_last = factory.SelfAttribute("grant.last")
    tag = factory.Sequence(lambda n: 1000 + n)


class VniClaimFactory(ScopedFactory):
    class Meta:
        model = VniClaim

    grant = factory.SubFactory(VniGrantFactory)
    tenant = factory.SelfAttribute("grant.tenant")
    cluster = factory.SelfAttribute("grant.cluster")
    grant_first = factory.SelfAttribute("grant.first")
    grant_last = factory.SelfAttribute("grant.last")
    vni = factory.Sequence(lambda n: 10000 + n)


class SubnetClaimFactory(ScopedFactory):
    """Of a whole granted pool of subnets, unless a prefix is given."""

    class Meta:
        model = SubnetClaim

    grant = factory.SubFactory(
        PrefixGrantFactory,
        pool=factory.SubFactory(AddressPoolFactory, purpose=Purpose.SUBNETS.value),
    )
    tenant = factory.SelfAttribute("grant.tenant")
    cluster = factory.SubFactory(ClusterFactory)
    vrf = factory.SelfAttribute("grant.vrf")
    grant_prefix = factory.SelfAttribute("grant.prefix")
    prefix = factory.SelfAttribute("grant.prefix")


class AddressClaimFactory(ScopedFactory):
    """A virtual address of a grant: its first host, unless an address is given."""

    class Meta:
        model = AddressClaim

    grant = factory.SubFactory(PrefixGrantFactory)
    tenant = factory.SelfAttribute("grant.tenant")
    cluster = factory.SubFactory(ClusterFactory)
    vrf = factory.SelfAttribute("grant.vrf")
    grant_prefix = factory.SelfAttribute("grant.prefix")
    address = factory.LazyAttribute(lambda row: str(next(ip_network(row.grant.prefix).hosts())))
    role = AddressRole.VIRTUAL.value


class ReservedFactory(ScopedFactory):
    """What the platform keeps for itself."""

    class Meta:
        model = AddressClaim

    cluster = factory.SubFactory(ClusterFactory)
    vrf = factory.SubFactory(VrfFactory)
    role = AddressRole.RESERVED.value


class TenantTemplateFactory(DjangoModelFactory):
    class Meta:
        model = TenantTemplate

    name = factory.Sequence(lambda n: f"template-{n}")
