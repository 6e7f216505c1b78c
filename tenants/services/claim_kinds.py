"""The five tables of claims, each as one kind: how its rows are read, granted, made and met.

Rivals are found by equality and BETWEEN alone: the operators of networks are not leakproof, so
under row-level security they would read the whole table.
"""

import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Q, QuerySet

from tenants.domain.claims import (
    AddressClaim,
    AddressRole,
    Claim,
    NamespaceClaim,
    SubnetClaim,
    VlanClaim,
    VniClaim,
)
from tenants.domain.notation import IpNetwork
from tenants.errors import InvalidError
from tenants.models import claim as stored
from tenants.models.grant import NamespaceGrant, PrefixGrant, VlanGrant, VniGrant
from tenants.models.pool import Purpose
from tenants.models.tenant import Cluster, Tenant
from tenants.models.vrf import Vrf

C = TypeVar("C", NamespaceClaim, VlanClaim, VniClaim, SubnetClaim, AddressClaim)
R = TypeVar(
    "R",
    stored.NamespaceClaim,
    stored.VlanClaim,
    stored.VniClaim,
    stored.SubnetClaim,
    stored.AddressClaim,
)
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Places:
    """The clusters and VRFs that claims name, by name."""

    clusters: Mapping[str, Cluster]
    vrfs: Mapping[str, Vrf]

    @classmethod
    def of(cls, claims: Iterable[Claim]) -> "Places":
        """Those of ``claims``.

        Raises:
            InvalidError: there is no such cluster or VRF.
        """
        clusters = {claim.cluster for claim in claims}
        vrfs = {claim.vrf for claim in claims if isinstance(claim, SubnetClaim | AddressClaim)}
        places = cls(
            Cluster.objects.in_bulk(clusters, field_name="name"),
            Vrf.objects.in_bulk(vrfs, field_name="name"),
        )
        unknown = [
            *(f"cluster {name}" for name in sorted(clusters - places.clusters.keys())),
            *(f"VRF {name}" for name in sorted(vrfs - places.vrfs.keys())),
        ]
        if unknown:
            says = f"There is no {unknown[0]}."
            raise InvalidError(says, fields={"": [says]}, code="not-granted")
        return places


class Kind(ABC, Generic[C, R]):
    """One table of claims."""

    claim: type[C]
    model: type[R]
    constraint: str

    def own(self, tenant: Tenant, *plans: int | None) -> QuerySet[R]:
        """The tenant's rows, in force (None) or held for these plans."""
        held = [plan for plan in plans if plan is not None]
        wanted = Q(plan__in=held) | Q(plan=None) if None in plans else Q(plan__in=held)
        return self.all().filter(wanted, tenant=tenant)

    def all(self) -> QuerySet[R]:
        """Rows of the open scope, with what ``read`` needs."""
        return self.model._default_manager.select_related("cluster")

    @abstractmethod
    def read(self, row: R) -> C:
        """The claim that a row stands for."""

    @abstractmethod
    def rivals(self, claims: Collection[C], places: Places) -> QuerySet[R]:
        """Rows of anybody that may be in the way of ``claims``; ``meet`` decides."""

    def meet(self, claim: C, row: R) -> bool:
        """True when the row is in the way of ``claim``."""
        other = self.read(row)
        return other == claim

    @abstractmethod
    def sources(self, tenant: Tenant, claims: Collection[C], places: Places) -> list[Any]:
        """Rows that ``claims`` may be taken from, the narrowest first."""

    @abstractmethod
    def covers(self, source: Any, claim: C) -> bool:
        """True when ``claim`` may be taken from ``source``."""

    @abstractmethod
    def build(self, claim: C, source: Any, places: Places) -> R:
        """A row of ``claim`` without its tenant, user and plan, not saved."""

    def granted(self, claim: C, sources: Sequence[Any]) -> str:
        """What could be taken instead, for people; "" for nothing."""
        names = [str(source) for source in sources if self._is_near(source, claim)]
        more = ", ..." if len(names) > _MOST_NAMED else ""
        return ", ".join(names[:_MOST_NAMED]) + more

    def _is_near(self, source: Any, claim: C) -> bool:
        return bool(source.cluster.name == claim.cluster)


