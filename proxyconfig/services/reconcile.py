"""Reconciling: one placement's proxy is brought to what the tenant's current revision says.

Level-triggered: a call reads everything anew, compares, and writes only a difference, so running it
twice, late, or beside itself changes nothing. Rows are read and written in short transactions; none
is open while a proxy is spoken to. Each ending, good or bad, is one write that the lease guards.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from proxyconfig.domain.conditions import Condition, Reason
from proxyconfig.domain.plan import Plan, diff
from proxyconfig.domain.resources import Resource, resources_hash
from proxyconfig.domain.target import Footprint, Outcome, OutcomeStatus, Target
from proxyconfig.models import Placement
from proxyconfig.services import environment, findings, placements, revisions
from proxyconfig.services.findings import Findings
from proxyconfig.services.placements import Lease, LeaseLostError, due_placements, placements_of
from proxyconfig.services.revisions import Current, Rollout
from tenants import audit
from tenants.domain.actor import system
from tenants.errors import InvalidError, PermanentError, TransientError
from tenants.models.scoped import platform_scope
from tenants.models.segment import VirtualAddress
from tenants.models.tenant import Tenant

__all__ = ["due_placements", "placements_of", "reconcile"]

logger = logging.getLogger(__name__)

BACKOFF_BASE_SECONDS = 1.0
# Below the silence after which an operation counts as dead: each attempt is its heartbeat.
BACKOFF_CAP_SECONDS = 30.0
# What a proxy refuses it refuses again; a person has to act, and may do it on the proxy's side.
PERMANENT_RETRY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Work:
    """One claimed placement, and what was true of it when it was claimed."""

    lease: Lease
    placement: Placement
    tenant: Tenant
    flavour: str
    current: Current
    footprint: Footprint

    @property
    def generation(self) -> int:
        return self.current.generation

    @property
    def is_behind(self) -> bool:
        return self.placement.observed_generation < self.generation


@dataclass(frozen=True, slots=True)
class _Ending:
    """How one look at a placement ended.

    Attributes:
        applied_hash: of what the proxy holds; None when it does not hold what it should.
        retry_in: when to look again, after a failure.
        values: further columns.
    """

    conditions: tuple[Condition, ...]
    applied_hash: str | None
    retry_in: timedelta | None = None
    values: dict[str, object] | None = None
    healed: str = ""


def reconcile(placement_id: int) -> None:
    """Bring what the proxy holds for one placement to what the tenant's current revision says.

    Returns at once when another worker has the placement, or when it is gone. What goes wrong on
    the proxy's side ends in the placement's conditions and its next attempt, not in an exception.
    """
    work = _claim(placement_id)
    if work is None:
        return
    rollout = Rollout(work.tenant, work.current.plan_id)
    try:
        _look(work, rollout)
    except LeaseLostError as lost:
        logger.info(lost.message, extra=_fields(work))


def backoff(attempts: int, *, jitter: float) -> timedelta:
    """How long to wait after the ``attempts``-th failure in a row, counted from 0.

    Args:
        jitter: 0 to 1; spreads the wait from half to one and a half times its middle.
    """
    # 2^30 s is far past any cap; without a bound the power would grow without end.
    middle = min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2 ** min(attempts, 30))
    return timedelta(seconds=middle * (0.5 + jitter))


def _claim(placement_id: int) -> _Work | None:
    """Lease, placement and current revision in one short transaction, generation first of all."""
    with platform_scope("reconcile"):
        lease = placements.claim(placement_id)
        if lease is None:
            return None
        rows = placements.held(lease).select_related("tenant", "cluster")
        placement = rows.get()
        current = revisions.current(placement.tenant)
        footprint = _footprint(placement, current)
    flavour = placement.cluster.flavour
    return _Work(lease, placement, placement.tenant, flavour, current, footprint)


def _footprint(placement: Placement, current: Current) -> Footprint:
    """Every address that the tenant holds there counts: one without a policy has to stay silent."""
    held = VirtualAddress.objects.filter(tenant=placement.tenant, cluster=placement.cluster)
    wanted = Footprint.of(current.intent)
    addresses = {*held.values_list("address", flat=True), *wanted.virtual_addresses}
    return Footprint(wanted.tenant, tuple(sorted(addresses)))


def _look(work: _Work, rollout: Rollout) -> None:
    seen = Findings(work.placement.conditions, generation=work.generation)
    try:
        ending = _bring(work, seen, rollout)
    except TransientError as error:
        if work.is_behind:
            rollout.begin()
            rollout.step("wait", message=error.message)
        seen.unreachable(error.message)
        ending = _Ending(seen.merged(), None, _next_attempt(work))
    except (PermanentError, InvalidError) as error:
        rollout.failed(error.message)
        seen.impossible(error)
        ending = _Ending(seen.merged(), None, PERMANENT_RETRY)
    except LeaseLostError:
        raise
    except Exception as error:
        seen.programmed(False, Reason.FAILED, f"{type(error).__name__}: see the worker's log.")
        _end(work, _Ending(seen.merged(), None, _next_attempt(work)), rollout)
        raise
    _end(work, ending, rollout)


def _bring(work: _Work, seen: Findings, rollout: Rollout) -> _Ending:
    """Observe, compare, and change the proxy where it differs."""
    desired = environment.compile_for(work.flavour, work.current.intent, tenant_id=work.tenant.pk)
    target = environment.target_for(work.flavour)
    footprint = work.footprint
    # What belongs to no tenant is repaired first: without it nothing else can be applied.
    repairs = () if work.tenant.is_paused else target.upkeep()
    change = diff(desired, target.observe(footprint))
    seen.reachable()
    seen.paused(work.tenant.is_paused)
    if change.is_empty:
        return _unchanged(work, seen, target, desired)
    if not work.is_behind and work.placement.applied_hash == resources_hash(desired):
        _record_drift(work, seen, change, repairs)
    if work.tenant.is_paused:
        seen.programmed(False, Reason.PAUSED_BY_OPERATOR, f"Not applied: {change.summary}.")
        return _Ending(seen.merged(), None, placements.CHECK_EVERY)
    if work.is_behind:
        rollout.begin()
    outcomes = _apply(work, target, footprint, change, rollout)
    left = diff(desired, target.observe(footprint))
    return _judge(work, seen, rollout, _Applied(target, desired, outcomes, left, repairs))


def _unchanged(work: _Work, seen: Findings, target: Target, desired: Sequence[Resource]) -> _Ending:
    """The cheap and usual ending: the proxy holds it already."""
    now = timezone.now()
    seen.programmed(True, Reason.PROGRAMMED, _held(desired))
    healed = findings.drift_message(seen) if seen.is_drifted else ""
    if healed:
        seen.healed(Reason.HEALED, healed, now)
    elif work.is_behind or not seen.knows_drift:
        seen.no_drift()
    if work.is_behind or not seen.is_serving:
        seen.probed(target.probe(desired))
    values: dict[str, object] = {"drift_healed_at": now} if healed else {}
    return _Ending(seen.merged(), resources_hash(desired), values=values, healed=healed)


def _record_drift(work: _Work, seen: Findings, change: Plan, repairs: Sequence[str]) -> None:
    """Say what differs before it is healed, so that it is on record whatever happens next."""
    if seen.is_drifted:
        return  # The same drift as before: a paused tenant's, or one whose healing failed.
    message = findings.describe(change, repairs)
    seen.drifted(message)
    conditions = seen.merged()
    now = timezone.now()
    logger.warning("Drift: %s", message, extra=_fields(work))
    placements.write(
        work.lease,
        {
            "drift_count": F("drift_count") + 1,
            "drifted_at": now,
            "drift_message": message,
            "checked_at": now,
            **findings.stored(conditions, generation=work.generation),
        },
    )


def _apply(
    work: _Work, target: Target, footprint: Footprint, change: Plan, rollout: Rollout
) -> list[Outcome]:
    """One call for each entry, so that the lease is renewed and the progress is seen between."""
    outcomes: list[Outcome] = []
    for done, entry in enumerate(change.changing):
        placements.renew(work.lease)
        rollout.step(f"{entry.action.value} {entry.identity}", message=entry.reason, done=done)
        outcomes.extend(target.apply(footprint, [entry]))
    placements.renew(work.lease)
    rollout.step("check", message="Looking at the proxy again", done=len(change.changing))
    return outcomes


@dataclass(frozen=True, slots=True)
class _Applied:
    """What was tried, and what is left to do."""

    target: Target
    desired: Sequence[Resource]
    outcomes: Sequence[Outcome]
    left: Plan
    repairs: Sequence[str]


def _judge(work: _Work, seen: Findings, rollout: Rollout, applied: _Applied) -> _Ending:
    """Conditions and next look after an attempt to change the proxy."""
    now = timezone.now()
    bad = [outcome for outcome in applied.outcomes if outcome.status is not OutcomeStatus.DONE]
    refused = [outcome for outcome in bad if outcome.status is OutcomeStatus.REFUSED]
    if refused:
        seen.refused(refused)
        rollout.failed(refused[0].message)
        return _Ending(seen.merged(), None, PERMANENT_RETRY)
    if bad:
        return _waiting(work, seen, rollout, Reason(bad[0].reason), bad[0].message)
    if not applied.left.is_empty:
        # It took everything and holds something else: another hand was at work in between.
        _record_drift(work, seen, applied.left, ())
        message = f"Still to do: {applied.left.summary}."
        return _waiting(work, seen, rollout, Reason.PENDING, message)
    seen.programmed(True, Reason.PROGRAMMED, _held(applied.desired))
    seen.probed(applied.target.probe(applied.desired))
    values: dict[str, object] = {"applied_at": now}
    healed = findings.drift_message(seen) if seen.is_drifted else ""
    if healed:
        seen.healed(Reason.RESTARTED if applied.repairs else Reason.HEALED, healed, now)
        values["drift_healed_at"] = now
    else:
        seen.no_drift()
    return _Ending(seen.merged(), resources_hash(applied.desired), values=values, healed=healed)


def _waiting(
    work: _Work, seen: Findings, rollout: Rollout, reason: Reason, message: str
) -> _Ending:
    """It may work the next time."""
    seen.programmed(False, reason, message)
    rollout.step("wait", message=message)
    return _Ending(seen.merged(), None, _next_attempt(work))


def _end(work: _Work, ending: _Ending, rollout: Rollout) -> None:
    """The one write that ends the work, and gives the lease back; the plan's state goes with it.

    Raises:
        LeaseLostError: another worker took over; what was found out here is dropped.
    """
    now = timezone.now()
    values: dict[str, object] = {
        "lease_token": None,
        "lease_until": None,
        "checked_at": now,
        **findings.stored(ending.conditions, generation=work.generation),
        **(ending.values or {}),
    }
    with platform_scope("reconcile"):
        if ending.applied_hash is not None:
            values |= {
                "observed_generation": work.generation,
                "applied_hash": ending.applied_hash,
                "attempts": 0,
                "next_attempt_at": now,
                "next_check_at": now + placements.CHECK_EVERY,
            }
        else:
            values |= _retry(work, now + (ending.retry_in or PERMANENT_RETRY), now)
        if not placements.held(work.lease).update(**values):
            raise LeaseLostError(
                f"What was found out about {work.placement} is dropped: another worker has it."
            )
        if ending.applied_hash is not None and work.is_behind:
            rollout.applied()
        if ending.healed:
            actor = system("reconcile")
            audit.record(
                actor,
                "placement.drift-healed",
                work.placement,
                detail={"drift": ending.healed, "generation": work.generation},
            )


def _retry(work: _Work, later: datetime, now: datetime) -> dict[str, object]:
    """When to try again; at once when the tenant moved on meanwhile, for that is another wish."""
    generation = Tenant.objects.values_list("generation", flat=True).get(pk=work.tenant.pk)
    if generation != work.generation:
        return {"attempts": 0, "next_attempt_at": now, "next_check_at": now}
    return {
        "attempts": 0 if work.tenant.is_paused else work.placement.attempts + 1,
        "next_attempt_at": later,
        "next_check_at": later,
    }


def _next_attempt(work: _Work) -> timedelta:
    return backoff(work.placement.attempts, jitter=random.random())  # noqa: S311 - no secret


def _held(desired: Sequence[Resource]) -> str:
    return f"The proxy holds all {len(desired)} objects of this generation."


def _fields(work: _Work) -> dict[str, str]:
    return {"tenant": work.tenant.slug, "object": f"placement {work.placement.pk}"}
