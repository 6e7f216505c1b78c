"""What is in the way of claims, and what of it may be said to whom.

Whose something is, is looked up in a scope of the platform's: under row-level security the
database's error hides it. Names go to the owner and to the platform's staff; the rest learn that
there is an owner, and what is free instead.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from tenants.domain.actor import Actor
from tenants.domain.claims import (
    AddressClaim,
    Claim,
    NamespaceClaim,
    SubnetClaim,
    VlanClaim,
    VniClaim,
)
from tenants.errors import ConflictError, InvalidError, SluiceError
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Tenant
from tenants.services.allocation import (
    Wish,
    next_address,
    next_in_subnet,
    next_prefix,
    next_vlan,
    next_vni,
)
from tenants.services.claim_kinds import KINDS, Kind, Places, inside

# The constraints that let each claim have one owner.
CONSTRAINTS = frozenset(kind.constraint for kind in KINDS)


def check_granted(
    kind: Kind[Any, Any],
    tenant: Tenant,
    claims: Collection[Any],
    places: Places,
    *,
    beside: Collection[Claim] = (),
) -> dict[Any, Any]:
    """The grant or subnet that each of ``claims``, all of one kind, may be taken from.

    Args:
        beside: claims that will be written too; subnets among them may cover addresses.

    Raises:
        InvalidError: there is none (``not-granted``).
    """
    sources = kind.sources(tenant, claims, places)
    found = {
        claim: next((source for source in sources if kind.covers(source, claim)), None)
        for claim in claims
    }
    planned = [claim for claim in beside if isinstance(claim, SubnetClaim)]
    missing = [
        claim
        for claim, source in found.items()
        if source is None and not any(lies_in(claim, subnet) for subnet in planned)
    ]
    if missing:
        raise _not_granted(kind, tenant, missing, sources)
    return found


def check_apart(new: Collection[Claim], after: Iterable[Claim]) -> None:
    """Return if nothing of ``new`` is in the way of another claim of ``after``.

    Raises:
        ConflictError: the tenant itself uses it twice (``taken``).
    """
    if not new:
        return
    by_place: dict[tuple[object, ...], list[tuple[int, int, Claim]]] = defaultdict(list)
    for claim in after:
        if isinstance(claim, SubnetClaim | AddressClaim):
            text = claim.prefix if isinstance(claim, SubnetClaim) else claim.address
            network = ipaddress.ip_network(text)
            place = (type(claim), claim.cluster, claim.vrf, network.version)
            ends = int(network.network_address), int(network.broadcast_address)
            by_place[place].append((*ends, claim))
    for claims in by_place.values():
        claims.sort(key=lambda entry: (entry[0], entry[1], str(entry[2]), entry[2].user))
        reach, widest = claims[0][1], claims[0][2]
        for first, last, claim in claims[1:]:
            if first <= reach:
                raise _used_twice(claim, widest)
            if last > reach:
                reach, widest = last, claim


def find(claims: Collection[Claim], places: Places) -> dict[Claim, Any]:
    """The row of anybody that is in the way of each of ``claims``; none of the others."""
    in_the_way: dict[Claim, Any] = {}
    with platform_scope("conflict"):
        for kind in KINDS:
            wanted = [claim for claim in claims if isinstance(claim, kind.claim)]
            if not wanted:
                continue
            rivals = list(kind.rivals(wanted, places).select_related("tenant", "plan"))
            for claim in wanted:
                row = next((row for row in rivals if kind.meet(claim, row)), None)
                if row is not None:
                    in_the_way[claim] = row
    return in_the_way


def refusal(
    new: Collection[Claim], *, tenant: Tenant, actor: Actor, leaving: Collection[Claim]
) -> ConflictError:
    """The error for what the database refused of ``new``, while ``leaving`` were to go."""
    in_the_way = find(new, Places.of(new))
    ending = {str(claim) for claim in leaving}
    for claim in sorted(in_the_way, key=str):
        row = in_the_way[claim]
        kind = next(kind for kind in KINDS if isinstance(claim, kind.claim))
        is_leaving = row.tenant_id == tenant.pk and str(kind.read(row)) in ending
        if not is_leaving:
            return taken(claim, row, tenant=tenant, actor=actor)
    return ConflictError(
        "Something of this was taken by somebody else at the same moment. Try again.", code="taken"
    )


def taken(claim: Claim, row: Any, *, tenant: Tenant, actor: Actor) -> ConflictError:
    """The error that names what is in the way to those who may see it, and what is free instead."""
    says = f"{_capital(claim)} {_by_whom(row, tenant, actor)}."
    return ConflictError(
        f"{says} {_hint(claim, tenant)}".strip(), code="taken", data={"value": str(claim)}
    )


def still_used(rows: Iterable[Any]) -> ConflictError:
    """The error for a subnet that cannot go, since these addresses of the tenant lie in it."""
    named = sorted(
        f"{row}"
        + (f" ({row.user})" if row.user else "")
        + (f", held for plan {row.plan_id}" if row.plan_id else "")
        for row in rows
    )
    return ConflictError(
        f"A subnet cannot go while addresses lie in it: {'; '.join(named[:5])}."
        " Remove those first.",
        code="in-use",
    )


def _by_whom(row: Any, tenant: Tenant, actor: Actor) -> str:
    is_own = row.tenant_id == tenant.pk
    if not is_own and not actor.is_platform_staff:
        if row.tenant_id is None:
            return "is reserved by the platform"
        return "is already taken by another tenant"
    what = row.user if str(row) in row.user or not row.user else f"{row.user} ({row})"
    owner = "" if is_own or row.tenant_id is None else f" of tenant {row.tenant}"
    if row.tenant_id is None:
        return f"is reserved by the platform: {what or row}"
    if row.plan_id is not None:
        return f"is held for {row.plan}{owner}, by {what or row}"
    return f"is already taken by {what or row}{owner}"


def _hint(claim: Claim, tenant: Tenant) -> str:
    """A sentence with what is free; "" where nothing is, or nothing was granted."""
    try:
        return _free(claim, tenant)
    except SluiceError:
        return ""


def _free(claim: Claim, tenant: Tenant) -> str:
    places = Places.of([claim])
    cluster = places.clusters[claim.cluster]
    match claim:
        case VlanClaim():
            free = next_vlan(tenant, cluster, claim.trunk, wish=Wish(after=claim.tag))
            return f"The next free tag is {free}."
        case VniClaim():
            return f"The next free VNI is {next_vni(tenant, cluster, wish=Wish(after=claim.vni))}."
        case SubnetClaim():
            network = ipaddress.ip_network(claim.prefix)
            prefix = next_prefix(
                tenant,
                cluster,
                places.vrfs[claim.vrf],
                network.prefixlen,
                version=network.version,
                wish=Wish(after=str(network.network_address)),
            )
            return f"The next free prefix is {prefix}."
        case AddressClaim():
            return f"The next free address is {_free_address(claim, tenant, places)}."
        case NamespaceClaim():
            return ""


def _free_address(claim: AddressClaim, tenant: Tenant, places: Places) -> str:
    cluster, vrf = places.clusters[claim.cluster], places.vrfs[claim.vrf]
    version, wish = ipaddress.ip_address(claim.address).version, Wish(after=claim.address)
    if claim.subnet:
        return next_in_subnet(tenant, cluster, vrf, claim.subnet, wish=wish)
    return next_address(tenant, cluster, vrf, version=version, wish=wish)


def _not_granted(
    kind: Kind[Any, Any], tenant: Tenant, missing: list[Any], sources: list[Any]
) -> InvalidError:
    complaints = []
    for claim in missing:
        granted = kind.granted(claim, sources)
        may = f"It may take {granted}." if granted else "It is granted nothing of this kind here."
        complaints.append(f"{_capital(claim)} is not granted to tenant {tenant}. {may}")
    message = f"{complaints[0]} Ask platform NetOps for a grant."
    return InvalidError(
        message,
        fields={"": complaints},
        code="not-granted",
        data={"values": [str(claim) for claim in missing]},
    )


def _used_twice(claim: Claim, other: Claim) -> ConflictError:
    user = other.user or str(other)
    return ConflictError(
        f"{_capital(claim)} is already taken by {user}: it is wanted twice in this change.",
        code="taken",
        data={"value": str(claim)},
    )


def lies_in(claim: Claim, subnet: SubnetClaim) -> bool:
    """True for an address that may be taken from this subnet."""
    if not isinstance(claim, AddressClaim) or claim.subnet not in ("", subnet.prefix):
        return False
    is_there = (claim.cluster, claim.vrf) == (subnet.cluster, subnet.vrf)
    return is_there and inside(claim.address, subnet.prefix)


def _capital(claim: Claim) -> str:
    text = str(claim)
    return text[0].upper() + text[1:]