class Namespaces(Kind[NamespaceClaim, stored.NamespaceClaim]):
    """Names in a cluster."""

    claim = NamespaceClaim
    model = stored.NamespaceClaim
    constraint = "namespace_claim_one_owner"

    def read(self, row: stored.NamespaceClaim) -> NamespaceClaim:
        """By name."""
        return NamespaceClaim(cluster=row.cluster.name, name=row.name, user=row.user)

    def rivals(
        self, claims: Collection[NamespaceClaim], places: Places
    ) -> QuerySet[stored.NamespaceClaim]:
        """Of the same name."""
        names = [claim.name for claim in claims]
        return self.all().filter(cluster__in=places.clusters.values(), name__in=names)

    def sources(
        self, tenant: Tenant, claims: Collection[NamespaceClaim], places: Places
    ) -> list[NamespaceGrant]:
        """Patterns, the longest first."""
        grants = NamespaceGrant.objects.filter(
            tenant=tenant, cluster__in=places.clusters.values()
        ).select_related("cluster")
        return sorted(grants, key=lambda grant: -len(grant.pattern))

    def covers(self, source: NamespaceGrant, claim: NamespaceClaim) -> bool:
        """The name itself, or how it begins."""
        if source.cluster.name != claim.cluster:
            return False
        if source.pattern.endswith("*"):
            return claim.name.startswith(source.pattern[:-1])
        return claim.name == source.pattern

    def build(
        self, claim: NamespaceClaim, source: NamespaceGrant, places: Places
    ) -> stored.NamespaceClaim:
        """With its pattern."""
        return stored.NamespaceClaim(
            cluster=places.clusters[claim.cluster],
            name=claim.name,
            grant=source,
            grant_pattern=source.pattern,
        )


class Vlans(Kind[VlanClaim, stored.VlanClaim]):
    """Tags on a trunk."""

    claim = VlanClaim
    model = stored.VlanClaim
    constraint = "vlan_claim_one_owner"

    def read(self, row: stored.VlanClaim) -> VlanClaim:
        """By trunk and tag."""
        return VlanClaim(cluster=row.cluster.name, trunk=row.trunk, tag=row.tag, user=row.user)

    def rivals(self, claims: Collection[VlanClaim], places: Places) -> QuerySet[stored.VlanClaim]:
        """Of the same tag."""
        tags = [claim.tag for claim in claims]
        return self.all().filter(cluster__in=places.clusters.values(), tag__in=tags)

    def sources(
        self, tenant: Tenant, claims: Collection[VlanClaim], places: Places
    ) -> list[VlanGrant]:
        """Tags, the fewest first."""
        grants = VlanGrant.objects.filter(
            tenant=tenant, cluster__in=places.clusters.values()
        ).select_related("cluster")
        return sorted(grants, key=lambda grant: (grant.last - grant.first, grant.first))

    def covers(self, source: VlanGrant, claim: VlanClaim) -> bool:
        """On its trunk and between its ends."""
        is_there = source.cluster.name == claim.cluster and source.trunk == claim.trunk
        return is_there and source.first <= claim.tag <= source.last

    def build(self, claim: VlanClaim, source: VlanGrant, places: Places) -> stored.VlanClaim:
        """With its grant's ends."""
        return stored.VlanClaim(
            cluster=places.clusters[claim.cluster],
            trunk=claim.trunk,
            tag=claim.tag,
            grant=source,
            grant_first=source.first,
            grant_last=source.last,
        )


class Vnis(Kind[VniClaim, stored.VniClaim]):
    """Identifiers of a cluster."""

    claim = VniClaim
    model = stored.VniClaim
    constraint = "vni_claim_one_owner"

    def read(self, row: stored.VniClaim) -> VniClaim:
        """By identifier."""
        return VniClaim(cluster=row.cluster.name, vni=row.vni, user=row.user)

    def rivals(self, claims: Collection[VniClaim], places: Places) -> QuerySet[stored.VniClaim]:
        """Of the same identifier."""
        vnis = [claim.vni for claim in claims]
        return self.all().filter(cluster__in=places.clusters.values(), vni__in=vnis)

    def sources(
        self, tenant: Tenant, claims: Collection[VniClaim], places: Places
    ) -> list[VniGrant]:
        """Identifiers, the fewest first."""
        grants = VniGrant.objects.filter(
            tenant=tenant, cluster__in=places.clusters.values()
        ).select_related("cluster")
        return sorted(grants, key=lambda grant: (grant.last - grant.first, grant.first))

    def covers(self, source: VniGrant, claim: VniClaim) -> bool:
        """Between its ends."""
        return source.cluster.name == claim.cluster and source.first <= claim.vni <= source.last

    def build(self, claim: VniClaim, source: VniGrant, places: Places) -> stored.VniClaim:
        """With its grant's ends."""
        return stored.VniClaim(
            cluster=places.clusters[claim.cluster],
            vni=claim.vni,
            grant=source,
            grant_first=source.first,
            grant_last=source.last,
        )


