"""What is in the way of a change to the address space, in words.

Only platform staff change it, so each row in the way is named, whosever it is.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import models

from tenants.errors import ConflictError, InvalidError
from tenants.models.claim import AddressClaim, NamespaceClaim, SubnetClaim, VlanClaim, VniClaim
from tenants.models.grant import NamespaceGrant, PrefixGrant, VlanGrant, VniGrant, span
from tenants.models.pool import AddressPool, VlanRange, VniRange
from tenants.models.vrf import Vrf
from tenants.services.claim_kinds import inside, overlap, overlapping

_MOST_NAMED = 5
_CLAIMS: dict[type[models.Model], tuple[type[models.Model], ...]] = {
    PrefixGrant: (SubnetClaim, AddressClaim),
    VlanGrant: (VlanClaim,),
    VniGrant: (VniClaim,),
    NamespaceGrant: (NamespaceClaim,),
}


def refusal(row: Any, constraint: str) -> ConflictError | InvalidError:
    """Words for what the database said of ``row``."""
    name, place = str(row._meta.verbose_name), str(row)
    if constraint.endswith("_name_key"):
        return _taken(f"The name {place} is already taken by another {name}.")
    if constraint.endswith("_once"):
        return _taken(f"Tenant {row.tenant} has the grant of {place} already.")
    if constraint.endswith(("_no_overlap", "_one_owner")):
        others = [_named(other) for other in _overlapped(row)]
        says = others[0] if others else "what somebody else has just taken"
        return _taken(f"{name[0].upper()}{name[1:]} {_shown(row)} overlaps {says}.")
    if constraint == "prefix_grant_vrf":
        if isinstance(row, PrefixGrant):
            return _taken(f"VRF {row.vrf} is another tenant's: nothing of it can be granted here.")
        return in_use(row, _strangers(row), "has grants of other tenants")
    if constraint == "namespace_grant_pattern":
        says = "Write a name, or how names begin with a star at the end, as in acme-*."
        return InvalidError(says, fields={"pattern": [says]})
    if isinstance(row, PrefixGrant | VlanGrant | VniGrant) and constraint.endswith(
        ("_in_pool", "_in_range")
    ):
        says = f"{place} does not lie in the range that it is granted from."
        return InvalidError(says, fields={"prefix": [says]})
    return in_use(row, _outside(row), "would no longer cover what is used")


def users(row: Any) -> list[Any]:
    """What a row is used by, for people; at most a few."""
    match row:
        case Vrf():
            pools = list(AddressPool.objects.filter(vrf=row)[:_MOST_NAMED])
            grants = PrefixGrant.objects.filter(vrf=row).select_related("tenant")
            kept = AddressClaim.objects.filter(vrf=row).select_related("tenant")
            return [*pools, *grants[:_MOST_NAMED], *kept[:_MOST_NAMED]]
        case AddressPool():
            return list(PrefixGrant.objects.filter(pool=row).select_related("tenant"))
        case VlanRange():
            return list(VlanGrant.objects.filter(vlan_range=row).select_related("tenant"))
        case VniRange():
            return list(VniGrant.objects.filter(vni_range=row).select_related("tenant"))
    found: list[Any] = []
    for model in _CLAIMS[type(row)]:
        claims = model._default_manager.filter(grant=row).select_related("tenant", "cluster")
        found.extend(claims[:1000])
    return found


def _outside(row: Any) -> list[Any]:
    """Those of the users that ``row``, as it would be, does not cover."""
    return [user for user in users(row) if not _covers(row, user)]


def _covers(row: Any, user: Any) -> bool:
    if isinstance(row, AddressPool):
        return inside(user.prefix, row.prefix)
    if isinstance(row, VlanRange | VniRange):
        return bool(row.first <= user.first and user.last <= row.last)
    return False


def _strangers(vrf: Vrf) -> list[PrefixGrant]:
    others = PrefixGrant.objects.filter(vrf=vrf).exclude(tenant=vrf.owner_id)
    return list(others.select_related("tenant"))


def _overlapped(row: Any) -> Iterator[Any]:
    """The rows of the same kind that are in the way of ``row``."""
    others = type(row)._default_manager.exclude(pk=row.pk)
    match row:
        case AddressPool():
            here = others.filter(vrf=row.vrf)
            yield from (pool for pool in here if overlap(pool.prefix, row.prefix))
        case VlanRange():
            here = others.filter(cluster=row.cluster, trunk=row.trunk)
            yield from here.filter(first__lte=row.last, last__gte=row.first)
        case VniRange():
            here = others.filter(cluster=row.cluster)
            yield from here.filter(first__lte=row.last, last__gte=row.first)
        case AddressClaim() | SubnetClaim():
            column = "address" if isinstance(row, AddressClaim) else "prefix"
            near = overlapping(column, ipaddress.ip_network(getattr(row, column)))
            here = others.filter(near, cluster=row.cluster, vrf=row.vrf)
            yield from here.select_related("tenant")


def _shown(row: Any) -> str:
    """A name with what it stands for."""
    if isinstance(row, AddressPool):
        return f"{row} ({row.prefix})"
    if isinstance(row, VlanRange | VniRange):
        return f"{row} ({span(row.first, row.last)})"
    return str(row)


def _named(row: Any) -> str:
    """With its kind, its tenant and what uses it."""
    owner = f" of tenant {row.tenant}" if getattr(row, "tenant", None) else ""
    used = f", for {row.user}" if getattr(row, "user", "") else ""
    return f"{row._meta.verbose_name} {_shown(row)}{owner}{used}"


def in_use(row: models.Model, users: Sequence[Any], says: str) -> ConflictError:
    named = [_named(user) for user in users[:_MOST_NAMED]]
    more = f" and {len(users) - _MOST_NAMED} more" if len(users) > _MOST_NAMED else ""
    who = f": {'; '.join(named)}{more}" if named else ""
    kind = str(row._meta.verbose_name)
    return ConflictError(
        f"{kind[0].upper()}{kind[1:]} {_shown(row)} {says}{who}. Change or delete that first.",
        code="in-use",
    )


def _taken(says: str) -> ConflictError:
    return ConflictError(says, code="taken")
