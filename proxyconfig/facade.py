"""What the other apps may ask of the front door; nothing else of this app is theirs to import.

Each function runs inside the caller's tenant scope, or in one of the platform's staff.
"""

import base64
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, Func, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone

from proxyconfig.domain import conditions
from proxyconfig.domain.fields import Mode
from proxyconfig.models import Connection, IntentObject, Placement, Plan
from proxyconfig.services import new_tenants, templates
from proxyconfig.services.environment import egress_password
from tenants.domain.actor import Actor
from tenants.domain.states import ChangeState, Direction, Health, SyncState, Verdict
from tenants.models.scoped import TenantScoped
from tenants.models.tenant import Tenant

RECENT_PLANS = 5
LEDGER_WINDOW = timedelta(hours=24)
Owned = TypeVar("Owned", bound=TenantScoped)

_ROWS = ("ingress_count", "egress_count", "waiting_plans")
_LEDGER = ("allowed_in", "allowed_out", "denied")
_NO_COUNTS: Mapping[str, int] = dict.fromkeys((*_ROWS, *_LEDGER), 0)


@dataclass(frozen=True, slots=True)
class EgressEndpoint:
    """The way out: everything else is closed.

    Attributes:
        proxy_url: ``http://host:port``, without the credential, so that it may be logged.
        headers: go to the proxy with each request or CONNECT; they carry the credential.
    """

    proxy_url: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One line of the ledger; the fields are those of the row."""

    proxy_id: str
    trace_id: str
    direction: str
    source_address: str | None
    snat_address: str | None
    destination_host: str
    destination_address: str | None
    destination_port: int | None
    detail: str
    bytes_sent: int
    bytes_received: int
    verdict: str
    rule_id: str
    message: str
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class TrafficDay:
    """What went through a tenant's front door on one day; bytes of both directions of each."""

    day: date
    bytes_in: int
    bytes_out: int
    connections: int
    denied: int


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan in a list."""

    pk: int
    summary: str
    state: str
    reason: str
    author_name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """A tenant's front door at a glance.

    Attributes:
        sync_state, health: of the worst placement.
        addresses: its virtual addresses.
        allowed_in, allowed_out, denied: connections of the last 24 hours.
    """

    sync_state: SyncState
    health: Health
    addresses: Sequence[str]
    ingress_count: int
    egress_count: int
    waiting_plans: int
    recent_plans: Sequence[PlanView]
    allowed_in: int
    allowed_out: int
    denied: int
    drifted_at: datetime | None
    drift_healed_at: datetime | None
    drift_message: str

    @property
    def allowed(self) -> int:
        """Both ways together."""
        return self.allowed_in + self.allowed_out


def egress_endpoint(tenant: Tenant) -> EgressEndpoint:
    """Where and how the tenant's workloads connect outwards; no query."""
    pair = f"{tenant.slug}:{egress_password(tenant.pk)}"
    credential = base64.b64encode(pair.encode()).decode()
    return EgressEndpoint(
        proxy_url=f"http://{settings.EGRESS_ADDRESS}",
        headers={"Proxy-Authorization": f"Basic {credential}"},
    )


def connections(trace_id: str) -> list[ConnectionView]:
    """Every connection in and out that belongs to one trace, in the order of opening; one query."""
    rows = Connection.objects.filter(trace_id=trace_id).order_by("opened_at", "pk")
    return [
        ConnectionView(
            proxy_id=row.proxy_id.hex,
            trace_id=row.trace_id,
            direction=row.direction,
            source_address=row.source_address,
            snat_address=row.snat_address,
            destination_host=row.destination_host,
            destination_address=row.destination_address,
            destination_port=row.destination_port,
            detail=row.detail,
            bytes_sent=row.bytes_sent,
            bytes_received=row.bytes_received,
            verdict=row.verdict,
            rule_id=row.rule_id,
            message=row.message,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
        )
        for row in rows
    ]


def traffic(first: datetime, end: datetime) -> list[TrafficDay]:
    """The bytes of the scope's tenant by day, oldest first, of what opened from ``first`` on and
    before ``end``; one query.
    """
    rows = Connection.objects.filter(opened_at__gte=first, opened_at__lt=end)
    is_in, is_out = Q(direction=Direction.IN), Q(direction=Direction.OUT)
    carried = F("bytes_sent") + F("bytes_received")
    summed = (
        rows.order_by()
        .annotate(day=TruncDate("opened_at", tzinfo=UTC))
        .values("day")
        .annotate(
            bytes_in=Sum(carried, filter=is_in, default=0),
            bytes_out=Sum(carried, filter=is_out, default=0),
            connections=Count("pk"),
            denied=Count("pk", filter=Q(verdict=Verdict.DENIED)),
        )
    )
    return [TrafficDay(**row) for row in summed.order_by("day")]


def summary(tenant: Tenant) -> Summary:
    """The tenant's front door at a glance; as many queries as for a page of tenants."""
    return summaries([tenant.pk])[tenant.pk]


def summaries(tenant_ids: Collection[int]) -> dict[int, Summary]:
    """Each tenant's front door at a glance, by id; five queries, however many tenants.

    The caller's scope has to let all of them through: what it hides counts as nothing.
    """
    placements = _by_tenant(Placement.objects.filter(tenant__in=tenant_ids))
    addresses = _by_tenant(
        IntentObject.objects.filter(tenant__in=tenant_ids, collection="virtual-addresses")
    )
    plans = _recent_plans(tenant_ids)
    counts = _row_counts(tenant_ids)
    ledger = _ledger_counts(tenant_ids)
    return {
        pk: _summary(
            placements[pk],
            addresses=[row.spec["address"] for row in addresses[pk]],
            recent_plans=[_plan_view(plan) for plan in plans[pk]],
            counts={**_NO_COUNTS, **counts.get(pk, {}), **ledger.get(pk, {})},
        )
        for pk in tenant_ids
    }