class Subnets(Kind[SubnetClaim, stored.SubnetClaim]):
    """Prefixes of a VRF."""

    claim = SubnetClaim
    model = stored.SubnetClaim
    constraint = "subnet_claim_one_owner"

    def all(self) -> QuerySet[stored.SubnetClaim]:
        """With their VRF."""
        return super().all().select_related("vrf")

    def read(self, row: stored.SubnetClaim) -> SubnetClaim:
        """By prefix."""
        return SubnetClaim(
            cluster=row.cluster.name, vrf=row.vrf.name, prefix=row.prefix, user=row.user
        )

    def rivals(
        self, claims: Collection[SubnetClaim], places: Places
    ) -> QuerySet[stored.SubnetClaim]:
        """Whatever overlaps: shorter prefixes by equality, longer ones by order."""
        inside = Q(pk=None)
        for claim in claims:
            inside |= overlapping("prefix", ipaddress.ip_network(claim.prefix))
        return self.all().filter(
            inside, cluster__in=places.clusters.values(), vrf__in=places.vrfs.values()
        )

    def meet(self, claim: SubnetClaim, row: stored.SubnetClaim) -> bool:
        """Sub- and supernets too."""
        is_there = row.cluster.name == claim.cluster and row.vrf.name == claim.vrf
        return is_there and overlap(claim.prefix, row.prefix)

    def sources(
        self, tenant: Tenant, claims: Collection[SubnetClaim], places: Places
    ) -> list[PrefixGrant]:
        """Room for subnets, the smallest first."""
        return prefix_grants(tenant, places.vrfs.values(), Purpose.SUBNETS)

    def covers(self, source: PrefixGrant, claim: SubnetClaim) -> bool:
        """In its VRF and inside it."""
        return source.vrf.name == claim.vrf and inside(claim.prefix, source.prefix)

    def build(self, claim: SubnetClaim, source: PrefixGrant, places: Places) -> stored.SubnetClaim:
        """With its grant's prefix."""
        return stored.SubnetClaim(
            cluster=places.clusters[claim.cluster],
            vrf=places.vrfs[claim.vrf],
            prefix=claim.prefix,
            grant=source,
            grant_prefix=source.prefix,
        )

    def _is_near(self, source: PrefixGrant, claim: SubnetClaim) -> bool:
        return source.vrf.name == claim.vrf


