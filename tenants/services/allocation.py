"""The next free tag, identifier, prefix and address, within what a tenant was granted.

With ``lock`` the parent (pool or range; the grant itself where it has neither) is locked first, and
what is free is read by a second statement, which sees what others have committed meanwhile: callers
of one parent queue, each gets another answer, and callers of other parents do not wait. Write the
claim in the same transaction. Without ``lock`` the answer is a suggestion.

Several allocations of one transaction take their parents in the order of ``tenants/locks.py``: call
``lock_parents`` before the first.
"""

import heapq
import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.db.models import BigIntegerField, F, Func, IntegerField, Q, QuerySet

from tenants import locks
from tenants.domain.addresses import edges
from tenants.domain.claims import AddressRole
from tenants.domain.gaps import first_gap
from tenants.domain.notation import IpNetwork, network_complaint, sentence
from tenants.errors import ConflictError, InvalidError
from tenants.models.claim import AddressClaim, SubnetClaim, VlanClaim, VniClaim
from tenants.models.grant import PrefixGrant, VlanGrant, VniGrant
from tenants.models.pool import AddressPool, Purpose
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Cluster, Tenant
from tenants.models.vrf import Vrf
from tenants.services.claim_kinds import supernets

Span = tuple[int, int]
Value = int | str
# Most searches end in the first rows after the hint.
_CHUNK = 200
_NUMBER = BigIntegerField()
_LENGTH = IntegerField()
_LENGTHS = {4: 32, 6: 128}
# Where an address of a role is looked for first.
_SAME_ROLE, _UNUSED, _OTHER_ROLE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Wish:
    """Which of the free ones.

    Attributes:
        after: a tag, identifier or address where to begin; the parent's hint when None. The search
            goes on from the start at the end.
        skip: what is not to be taken either, such as what the edit at hand uses already.
    """

    after: Value | None = None
    skip: Collection[Value] = ()


ANY = Wish()


