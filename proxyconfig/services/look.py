"""One look at a proxy: compare, change where it differs, and judge how it went.

No transaction is open here. What is found out is gathered in ``Findings`` and ``Rollout``, and ends
as an ``Ending``, which ``reconcile`` writes.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from proxyconfig.domain.conditions import Condition, Reason
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.inventory import Record
from proxyconfig.domain.plan import Plan, PlanAction
from proxyconfig.domain.resources import Identity, Resource, resources_hash
from proxyconfig.domain.target import Footprint, Outcome, OutcomeStatus, Target
from proxyconfig.models import Placement
from proxyconfig.services import environment, findings, lease
from proxyconfig.services.findings import Findings
from proxyconfig.services.lease import Keeper, Lease
from proxyconfig.services.rollout import Rollout
from tenants.domain.states import ChangeState
from tenants.errors import InvalidError, PermanentError, TransientError
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Cluster, Tenant

logger = logging.getLogger(__name__)

BACKOFF_BASE_SECONDS = 1.0
BACKOFF_CAP_SECONDS = 30.0
# What a proxy refuses it refuses again; a person has to act, and may do it on the proxy's side.
PERMANENT_RETRY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One claimed placement: what was true when it was claimed, and what is found out since.

    Attributes:
        generation: the tenant's; read before the intent, which may be newer but never older.
        is_behind: the proxy was last brought to an older generation.
        inventory: what the target keeps in mind, brought up to date as the look goes on.
        unreadable: why there is no intent, if so.
        is_ending: nothing of the tenant is wanted there any more.
        is_paused: the proxy is watched and left as it is.
        is_suspended: the proxy is emptied, and filled again when the tenant resumes.
    """

    lease: Lease
    placement: Placement
    tenant: Tenant
    cluster: Cluster
    generation: int
    intent: Intent
    seen: Findings
    rollout: Rollout
    inventory: dict[Identity, Record]
    is_behind: bool
    is_ending: bool
    is_paused: bool
    is_suspended: bool
    unreadable: InvalidError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one look at a placement ended.

    Attributes:
        conditions: those to store.
        is_done: the proxy holds what it should.
        state: of the plan, as far as this placement goes; None leaves it as it is.
        message: why it failed.
        applied_hash: of what the proxy holds, once it is done.
        look_in: when to look again.
        healed: what the drift was that is gone.
        values: further columns.
    """

    conditions: tuple[Condition, ...]
    is_done: bool = False
    state: ChangeState | None = None
    message: str = ""
    applied_hash: str = ""
    look_in: timedelta
    healed: str = ""
    values: dict[str, Any] = field(default_factory=dict)  # Any: by column.


def look_at(look: Look, keeper: Keeper) -> Ending:
    """Bring the proxy to what it should hold; how that ends, whatever the proxy answers.

    Raises:
        LeaseLostError: another worker has the placement by now.
    """
    try:
        if look.unreadable is not None:
            raise look.unreadable
        return _bring(look, keeper)
    except TransientError as error:
        look.seen.unreachable(error)
        look.rollout.step("wait", error.message)
        return _again(look, at_least=error.retry_after_seconds)
    except (PermanentError, InvalidError) as error:
        look.seen.impossible(error)
        return _failed(look, error.message)


def _bring(look: Look, keeper: Keeper) -> Ending:
    """Compare, and change the proxy where it differs."""
    seen = look.seen
    desired = _desired(look)
    target = environment.target_for(look.cluster)
    footprint = Footprint.of(look.intent.on(look.cluster.name))
    # What belongs to no tenant is repaired first: without it nothing else can be applied.
    repairs = () if look.is_paused else target.upkeep()
    keeper.check()
    change = _plan(look, target, footprint, desired)
    keeper.check()
    seen.reachable()
    seen.resumed()
    if look.is_paused:
        seen.paused(look.generation if change.is_empty else look.placement.observed_generation)
    if change.is_empty:
        return _unchanged(look, target, desired)
    is_as_before = not look.is_behind and look.placement.applied_hash == resources_hash(desired)
    if is_as_before and change.differs:
        _record_drift(look, change, repairs)
    if look.is_paused:
        seen.programmed(False, Reason.PAUSED_BY_OPERATOR, f"Not applied: {change.summary}.")
        return Ending(conditions=seen.merged(), look_in=target.cadence.check_every)
    outcomes = _apply(look, target, footprint, change, keeper)
    left = _plan(look, target, footprint, desired)
    keeper.check()
    return _judge(look, target, desired, _Tried(outcomes, left, repairs))


def _plan(look: Look, target: Target, footprint: Footprint, desired: Sequence[Resource]) -> Plan:
    """What there is to do; the inventory forgets what is on neither side."""
    change = target.plan(desired, footprint, look.inventory)
    for identity in look.inventory.keys() - {entry.identity for entry in change.entries}:
        del look.inventory[identity]
    for entry in change.entries:
        if entry.action is PlanAction.KEEP and entry.record is not None:
            look.inventory[entry.identity] = entry.record
    return change


def _desired(look: Look) -> tuple[Resource, ...]:
    """What the proxy should hold: of a tenant that left nothing, of a suspended one what denies."""
    if look.is_ending:
        return ()
    return environment.compile_for(look.cluster, _served(look), tenant=look.tenant)


def _served(look: Look) -> Intent:
    """The intent that is compiled. Without its policies a suspended tenant has default deny left,
    where an empty proxy of a cluster that denies nothing by itself would open its network.
    """
    if not look.is_suspended:
        return look.intent
    return replace(look.intent, listeners=(), ingress_policies=(), egress_policies=())


def _unchanged(look: Look, target: Target, desired: Sequence[Resource]) -> Ending:
    """The cheap and usual ending: the proxy holds it already."""
    seen = look.seen
    if look.is_suspended:
        return _emptied(look, target, desired)
    seen.programmed(True, Reason.PROGRAMMED, _held(desired))
    healed = _healed(seen, Reason.HEALED)
    if not healed and (look.is_behind or not seen.knows_drift):
        seen.no_drift()
    if look.is_behind or not seen.is_serving:
        seen.probed(target.probe(desired))
    return _done(look, target, desired, healed=healed)


def _record_drift(look: Look, change: Plan, repairs: Sequence[str]) -> None:
    """Say what differs before it is healed, so that it is on record whatever happens next."""
    if look.seen.is_drifted:
        return  # The same drift as before: a paused tenant's, or one whose healing failed.
    message = findings.describe(change, repairs)
    look.seen.drifted(message)
    now = timezone.now()
    logger.warning("Drift: %s", message, extra=log_fields(look))
    with platform_scope("reconcile"):
        lease.write(
            look.lease,
            {
                "drift_count": F("drift_count") + 1,
                "drifted_at": now,
                "drift_message": message,
                "checked_at": now,
                **findings.stored(look.seen.merged(), generation=look.generation),
            },
        )


def _apply(
    look: Look, target: Target, footprint: Footprint, change: Plan, keeper: Keeper
) -> list[Outcome]:
    """One call for each entry, so that the progress of a long apply is seen between."""
    where = f" on {look.cluster}" if look.is_ending or len(look.intent.clusters) > 1 else ""
    outcomes: list[Outcome] = []
    look.rollout.step("plan", "Compared with what the proxy holds")
    for done, entry in enumerate(change.changing):
        look.rollout.step(f"{entry.action.value} {entry.identity}{where}", entry.reason, done=done)
        _show_progress(look)
        for outcome in target.apply(footprint, [entry]):
            _remember(look, outcome)
            outcomes.append(outcome)
        keeper.check()
    look.rollout.step("check", "Looking at the proxy again", done=len(change.changing))
    return outcomes


def _remember(look: Look, outcome: Outcome) -> None:
    if outcome.status is not OutcomeStatus.DONE:
        return
    if outcome.record is None:
        look.inventory.pop(outcome.identity, None)
    else:
        look.inventory[outcome.identity] = outcome.record


def _show_progress(look: Look) -> None:
    """Write the steps of an apply that takes long, and renew the lease with them."""
    if look.rollout.is_due:
        with platform_scope("reconcile"):
            lease.renew(look.lease)
            look.rollout.write(ChangeState.APPLYING)


@dataclass(frozen=True, slots=True)
class _Tried:
    """What was tried, and what is left to do."""

    outcomes: Sequence[Outcome]
    left: Plan
    repairs: Sequence[str]


def _judge(look: Look, target: Target, desired: Sequence[Resource], tried: _Tried) -> Ending:
    """How it ends after an attempt to change the proxy."""
    seen = look.seen
    bad = [outcome for outcome in tried.outcomes if outcome.status is not OutcomeStatus.DONE]
    refused = [outcome for outcome in bad if outcome.status is OutcomeStatus.REFUSED]
    if refused:
        seen.refused(refused)
        return _failed(look, refused[0].message)
    if bad:
        return _waiting(look, Reason(bad[0].reason), bad[0].message)
    if not tried.left.is_empty:
        # It took everything and holds something else: another hand was at work in between.
        _record_drift(look, tried.left, ())
        return _waiting(look, Reason.PENDING, f"Still to do: {tried.left.summary}.")
    if look.is_suspended:
        return _emptied(look, target, desired)
    seen.programmed(True, Reason.PROGRAMMED, _held(desired))
    seen.probed(target.probe(desired))
    healed = _healed(seen, Reason.RESTARTED if tried.repairs else Reason.HEALED)
    if not healed:
        seen.no_drift()
    return _done(look, target, desired, healed=healed, applied_at=timezone.now())


def _healed(seen: Findings, reason: Reason) -> str:
    """What the drift was that is gone; "" when there was none."""
    if not seen.is_drifted:
        return ""
    message = findings.drift_message(seen)
    seen.healed(reason, message, timezone.now())
    return message


def _done(
    look: Look, target: Target, desired: Sequence[Resource], *, healed: str, **values: datetime
) -> Ending:
    """The proxy holds what it should."""
    if healed:
        values["drift_healed_at"] = timezone.now()
    return Ending(
        conditions=look.seen.merged(),
        is_done=True,
        state=ChangeState.APPLIED,
        applied_hash=resources_hash(desired),
        look_in=target.cadence.check_every,
        healed=healed,
        values=values,
    )


def _emptied(look: Look, target: Target, desired: Sequence[Resource]) -> Ending:
    """The proxy serves nothing of a suspended tenant; what was approved waits for its return."""
    seen = look.seen
    healed = _healed(seen, Reason.HEALED)
    if not healed:
        seen.no_drift()
    seen.suspended()
    # Not done: this generation is on no proxy yet. The hash tells its return from a drift.
    values: dict[str, Any] = {"applied_hash": resources_hash(desired)}  # Any: by column.
    if healed:
        values["drift_healed_at"] = timezone.now()
    later = target.cadence.check_every
    return Ending(conditions=seen.merged(), look_in=later, healed=healed, values=values)


def _waiting(look: Look, reason: Reason, message: str) -> Ending:
    look.seen.programmed(False, reason, message)
    look.rollout.step("wait", message)
    return _again(look)


def _again(look: Look, *, at_least: float = 0.0) -> Ending:
    """It may work the next time.

    Args:
        at_least: seconds that the proxy asked to wait.
    """
    wait = backoff(look.placement.attempts, jitter=random.random())  # noqa: S311 - no secret
    wait = max(wait, timedelta(seconds=at_least))
    return Ending(conditions=look.seen.merged(), state=ChangeState.APPLYING, look_in=wait)


def _failed(look: Look, message: str) -> Ending:
    """Trying again cannot help until a person acts."""
    return Ending(
        conditions=look.seen.merged(),
        state=ChangeState.FAILED,
        message=message,
        look_in=PERMANENT_RETRY,
    )


def broken(look: Look, error: Exception) -> Ending:
    """How it ends when the code is at fault."""
    look.seen.programmed(False, Reason.FAILED, f"{type(error).__name__}: see the worker's log.")
    return _again(look)


def backoff(attempts: int, *, jitter: float) -> timedelta:
    """How long to wait after the ``attempts``-th failure in a row, counted from 0.

    Args:
        jitter: 0 to 1; spreads the wait from half to one and a half times its middle.
    """
    # 2^30 s is far past any cap; without a bound the power would grow without end.
    middle = min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2 ** min(attempts, 30))
    return timedelta(seconds=middle * (0.5 + jitter))


def _held(desired: Sequence[Resource]) -> str:
    return f"The proxy holds all {len(desired)} objects of this generation."


def log_fields(look: Look) -> dict[str, str]:
    """Which tenant and placement a line of the log is about."""
    return {"tenant": look.tenant.slug, "object": f"placement {look.placement.pk}"}