class Addresses(Kind[AddressClaim, stored.AddressClaim]):
    """Addresses of a VRF."""

    claim = AddressClaim
    model = stored.AddressClaim
    constraint = "address_claim_one_owner"

    def all(self) -> QuerySet[stored.AddressClaim]:
        """With their VRF."""
        return super().all().select_related("vrf")

    def read(self, row: stored.AddressClaim) -> AddressClaim:
        """By address and role; a virtual address is the same wherever it was taken from."""
        role = AddressRole(row.role)
        return AddressClaim(
            cluster=row.cluster.name,
            vrf=row.vrf.name,
            address=row.address,
            role=role,
            subnet=(row.subnet_prefix or "") if role in FROM_SUBNETS else "",
            user=row.user,
        )

    def rivals(
        self, claims: Collection[AddressClaim], places: Places
    ) -> QuerySet[stored.AddressClaim]:
        """The same address, and reserved prefixes around it."""
        around = {
            text for claim in claims for text in supernets(ipaddress.ip_network(claim.address))
        }
        return self.all().filter(
            address__in=around,
            cluster__in=places.clusters.values(),
            vrf__in=places.vrfs.values(),
        )

    def meet(self, claim: AddressClaim, row: stored.AddressClaim) -> bool:
        """Whatever each is for."""
        is_there = row.cluster.name == claim.cluster and row.vrf.name == claim.vrf
        return is_there and overlap(claim.address, row.address)

    def sources(
        self, tenant: Tenant, claims: Collection[AddressClaim], places: Places
    ) -> list[PrefixGrant | stored.SubnetClaim]:
        """Granted addresses, then subnets of the tenant; the smallest first."""
        grants: list[PrefixGrant] = []
        if any(claim.role not in FROM_SUBNETS for claim in claims):
            grants = prefix_grants(tenant, places.vrfs.values(), Purpose.ADDRESSES)
        subnets = stored.SubnetClaim.objects.filter(
            tenant=tenant,
            cluster__in=places.clusters.values(),
            vrf__in=places.vrfs.values(),
        ).select_related("cluster", "vrf")
        return [*grants, *subnets]

    def covers(self, source: PrefixGrant | stored.SubnetClaim, claim: AddressClaim) -> bool:
        """Self-IPs and gateways lie in subnets, the others anywhere."""
        if source.vrf.name != claim.vrf or not inside(claim.address, source.prefix):
            return False
        if isinstance(source, PrefixGrant):
            return claim.role not in FROM_SUBNETS
        is_named = claim.subnet in ("", source.prefix)
        return is_named and source.cluster.name == claim.cluster

    def build(
        self, claim: AddressClaim, source: PrefixGrant | stored.SubnetClaim, places: Places
    ) -> stored.AddressClaim:
        """With the prefix that it lies in."""
        row = stored.AddressClaim(
            cluster=places.clusters[claim.cluster],
            vrf=places.vrfs[claim.vrf],
            address=claim.address,
            role=claim.role.value,
        )
        if isinstance(source, PrefixGrant):
            row.grant, row.grant_prefix = source, source.prefix
        else:
            row.subnet, row.subnet_prefix = source, source.prefix
        return row

    def _is_near(self, source: PrefixGrant | stored.SubnetClaim, claim: AddressClaim) -> bool:
        if source.vrf.name != claim.vrf:
            return False
        return isinstance(source, PrefixGrant) or source.cluster.name == claim.cluster


FROM_SUBNETS = frozenset({AddressRole.SELF_IP, AddressRole.GATEWAY})
# In the order of inserting; deleting goes the other way round. Any: each kind has two types.
KINDS: tuple[Kind[Any, Any], ...] = (Namespaces(), Vlans(), Vnis(), Subnets(), Addresses())


def prefix_grants(tenant: Tenant, vrfs: Iterable[Vrf], purpose: Purpose) -> list[PrefixGrant]:
    """The tenant's grants in these VRFs, the smallest prefix first."""
    grants = PrefixGrant.objects.filter(
        tenant=tenant, vrf__in=list(vrfs), purpose=purpose.value
    ).select_related("vrf", "pool")
    return sorted(grants, key=lambda grant: -ipaddress.ip_network(grant.prefix).prefixlen)


def overlap(one: str, other: str) -> bool:
    """True when two addresses or prefixes have an address in common."""
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return first.version == second.version and first.overlaps(second)


def inside(one: str, other: str) -> bool:
    """True when ``one`` is ``other`` or a part of it."""
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    # subnet_of of unlike versions raises, which the first half rules out.
    return first.version == second.version and first.subnet_of(second)  # type: ignore[arg-type]


def without(prefix: str, taken: Iterable[str]) -> list[IpNetwork]:
    """The parts of ``prefix`` that lie in none of ``taken``, as few networks as cover them."""
    parts: list[Any] = [ipaddress.ip_network(prefix)]  # Any: both versions are compared alike.
    for other in sorted(map(ipaddress.ip_network, taken), key=lambda each: each.prefixlen):
        parts = [left for part in parts for left in _less(part, other)]
    return parts


def _less(part: Any, other: Any) -> Iterable[IpNetwork]:
    if part.version != other.version or not part.overlaps(other):
        return [part]
    # Of two networks that overlap, one contains the other.
    return [] if part.subnet_of(other) else part.address_exclude(other)


def supernets(network: IpNetwork) -> list[str]:
    """The network itself and all that contain it, the widest first."""
    lengths = range(network.prefixlen + 1)
    return [str(network.supernet(new_prefix=length)) for length in lengths]


def overlapping(column: str, network: IpNetwork) -> Q:
    """Rows whose ``column`` overlaps ``network``, as a condition that a btree index serves."""
    # In PostgreSQL's order a network comes before whatever it contains.
    ends = (str(network), f"{network.broadcast_address}/{network.max_prefixlen}")
    return Q(**{f"{column}__in": supernets(network)}) | Q(**{f"{column}__range": ends})
