"""A tenant's networks arranged for the page: what is in force, what waits, and what is left."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from proxyconfig.domain import objects
from proxyconfig.domain.intent import Intent, Segment
from proxyconfig.domain.objects import BY_NAME, IntentObject, Key, key_of
from proxyconfig.domain.policies.addresses import UsedAddress, used_addresses
from proxyconfig.domain.references import users
from proxyconfig.models import Placement, Plan
from proxyconfig.ui import pages
from proxyconfig.ui.fields import host_count
from tenants.models import NamespaceGrant, PrefixGrant, VlanGrant, VniGrant
from tenants.models.tenant import Tenant
from tenants.services import pausing

MOST_ROWS = 500
# To look up who uses an object costs a walk over the intent, so that it is done only to be shown.
_SHOWN_WITH_USERS = frozenset(
    {
        "namespaces",
        "virtual-addresses",
        "snat-pools",
        "listeners",
        "address-lists",
        "port-lists",
        "tls-references",
    }
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A link to another object."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """An object that is in force.

    Attributes:
        pending: the plans that wait and would change or delete it.
        used_by: what could not stay as it is without it.
    """

    key: Key
    item: IntentObject
    url: str
    pending: Sequence[Plan]
    used_by: Sequence[Reference]


@dataclass(frozen=True, slots=True)
class PendingLine:
    """What a plan that waits would do to an object: ``add``, ``change`` or ``delete``."""

    action: str
    title: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class SubnetUse:
    """A subnet, and how many of its addresses the tenant uses."""

    cidr: str
    gateway: str | None
    used: int
    total: int


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment with its subnets and the proxy's addresses on it."""

    row: ObjectRow
    subnets: Sequence[SubnetUse]
    self_ips: Sequence[ObjectRow]


@dataclass(frozen=True, slots=True)
class GrantGroup:
    """What the tenant may take, of one kind."""

    title: str
    lines: Sequence[tuple[str, str]]


class View:
    """What is in force and what waits, ready to be asked collection by collection."""

    def __init__(self, tenant: Tenant, intent: Intent, pending: Mapping[Key, list[Plan]]) -> None:
        self._tenant, self._intent, self._pending = tenant, intent, pending
        self._objects = objects.objects(intent)

    def rows(self, collection: str) -> list[ObjectRow]:
        """The objects that are in force."""
        items = getattr(self._intent, BY_NAME[collection].field)
        return [self._row(collection, item) for item in items]

    def waiting(self, *collections: str) -> list[PendingLine]:
        """What waits for a decision, oldest plan first."""
        found = [
            PendingLine(change["action"], change["title"], plan)
            for key, plans in self._pending.items()
            if key.collection in collections
            for plan in plans
            for change in plan.changes
            if Key(change["collection"], change["name"]) == key
        ]
        return sorted(found, key=lambda line: (line.plan.pk, line.title))

    def segments(self) -> list[SegmentRow]:
        """The segments with what is on them."""
        used = list(used_addresses(self._intent))
        self_ips = self.rows("self-ips")
        return [
            SegmentRow(
                row,
                [
                    subnet_use(row.item, subnet.cidr, subnet.gateway, used)
                    for subnet in row.item.subnets
                ],
                [ip for ip in self_ips if ip.item.segment == row.item.name],
            )
            for row in self.rows("segments")
        ]

    def _row(self, collection: str, item: IntentObject) -> ObjectRow:
        key = key_of(item)
        return ObjectRow(
            key,
            item,
            pages.edit_of(self._tenant, key),
            self._pending.get(key, ()),
            [self._reference(user) for user in users(self._intent, key)]
            if collection in _SHOWN_WITH_USERS
            else [],
        )

    def _reference(self, key: Key) -> Reference:
        item = self._objects.get(key)
        name = getattr(item, "name", None) or getattr(item, "address", key.name)
        return Reference(str(name), pages.edit_of(self._tenant, key))


def subnet_use(
    segment: Segment, cidr: str, gateway: str | None, used: Iterable[UsedAddress]
) -> SubnetUse:
    """How full a subnet is, as far as the tenant's own addresses go."""
    network = ipaddress.ip_network(cidr)
    place = (segment.cluster, segment.vrf or "")
    taken = {
        entry.address
        for entry in used
        if (entry.cluster, entry.vrf) == place and ipaddress.ip_address(entry.address) in network
    }
    return SubnetUse(cidr, gateway, len(taken), host_count(cidr))


def grants(tenant: Tenant) -> list[GrantGroup]:
    """What the platform lets the tenant take, with where; four queries."""
    prefixes = PrefixGrant.objects.filter(tenant=tenant).select_related("vrf")
    vlans = VlanGrant.objects.filter(tenant=tenant).select_related("cluster")
    vnis = VniGrant.objects.filter(tenant=tenant).select_related("cluster")
    namespaces = NamespaceGrant.objects.filter(tenant=tenant).select_related("cluster")
    vrf = _("VRF %(name)s")
    found = [
        GrantGroup(
            _("Prefixes"),
            [
                (str(row), f"{row.get_purpose_display()}, {vrf % {'name': row.vrf}}")
                for row in prefixes[:MOST_ROWS]
            ],
        ),
        GrantGroup(_("VLAN tags"), [(str(row), str(row.cluster)) for row in vlans[:MOST_ROWS]]),
        GrantGroup(_("VNIs"), [(str(row), str(row.cluster)) for row in vnis[:MOST_ROWS]]),
        GrantGroup(
            _("Namespaces"), [(str(row), str(row.cluster)) for row in namespaces[:MOST_ROWS]]
        ),
    ]
    return [group for group in found if group.lines]


@dataclass(frozen=True, slots=True)
class Pause:
    """What the proxies of a paused tenant do meanwhile.

    Attributes:
        is_suspended: they serve nothing.
        revision: else the newest that one of them still serves; 0 for none.
    """

    is_suspended: bool
    revision: int


def pause_of(tenant: Tenant) -> Pause | None:
    """What pages about policies and networks say while the tenant is paused; None otherwise."""
    now = timezone.now()
    if not pausing.is_paused(tenant, now):
        return None
    placements = Placement.objects.filter(tenant=tenant)
    newest = placements.aggregate(newest=Max("observed_generation"))["newest"] or 0
    return Pause(is_suspended=pausing.is_suspended(tenant, now), revision=newest)
