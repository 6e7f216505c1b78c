"""How far things have come on the proxies, arranged for pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from proxyconfig.domain.conditions import Condition, ConditionType, Status
from proxyconfig.models import Placement, Plan, Revision
from tenants.domain.states import ChangeState, ServingStage

_GOING_ON = frozenset({ChangeState.APPROVED, ChangeState.APPLYING})
# Types of which True is the bad news.
_BAD_WHEN_TRUE = frozenset({ConditionType.DRIFTED, ConditionType.PAUSED})
# What was seen of the proxy, whichever generation it is to hold; the others say how far one is.
_ABOUT_THE_PROXY = _BAD_WHEN_TRUE | {ConditionType.REACHABLE}


@dataclass(frozen=True, slots=True)
class ConditionLine:
    """A condition with what the page makes of it."""

    type: ConditionType
    status: Status
    reason: str
    message: str
    next_step: str
    observed_generation: int
    last_transition_time: datetime
    is_bad: bool


@dataclass(frozen=True, slots=True)
class PlacementPanel:
    """A placement with its conditions, blocking ones first."""

    row: Placement
    conditions: Sequence[ConditionLine]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step on the way to serving: ``done``, ``current`` or ``waiting``."""

    word: str
    state: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an approved plan has come along."""

    stages: Sequence[Stage]
    placements: Sequence[PlacementPanel] = field(default_factory=tuple)
    is_settled: bool = False


def placements(generation: int) -> list[PlacementPanel]:
    """All placements of the tenant in scope."""
    rows = Placement.objects.select_related("cluster")
    return [PlacementPanel(row, _conditions(row, generation)) for row in rows]


def outcome(plan: Plan, revision: Revision) -> Outcome:
    """Where the plan's objects are now, as far as the conditions of its generation tell."""
    panels = placements(revision.generation)
    is_going_on = plan.state in _GOING_ON
    reached = [
        plan.state == ChangeState.APPLIED,
        _all_true(panels, ConditionType.ACCEPTED),
        _all_true(panels, ConditionType.SERVING),
    ]
    # Each stage includes those before it.
    done = 2 + next((place for place, is_true in enumerate(reached) if not is_true), len(reached))
    stages = [
        Stage(stage.value, _stage_state(place, done, is_going_on))
        for place, stage in enumerate(ServingStage)
    ]
    return Outcome(stages, panels, is_settled=not is_going_on)


def _stage_state(place: int, done: int, is_going_on: bool) -> str:
    if place < done:
        return "done"
    return "current" if place == done and is_going_on else "waiting"


def _conditions(placement: Placement, generation: int) -> list[ConditionLine]:
    lines = [_line(Condition.parse(stored), generation) for stored in placement.conditions]
    return sorted(lines, key=lambda line: not line.is_bad)


def _line(condition: Condition, generation: int) -> ConditionLine:
    is_about_generation = condition.type not in _ABOUT_THE_PROXY
    is_old = is_about_generation and condition.observed_generation < generation
    status = Status.UNKNOWN if is_old else condition.status
    bad = Status.TRUE if condition.type in _BAD_WHEN_TRUE else Status.FALSE
    return ConditionLine(
        type=condition.type,
        status=status,
        reason=condition.reason,
        message=condition.message,
        next_step=condition.next_step,
        observed_generation=condition.observed_generation,
        last_transition_time=condition.last_transition_time,
        is_bad=status is bad,
    )


def _all_true(panels: Sequence[PlacementPanel], kind: ConditionType) -> bool:
    found = [line for panel in panels for line in panel.conditions if line.type is kind]
    return bool(found) and all(line.status is Status.TRUE for line in found)