@dataclass(frozen=True, slots=True)
class _Room:
    """One grant to search, under the lock of its parent.

    Attributes:
        blocked: what is never given, besides claims.
        rank: rooms of a lower rank are searched first.
    """

    parent: Any  # Any: a pool, a range or a grant; each has a hint.
    low: int
    high: int
    blocked: tuple[Span, ...] = ()
    rank: int = 0


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for.

    Attributes:
        what: its name, for messages.
        taken: (first, last) of the claims from the first number to the second, ascending.
        read, write: a hint as a number, and back.
    """

    what: str
    taken: Callable[[int, int], Iterable[Span]]
    size: int = 1
    read: Callable[[Any], int] = int
    write: Callable[[int], Any] = int


def next_vlan(
    tenant: Tenant,
    cluster: Cluster,
    trunk: str,
    *,
    lock: bool = False,
    wish: Wish = ANY,
) -> int:
    """A free VLAN tag of the trunk.

    Raises:
        InvalidError: the tenant is granted no tags there (``not-granted``).
        ConflictError: none is free (``pool-full``).
    """
    with platform_scope("allocation"):
        grants = VlanGrant.objects.filter(tenant=tenant, cluster=cluster, trunk=trunk)
        claims = VlanClaim.objects.filter(cluster=cluster, trunk=trunk)
        search = _Search(
            what=f"VLAN tag on trunk {trunk} of cluster {cluster}",
            taken=lambda low, high: _numbers(claims, "tag", low, high),
        )
        rooms = [
            _Room(grant.vlan_range or grant, grant.first, grant.last)
            for grant in grants.select_related("vlan_range")
        ]
        return _next(tenant, rooms, search, lock=lock, wish=wish)


def next_vni(
    tenant: Tenant,
    cluster: Cluster,
    *,
    lock: bool = False,
    wish: Wish = ANY,
) -> int:
    """A free VNI of the cluster; arguments and errors as for ``next_vlan``."""
    with platform_scope("allocation"):
        grants = VniGrant.objects.filter(tenant=tenant, cluster=cluster)
        claims = VniClaim.objects.filter(cluster=cluster)
        search = _Search(
            what=f"VNI of cluster {cluster}",
            taken=lambda low, high: _numbers(claims, "vni", low, high),
        )
        rooms = [
            _Room(grant.vni_range or grant, grant.first, grant.last)
            for grant in grants.select_related("vni_range")
        ]
        return _next(tenant, rooms, search, lock=lock, wish=wish)


def next_prefix(
    tenant: Tenant,
    cluster: Cluster,
    where: Vrf | AddressPool,
    length: int,
    *,
    version: int = 4,
    lock: bool = False,
    wish: Wish = ANY,
) -> str:
    """A free prefix of this length, for a subnet.

    Args:
        where: a VRF, or one pool of it.

    Raises:
        InvalidError: no such length, or the tenant is granted no room there (``not-granted``).
        ConflictError: none is free (``pool-full``).
    """
    longest, vrf = _LENGTHS[version], _vrf(where)
    if not 1 <= length <= longest:
        says = f"A prefix of IPv{version} has a length from 1 to {longest}, not {length}."
        raise InvalidError(says, fields={"length": [says]})
    with platform_scope("allocation"):
        search = _Search(
            what=f"subnet /{length} (VRF {vrf}) of cluster {cluster}",
            taken=lambda low, high: _subnets(cluster, vrf, version, low, high),
            size=1 << (longest - length),
            read=_number,
            write=lambda number: str(_address(version, number)),
        )
        rooms = list(_prefix_rooms(tenant, where, Purpose.SUBNETS, version))
        found = _next(tenant, rooms, search, lock=lock, wish=wish)
        return f"{search.write(found)}/{length}"


def next_address(
    tenant: Tenant,
    cluster: Cluster,
    where: Vrf | AddressPool,
    *,
    role: AddressRole | None = None,
    version: int = 4,
    lock: bool = False,
    wish: Wish = ANY,
) -> str:
    """A free address for the outside: a virtual or a SNAT address.

    Never a pool's first address, nor its last of IPv4, where it has more than two. Other arguments
    and errors as for ``next_prefix``.

    Args:
        role: what it is for: grants that the tenant has such addresses from come first, those that
            it has others from come last.
    """
    with platform_scope("allocation"):
        vrf = _vrf(where)
        search = _addresses_of(cluster, vrf, version, f"address (VRF {vrf}) of cluster {cluster}")
        ranks = {} if role is None else _ranks(tenant, role)
        rooms = list(_prefix_rooms(tenant, where, Purpose.ADDRESSES, version, ranks))
        found = _next(tenant, rooms, search, lock=lock, wish=wish)
        return str(search.write(found))


def next_in_subnet(
    tenant: Tenant,
    cluster: Cluster,
    vrf: Vrf,
    prefix: str,
    *,
    lock: bool = False,
    wish: Wish = ANY,
) -> str:
    """A free address inside a subnet of the tenant's own, for a self-IP or a gateway.

    The subnet need not be a claim yet; then there is nothing to lock.

    Raises:
        InvalidError: the prefix is not well written.
        ConflictError: none is free (``pool-full``).
    """
    if wrong := network_complaint(prefix):
        says = sentence(wrong)
        raise InvalidError(says, fields={"subnets": [says]})
    network = ipaddress.ip_network(prefix)
    with platform_scope("allocation"):
        row = SubnetClaim.objects.filter(
            tenant=tenant, cluster=cluster, vrf=vrf, prefix=prefix
        ).first()
        search = _addresses_of(cluster, vrf, network.version, f"address in subnet {prefix}")
        if lock and row is not None:
            locks.parents([row])
        room = _Room(None, *_ends(network), blocked=_edges(network))
        found = _next(tenant, [room], search, wish=wish)
        return str(search.write(found))


def lock_parents(tenant: Tenant, cluster: Cluster | None = None) -> None:
    """Lock the parents of all that the tenant may take, in the one order.

    Args:
        cluster: leave out tags and identifiers of other clusters.
    """
    here = Q() if cluster is None else Q(cluster=cluster)
    with platform_scope("allocation"):
        vlans = VlanGrant.objects.filter(here, tenant=tenant).select_related("vlan_range")
        vnis = VniGrant.objects.filter(here, tenant=tenant).select_related("vni_range")
        prefixes = PrefixGrant.objects.filter(tenant=tenant).select_related("pool")
        locks.parents(
            [
                *(grant.vlan_range or grant for grant in vlans),
                *(grant.vni_range or grant for grant in vnis),
                *(grant.pool or grant for grant in prefixes),
            ]
        )


def _next(
    tenant: Tenant,
    rooms: list[_Room],
    search: _Search,
    *,
    lock: bool = False,
    wish: Wish,
) -> int:
    """The first free number of the first room that has one."""
    if not rooms:
        raise InvalidError(
            f"Tenant {tenant} is granted no {search.what}. Ask platform NetOps for a grant.",
            code="not-granted",
        )
    skipped = sorted(map(_span, wish.skip))
    begin = None if wish.after is None else _span(wish.after)[0]
    if lock and len({room.rank for room in rooms}) > 1:
        locks.parents([room.parent for room in rooms])  # Ranks are not the order of locking.
    for room in sorted(rooms, key=lambda room: (room.rank, *locks.place(room.parent), room.low)):
        parent = room.parent
        if lock:
            # The look-up is a statement of its own: only so does it see what others committed.
            (parent,) = locks.rows(
                locks.Level.PARENT, type(parent)._default_manager.filter(pk=parent.pk)
            )
        hint = _hint(parent, search) if begin is None else begin
        found = _find(room, search, hint, skipped)
        if found is None:
            continue
        if lock:
            _remember(parent, room, search, found)
        return found
    raise ConflictError(
        f"No {search.what} is free in what tenant {tenant} is granted. Give one back, or ask"
        " platform NetOps for a larger grant.",
        code="pool-full",
    )


def _find(room: _Room, search: _Search, begin: int | None, skipped: list[Span]) -> int | None:
    """From ``begin`` to the end, then from the start."""
    starts = [room.low]
    if begin is not None and room.low < begin <= room.high:
        starts = [begin, room.low]
    for low in starts:
        taken = heapq.merge(search.taken(low, room.high), sorted(room.blocked), skipped)
        found = first_gap(low, room.high, taken, size=search.size)
        if found is not None:
            return found
    return None


def _hint(parent: Any, search: _Search) -> int | None:
    hint = getattr(parent, "hint", None)
    return None if hint is None else search.read(hint)


def _remember(parent: Any, room: _Room, search: _Search, found: int) -> None:
    following = found + search.size
    hint = search.write(following) if following <= room.high else None
    type(parent)._default_manager.filter(pk=parent.pk).update(hint=hint)


def _numbers(claims: QuerySet[Any], column: str, low: int, high: int) -> Iterator[Span]:
    rows = claims.filter(**{f"{column}__range": (low, high)}).order_by(column)
    for number in rows.values_list(column, flat=True).iterator(chunk_size=_CHUNK):
        yield number, number


def _networks(claims: QuerySet[Any], column: str, version: int) -> Iterator[Span]:
    """In order. Of IPv4 as numbers from the database: parsing text takes ten times as long."""
    rows = claims.order_by(column)
    if version == 6:
        yield from map(_span, rows.values_list(column, flat=True).iterator(chunk_size=_CHUNK))
        return
    first = Func(
        F(column), template="(%(expressions)s::inet - '0.0.0.0'::inet)", output_field=_NUMBER
    )
    numbers = rows.values_list(first, Func(F(column), function="masklen", output_field=_LENGTH))
    for number, length in numbers.iterator(chunk_size=_CHUNK):
        yield number, number + (1 << (32 - length)) - 1


def _addresses_of(cluster: Cluster, vrf: Vrf, version: int, what: str) -> _Search:
    def taken(low: int, high: int) -> Iterator[Span]:
        inside = (str(_address(version, low)), str(_address(version, high)))
        claims = AddressClaim.objects.filter(cluster=cluster, vrf=vrf, address__range=inside)
        # A reserved prefix that begins before ``low`` is not in that range.
        yield from heapq.merge(
            _networks(claims, "address", version), _reserved(cluster, vrf, version)
        )

    return _Search(what, taken, read=_number, write=lambda number: str(_address(version, number)))


def _reserved(cluster: Cluster, vrf: Vrf, version: int) -> list[Span]:
    rows = AddressClaim.objects.filter(
        cluster=cluster, vrf=vrf, role=AddressRole.RESERVED.value
    ).values_list("address", flat=True)
    return sorted(_span(text) for text in rows if ipaddress.ip_network(text).version == version)


def _subnets(cluster: Cluster, vrf: Vrf, version: int, low: int, high: int) -> Iterator[Span]:
    first = ipaddress.ip_network(_address(version, low))
    claims = SubnetClaim.objects.filter(cluster=cluster, vrf=vrf)
    before = claims.filter(prefix__in=supernets(first)).values_list("prefix", flat=True)
    inside = claims.filter(prefix__range=(str(first), str(_address(version, high))))
    yield from heapq.merge(
        sorted(map(_span, before)),
        _networks(inside, "prefix", version),
        _reserved(cluster, vrf, version),
    )


def _prefix_rooms(
    tenant: Tenant,
    where: Vrf | AddressPool,
    purpose: Purpose,
    version: int,
    ranks: Mapping[int, int] = MappingProxyType({}),
) -> Iterator[_Room]:
    here = Q(vrf=where) if isinstance(where, Vrf) else Q(pool=where)
    grants = PrefixGrant.objects.filter(here, tenant=tenant, purpose=purpose.value)
    for grant in grants.select_related("pool"):
        network = ipaddress.ip_network(grant.prefix)
        if network.version != version:
            continue
        whole = ipaddress.ip_network(grant.pool.prefix) if grant.pool else network
        blocked = _edges(whole) if purpose is Purpose.ADDRESSES else ()
        rank = ranks.get(grant.pk, _UNUSED)
        yield _Room(grant.pool or grant, *_ends(network), blocked=blocked, rank=rank)


def _ranks(tenant: Tenant, role: AddressRole) -> dict[int, int]:
    """By grant, for those that the tenant has addresses from."""
    rows = AddressClaim.objects.filter(tenant=tenant, grant__isnull=False).order_by()
    ranks: dict[int, int] = {}
    for grant, used_for in rows.values_list("grant_id", "role").distinct():
        rank = _SAME_ROLE if used_for == role else _OTHER_ROLE
        ranks[grant] = min(rank, ranks.get(grant, rank))
    return ranks


def _edges(network: IpNetwork) -> tuple[Span, ...]:
    return tuple((int(address), int(address)) for address in edges(network))


def _ends(network: IpNetwork) -> Span:
    return int(network.network_address), int(network.broadcast_address)


def _span(value: Value) -> Span:
    return (value, value) if isinstance(value, int) else _ends(ipaddress.ip_network(value))


def _number(text: str) -> int:
    return int(ipaddress.ip_address(text))


def _address(version: int, number: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number)


def _vrf(where: Vrf | AddressPool) -> Vrf:
    return where if isinstance(where, Vrf) else where.vrf
