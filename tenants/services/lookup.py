"""Who has an address, a prefix, a VLAN tag or a VNI: what platform staff ask."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.db.models import QuerySet

from tenants.domain.actor import Actor
from tenants.domain.notation import IpNetwork, as_network, sentence, source_complaint
from tenants.domain.numbers import whole_number
from tenants.errors import ForbiddenError, InvalidError
from tenants.models.claim import AddressClaim, SubnetClaim, VlanClaim, VniClaim
from tenants.models.grant import PrefixGrant, VlanGrant, VniGrant, span
from tenants.models.pool import AddressPool, VlanRange, VniRange
from tenants.models.scoped import platform_scope
from tenants.services.claim_kinds import overlapping

_MOST = 50
_LARGEST = 16_777_215
Claim = AddressClaim | SubnetClaim | VlanClaim | VniClaim
Grant = PrefixGrant | VlanGrant | VniGrant


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One line of an answer.

    Attributes:
        kind: ``address``, ``subnet``, ``VLAN``, ``VNI`` or ``reserved``; ``grant``; ``pool`` or
            ``range``.
        tenant: its slug; "" for the platform.
        cluster: its name; "" for pools and their grants, which are of all clusters.
        user: the tenant's object; the name of a pool or range.
        plan_id: the waiting plan that it is held for; None in force.
    """

    kind: str
    value: str
    vrf: str = ""
    tenant: str = ""
    cluster: str = ""
    role: str = ""
    user: str = ""
    plan_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Who has what was asked for, and who could take it.

    Attributes:
        owners: who has it or a part of it, the closest first; at most a few.
        more_owners: how many further ones there are.
        sources: the grants that the owners took it from, then the pools and ranges.
        grants: other grants of it or of a part of it, at most a few.
        more_grants: how many further ones there are.
    """

    owners: Sequence[Holder] = ()
    more_owners: int = 0
    sources: Sequence[Holder] = ()
    grants: Sequence[Holder] = ()
    more_grants: int = 0

    def __add__(self, other: "Answer") -> "Answer":
        return Answer(
            owners=[*self.owners, *other.owners],
            more_owners=self.more_owners + other.more_owners,
            sources=[*self.sources, *other.sources],
            grants=[*self.grants, *other.grants],
            more_grants=self.more_grants + other.more_grants,
        )

    @property
    def holders(self) -> list[Holder]:
        """The owners, and where they have it from."""
        return [*self.owners, *self.sources]

    @property
    def grant_count(self) -> int:
        """How many other grants there are."""
        return len(self.grants) + self.more_grants


def find(text: str, *, actor: Actor) -> Answer:
    """Who has what is asked for.

    Args:
        text: an address, a prefix, or a number: a VLAN tag on any trunk, and a VNI. With ``vlan``
            or ``vni`` before it, only that.

    Raises:
        ForbiddenError: the actor is not of the platform's staff.
        InvalidError: none of these, or not in its one spelling.
    """
    if not actor.is_platform_staff:
        raise ForbiddenError("Only platform staff look up who has an address, a tag or a VNI.")
    asked = text.strip()
    word = next((word for word in ("vlan", "vni") if asked.lower().startswith(word)), "")
    asked = asked[len(word) :].strip()
    if not word and not asked.isdecimal():
        return _addresses(asked)
    number = whole_number(asked, most=_LARGEST)
    if not number:
        raise _refused(f"{text.strip()!r} is neither an address, a prefix, a VLAN tag nor a VNI")
    with platform_scope("owner of a tag"):
        vlans = _vlans(number) if word != "vni" else Answer()
        return vlans + (_vnis(number) if word != "vlan" else Answer())


def _refused(wrong: str) -> InvalidError:
    says = sentence(wrong)
    return InvalidError(says, fields={"q": [says]})


def _addresses(asked: str) -> Answer:
    if wrong := source_complaint(asked):
        raise _refused(wrong)
    network = as_network(asked)
    with platform_scope("owner of an address"):
        addresses = AddressClaim.objects.filter(overlapping("address", network))
        # A reservation's own subnet only repeats it.
        subnets = SubnetClaim.objects.filter(overlapping("prefix", network)).exclude(tenant=None)
        related = ("vrf", "tenant", "cluster", "grant__tenant", "grant__vrf")
        pools = AddressPool.objects.filter(overlapping("prefix", network)).select_related("vrf")
        return _answer(
            [
                addresses.select_related(*related).order_by("address"),
                subnets.select_related(*related).order_by("prefix"),
            ],
            PrefixGrant.objects.filter(overlapping("prefix", network)).select_related("vrf"),
            [
                Holder(kind="pool", value=pool.prefix, vrf=pool.vrf.name, user=pool.name)
                for pool in pools[:_MOST]
            ],
            network,
        )


def _vlans(tag: int) -> Answer:
    return _numbered(
        VlanClaim.objects.filter(tag=tag),
        VlanGrant.objects.filter(first__lte=tag, last__gte=tag),
        VlanRange.objects.filter(first__lte=tag, last__gte=tag),
        lambda row: f"VLAN {span(row.first, row.last)} on trunk {row.trunk}",
    )


def _vnis(vni: int) -> Answer:
    return _numbered(
        VniClaim.objects.filter(vni=vni),
        VniGrant.objects.filter(first__lte=vni, last__gte=vni),
        VniRange.objects.filter(first__lte=vni, last__gte=vni),
        lambda row: f"VNI {span(row.first, row.last)}",
    )


def _numbered(
    claims: QuerySet[Any],  # Any: of VLAN tags or of VNIs, all three.
    grants: QuerySet[Any],
    ranges: QuerySet[Any],
    named: Callable[[Any], str],
) -> Answer:
    """Who has one number of a cluster; ``named`` is how a range is shown."""
    return _answer(
        [claims.select_related("tenant", "cluster", "grant__tenant", "grant__cluster")],
        grants.select_related("cluster"),
        [
            Holder(kind="range", value=named(row), cluster=row.cluster.name, user=row.name)
            for row in ranges.select_related("cluster")[:_MOST]
        ],
    )


def _answer(
    claims: Sequence[QuerySet[Any]],  # Any: claims of several kinds.
    grants: QuerySet[Any],  # Any: grants of one kind.
    parents: Sequence[Holder],
    asked: IpNetwork | None = None,
) -> Answer:
    """The claims first, then the grants that they were taken from, then pools or ranges."""
    owners = list(chain.from_iterable(rows[:_MOST] for rows in claims))
    more = sum(rows.count() for rows in claims) - len(owners) if len(owners) >= _MOST else 0
    if asked is not None:
        owners.sort(key=lambda row: _distance(row, asked))
    taken = {row.grant_id: row.grant for row in owners if row.grant_id is not None}
    others = grants.exclude(pk__in=taken)
    shown = list(others.select_related("tenant").order_by("tenant__slug", "pk")[:_MOST])
    return Answer(
        owners=[_claimed(row) for row in owners],
        more_owners=more,
        sources=[*_granted(taken.values()), *parents],
        grants=_granted(shown),
        more_grants=others.count() - len(shown) if len(shown) == _MOST else 0,
    )


def _distance(row: AddressClaim | SubnetClaim, asked: IpNetwork) -> int:
    """Small for what holds all of what was asked for, narrowest first; then what is inside."""
    network = ipaddress.ip_network(row.address if isinstance(row, AddressClaim) else row.prefix)
    if network.prefixlen <= asked.prefixlen:
        return asked.prefixlen - network.prefixlen
    return asked.max_prefixlen + network.prefixlen


def _granted(rows: Iterable[Grant]) -> list[Holder]:
    return [
        Holder(
            kind="grant",
            value=str(row),
            vrf=row.vrf.name if isinstance(row, PrefixGrant) else "",
            tenant=row.tenant.slug,
            cluster="" if isinstance(row, PrefixGrant) else row.cluster.name,
        )
        for row in rows
    ]


_KINDS = {AddressClaim: "address", SubnetClaim: "subnet", VlanClaim: "VLAN", VniClaim: "VNI"}


def _claimed(row: Claim) -> Holder:
    return Holder(
        kind=_KINDS[type(row)] if row.tenant else "reserved",
        value=str(row),
        vrf=row.vrf.name if isinstance(row, AddressClaim | SubnetClaim) else "",
        tenant=row.tenant.slug if row.tenant else "",
        cluster=row.cluster.name,
        role=row.role if isinstance(row, AddressClaim) else "",
        user=row.user,
        plan_id=row.plan_id,
    )
