"""The address space arranged for its pages: how full it is, and what lies in what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.db.models import Count

from tenants.models.claim import AddressClaim, SubnetClaim, VlanClaim, VniClaim
from tenants.models.grant import NamespaceGrant, PrefixGrant, VlanGrant, VniGrant
from tenants.models.pool import AddressPool, VlanRange, VniRange
from tenants.models.tenant import Tenant
from tenants.services.utilisation import Use, utilisation

# Of each kind below one grant; the rest is counted.
MOST_CHILDREN = 20
MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Used:
    """A pool or range with how much of it is taken."""

    row: Any  # Any: a pool or a range.
    use: Use


@dataclass(slots=True)
class Branch:
    """A grant and what its tenant has taken of it.

    Attributes:
        claims: the first of them, each with the addresses that lie in it.
        more: how many further ones there are.
    """

    grant: Any  # Any: of any kind.
    claims: "list[Leaf]" = field(default_factory=list)
    total: int = 0

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.total - len(self.claims)


@dataclass(slots=True)
class Leaf:
    """A claim; a subnet with the first of its addresses."""

    claim: Any  # Any: of any kind.
    addresses: list[AddressClaim] = field(default_factory=list)
    total: int = 0

    @property
    def more(self) -> int:
        """How many addresses are not shown."""
        return self.total - len(self.addresses)


def uses() -> dict[tuple[str, int], Use]:
    """How much of every pool and range is taken; one query."""
    return {(use.kind, use.pk): use for use in utilisation()}


def used(kind: str, rows: Iterable[Any], found: dict[tuple[str, int], Use]) -> list[Used]:
    """Rows with their use."""
    return [Used(row, found[kind, row.pk]) for row in rows if (kind, row.pk) in found]


def grants_of(row: Any) -> models.QuerySet[Any]:  # Any: a pool or a range.
    """The grants of a pool or range, with their tenants."""
    match row:
        case AddressPool():
            grants: models.QuerySet[Any] = PrefixGrant.objects.filter(pool=row)
        case VlanRange():
            grants = VlanGrant.objects.filter(vlan_range=row)
        case VniRange():
            grants = VniGrant.objects.filter(vni_range=row)
        case _:
            raise TypeError(f"{row!r} has no grants")
    return grants.select_related("tenant").order_by("tenant__slug", "pk")


def branches(grants: Sequence[Any]) -> list[Branch]:
    """What was taken of each of these grants; six queries at most, however many there are."""
    found = {grant.pk: Branch(grant) for grant in grants}
    if not found:
        return []
    model = type(grants[0])
    kinds: dict[type[Any], tuple[tuple[type[Any], str], ...]] = {
        PrefixGrant: ((SubnetClaim, "prefix"), (AddressClaim, "address")),
        VlanGrant: ((VlanClaim, "tag"),),
        VniGrant: ((VniClaim, "vni"),),
    }
    for claim, column in kinds[model]:
        for row in _first(claim, "grant_id", list(found), column):
            if len(found[row.grant_id].claims) < MOST_CHILDREN:
                found[row.grant_id].claims.append(Leaf(row))
        for key, total in _totals(claim, "grant_id", list(found)):
            found[key].total += total
    _add_addresses([leaf for branch in found.values() for leaf in branch.claims])
    return list(found.values())


def _add_addresses(leaves: Sequence[Leaf]) -> None:
    """The addresses inside the subnets among ``leaves``."""
    by_subnet = {leaf.claim.pk: leaf for leaf in leaves if isinstance(leaf.claim, SubnetClaim)}
    if not by_subnet:
        return
    for row in _first(AddressClaim, "subnet_id", list(by_subnet), "address"):
        by_subnet[row.subnet_id].addresses.append(row)
    for key, total in _totals(AddressClaim, "subnet_id", list(by_subnet)):
        by_subnet[key].total = total


def _first(model: type[Any], parent: str, keys: list[int], column: str) -> list[Any]:
    """The first few rows below each of these parents, in order."""
    ranked = model._default_manager.filter(**{f"{parent}__in": keys}).annotate(
        place=models.Window(
            models.functions.RowNumber(), partition_by=models.F(parent), order_by=column
        )
    )
    rows = ranked.filter(place__lte=MOST_CHILDREN).select_related("cluster", "plan")
    return list(rows.order_by(parent, column))


def _totals(model: type[Any], parent: str, keys: list[int]) -> list[tuple[int, int]]:
    rows = model._default_manager.filter(**{f"{parent}__in": keys})
    return list(rows.order_by().values_list(parent).annotate(Count("pk")))


@dataclass(frozen=True, slots=True)
class GrantGroup:
    """The grants of one kind.

    Attributes:
        kind: as in URLs: ``vlan-grants``.
    """

    kind: str
    title: str
    rows: Sequence[Any]  # Any: of the kind.


def all_grants(tenant: Tenant | None, titles: dict[str, str]) -> list[GrantGroup]:
    """Grants of one tenant, or of all, at most so many of each kind; four queries."""
    here = {} if tenant is None else {"tenant": tenant}
    found: dict[str, models.QuerySet[Any]] = {
        "prefix-grants": PrefixGrant.objects.filter(**here).select_related("tenant", "pool", "vrf"),
        "vlan-grants": VlanGrant.objects.filter(**here).select_related(
            "tenant", "vlan_range", "cluster"
        ),
        "vni-grants": VniGrant.objects.filter(**here).select_related(
            "tenant", "vni_range", "cluster"
        ),
        "namespace-grants": NamespaceGrant.objects.filter(**here).select_related(
            "tenant", "cluster"
        ),
    }
    return [
        GrantGroup(kind, titles[kind], list(rows.order_by("tenant__slug", "pk")[:MOST_ROWS]))
        for kind, rows in found.items()
    ]