def _summary(
    placements: Sequence[Placement],
    *,
    addresses: Sequence[str],
    recent_plans: Sequence[PlanView],
    counts: Mapping[str, int],
) -> Summary:
    drifted = max(
        (placement for placement in placements if placement.drifted_at is not None),
        key=lambda placement: placement.drifted_at or placement.next_check_at,
        default=None,
    )
    return Summary(
        sync_state=_worst_sync(placements),
        health=conditions.worst(Health(placement.health) for placement in placements),
        addresses=addresses,
        recent_plans=recent_plans,
        drifted_at=drifted.drifted_at if drifted else None,
        drift_healed_at=drifted.drift_healed_at if drifted else None,
        drift_message=drifted.drift_message if drifted else "",
        **counts,
    )


# What people should see first when placements differ.
_SYNC_ORDER = (
    SyncState.DRIFTED,
    SyncState.OUT_OF_SYNC,
    SyncState.UNKNOWN,
    SyncState.SUSPENDED,
    SyncState.PAUSED,
    SyncState.IN_SYNC,
)


def _worst_sync(placements: Sequence[Placement]) -> SyncState:
    states = [SyncState(placement.sync_state) for placement in placements]
    return min(states, key=_SYNC_ORDER.index, default=SyncState.UNKNOWN)


def _by_tenant(rows: Iterable[Owned]) -> defaultdict[int, list[Owned]]:
    """One query; the order within a tenant stays."""
    grouped: defaultdict[int, list[Owned]] = defaultdict(list)
    for row in rows:
        grouped[row.tenant_id].append(row)
    return grouped


def _recent_plans(tenant_ids: Collection[int]) -> defaultdict[int, list[Plan]]:
    # For each tenant a few steps down the index, where a window function would number every plan.
    newest = Plan.objects.filter(tenant=OuterRef("pk")).values("pk")[:RECENT_PLANS]
    tenants = Tenant.objects.filter(pk__in=tenant_ids)
    wanted = tenants.values_list(Func(ArraySubquery(newest), function="unnest"))
    return _by_tenant(
        Plan.objects.filter(pk__in=wanted).defer("base", "intent", "entries", "changes")
    )


def _row_counts(tenant_ids: Collection[int]) -> dict[int, dict[str, int]]:
    waiting = Plan.objects.filter(state=ChangeState.AWAITING_APPROVAL.value)
    found = Tenant.objects.filter(pk__in=tenant_ids).annotate(
        ingress_count=_count_of(_enforced("ingress-policies")),
        egress_count=_count_of(_enforced("egress-policies")),
        waiting_plans=_count_of(waiting),
    )
    lines = found.values_list("pk", *_ROWS)
    return {pk: dict(zip(_ROWS, counts, strict=True)) for pk, *counts in lines}


def _enforced(collection: str) -> QuerySet[IntentObject]:
    """The policies that act: a staged one, or one that waits, opens nothing."""
    return IntentObject.objects.filter(collection=collection, spec__mode=Mode.ENFORCED.value)


def _count_of(rows: QuerySet[Any]) -> Coalesce:  # Any: of whichever model.
    """How many of ``rows`` the tenant of the outer query has."""
    mine = rows.filter(tenant=OuterRef("pk")).order_by().values("tenant")
    return Coalesce(Subquery(mine.values(count=Count("pk"))), 0)


def _ledger_counts(tenant_ids: Collection[int]) -> dict[int, dict[str, int]]:
    since = timezone.now() - LEDGER_WINDOW
    allowed = Q(verdict=Verdict.ALLOWED.value)
    recent = Connection.objects.filter(tenant__in=tenant_ids, opened_at__gte=since)
    found = (
        recent.order_by()
        .values("tenant_id")
        .annotate(
            allowed_in=Count("pk", filter=allowed & Q(direction=Direction.IN.value)),
            allowed_out=Count("pk", filter=allowed & Q(direction=Direction.OUT.value)),
            denied=Count("pk", filter=Q(verdict=Verdict.DENIED.value)),
        )
    )
    lines = found.values_list("tenant_id", *_LEDGER)
    return {pk: dict(zip(_LEDGER, counts, strict=True)) for pk, *counts in lines}


def _plan_view(plan: Plan) -> PlanView:
    return PlanView(
        pk=plan.pk,
        summary=plan.summary,
        state=plan.state,
        reason=plan.reason,
        author_name=plan.author_name,
        created_at=plan.created_at,
    )


def save_template(
    name: str, spec: Mapping[str, Any], *, actor: Actor, description: str = ""
) -> None:
    """Make a template of tenants from its JSON mapping.

    Raises:
        SluiceError: as ``services.templates.save_template``.
    """
    wanted = templates.read_template(dict(spec))
    templates.save_template(name, wanted, actor=actor, description=description)


def create_tenant_from(
    template: str,
    *,
    slug: str,
    name: str,
    actor: Actor,
    reason: str,
    begin: Mapping[str, Any] | None = None,
) -> Tenant:
    """A new tenant of the template of that name.

    Args:
        begin: fields of ``services.new_tenants.Begin``: where to look for what is free.

    Raises:
        SluiceError: as ``services.new_tenants.create_tenant_from``; nothing was made.
    """
    created = new_tenants.create_tenant_from(
        templates.find_template(template),
        slug=slug,
        name=name,
        actor=actor,
        reason=reason,
        begin=new_tenants.Begin(**(begin or {})),
    )
    return created.tenant
