"""Reconciling: one placement's proxy is brought to what the tenant's current revision says.

Level-triggered: a call reads everything anew, compares, and writes only a difference, so running it
twice, late, or beside itself changes nothing. One short transaction claims the placement and reads
what is wanted; then ``look`` speaks to the proxy, with no transaction open; one short transaction,
which the lease guards, writes all that was gathered. Rows are locked in one order everywhere:
tenant, placements by id, plan, operation.
"""

import logging
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from proxyconfig.domain import inventory
from proxyconfig.domain.intent import Intent
from proxyconfig.models import Revision
from proxyconfig.services import findings, lease, placements, revisions
from proxyconfig.services.findings import Findings
from proxyconfig.services.lease import Keeper, LeaseLostError
from proxyconfig.services.look import Ending, Look, broken, log_fields, look_at
from proxyconfig.services.placements import due_placements, placements_of
from proxyconfig.services.rollout import Rollout
from tenants import audit, locks
from tenants.domain.actor import system
from tenants.domain.states import ChangeState
from tenants.errors import InvalidError
from tenants.locks import Level
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Tenant
from tenants.services.pausing import is_paused, is_suspended

__all__ = ["due_placements", "placements_of", "reconcile"]

logger = logging.getLogger(__name__)

# What reading a revision raises that was written by something else, or by hand.
_UNREADABLE = (InvalidError, ValueError, TypeError, LookupError, AttributeError)


def reconcile(placement_id: int) -> None:
    """Bring what the proxy holds for one placement to what the tenant's current revision says.

    Returns at once when another worker has the placement, or when it is gone. What goes wrong on
    the proxy's side, or with a revision, ends in the placement's conditions and its next attempt,
    not in an exception.
    """
    look = _claim(placement_id)
    if look is None:
        return
    try:
        _end(look, _ending(look))
    except LeaseLostError as lost:
        logger.info(lost.message, extra=log_fields(look))


def _ending(look: Look) -> Ending:
    """How the look ends; where the code is at fault, that is written before it raises."""
    try:
        with Keeper(look.lease) as keeper:
            return look_at(look, keeper)
    except LeaseLostError:
        raise
    except Exception as error:
        _end(look, broken(look, error))
        raise


def _claim(placement_id: int) -> Look | None:
    """Lease, placement, tenant, cluster and current revision."""
    with platform_scope("reconcile"):
        claimed = lease.claim(placement_id)
        if claimed is None:
            return None
        placement = claimed.placement
        tenant, cluster = placement.tenant, placement.cluster
        wanted = _wanted(tenant)
        is_ending = wanted.unreadable is None and placements.is_ending(cluster, wanted.intent)
    generation = tenant.generation
    is_behind = placement.observed_generation < generation
    now = timezone.now()
    suspended = is_suspended(tenant, now)
    return Look(
        lease=claimed,
        placement=placement,
        tenant=tenant,
        cluster=cluster,
        generation=generation,
        intent=wanted.intent,
        seen=Findings(placement.conditions, generation=generation),
        # What was brought here already needs no report.
        rollout=Rollout(tenant, wanted.plan_id if is_behind else None, generation=generation),
        inventory=inventory.parse(placement.inventory),
        is_behind=is_behind,
        is_ending=is_ending,
        is_paused=is_paused(tenant, now) and not suspended,
        is_suspended=suspended,
        unreadable=wanted.unreadable,
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the current revision says, as far as it can be read."""

    intent: Intent
    plan_id: int | None
    unreadable: InvalidError | None = None


def _wanted(tenant: Tenant) -> _Wanted:
    try:
        current = revisions.current(tenant)
    except _UNREADABLE as error:
        plans = Revision.objects.filter(tenant=tenant).values_list("plan_id", flat=True)
        reason = InvalidError(f"The current revision cannot be read: {error}")
        return _Wanted(Intent(tenant=tenant.slug), plans.latest("generation"), reason)
    return _Wanted(current.intent, current.plan_id)


def _end(look: Look, ending: Ending) -> None:
    """Write all that was found out, and give the lease back.

    Raises:
        LeaseLostError: another worker took over; what was found out here is dropped.
    """
    with platform_scope("reconcile"):
        # Whoever was up to date and is so again has nothing to settle with others.
        is_routine = ending.is_done and not look.is_behind and not look.is_ending
        has_moved_on = not is_routine and _generation(look, ending) != look.generation
        if ending.is_done and look.is_ending and not has_moved_on:
            _remove(look)
        else:
            lease.write(look.lease, _columns(look, ending, has_moved_on=has_moved_on))
        if look.is_behind and ending.state is not None:
            # The intent may be of a newer plan than the generation, which others have yet to reach.
            is_early = has_moved_on and ending.is_done
            state = ChangeState.APPLYING if is_early else ending.state
            look.rollout.write(state, message=ending.message)
        if ending.healed:
            detail = {"drift": ending.healed, "generation": look.generation}
            actor = system("reconcile")
            audit.record(actor, "placement.drift-healed", look.placement, detail=detail)


def _generation(look: Look, ending: Ending) -> int | None:
    """The tenant's by now; None when it is gone.

    Locked where a plan may settle or a placement end: of two placements that settle at once the
    second sees the first, and none ends that somebody wants again at this moment.
    """
    rows = Tenant.objects.filter(pk=look.tenant.pk)
    if not ending.is_done:
        return rows.values_list("generation", flat=True).first()
    locked = locks.rows(Level.TENANT, rows)
    return locked[0].generation if locked else None


def _remove(look: Look) -> None:
    """The proxy has confirmed that it holds nothing of the tenant any more."""
    removed, _ = lease.held(look.lease).delete()
    if not removed:
        raise LeaseLostError(f"{look.placement} is gone already, or another worker has it.")
    audit.record(system("reconcile"), "placement.ended", look.placement)


def _columns(look: Look, ending: Ending, *, has_moved_on: bool) -> dict[str, Any]:  # Any: by name.
    now = timezone.now()
    columns: dict[str, Any] = {
        "lease_token": None,
        "lease_until": None,
        "checked_at": now,
        **findings.stored(ending.conditions, generation=look.generation),
        **ending.values,
    }
    held = inventory.plain(look.inventory)
    if held != look.placement.inventory:
        columns["inventory"] = held
    later = now + ending.look_in
    if ending.is_done:
        return columns | {
            "observed_generation": look.generation,
            "applied_hash": ending.applied_hash,
            "attempts": 0,
            "next_attempt_at": now,
            "next_check_at": later,
        }
    if has_moved_on:  # Another wish, which what failed here does not hold up.
        return columns | {"attempts": 0, "next_attempt_at": now, "next_check_at": now}
    is_held = look.is_paused or look.is_suspended
    attempts = 0 if is_held else look.placement.attempts + 1
    return columns | {"attempts": attempts, "next_attempt_at": later, "next_check_at": later}
