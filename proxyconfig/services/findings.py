"""What one look at a placement found out, gathered as conditions.

The reconciler reports here step by step; ``merged`` gives the conditions to store, whatever the
point at which the work ended.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from django.utils import timezone

from proxyconfig.domain import conditions
from proxyconfig.domain.conditions import Condition, ConditionType, Reason, Status
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.plan import FieldChange, Plan, PlanAction, PlanEntry
from proxyconfig.domain.target import Outcome, Probe
from tenants.errors import SluiceError

_MOST_NAMED = 3
_VALUE_LENGTH = 60
# What is wrong is the way to the proxy, not what is asked of it.
_NOBODY_GETS_IN = frozenset({Reason.CREDENTIAL_REFUSED, Reason.CERTIFICATE_REFUSED})


class Findings:
    """The conditions known before, and the news of this look.

    Args:
        known: the placement's stored conditions; what another version wrote and cannot be read is
            forgotten, as this look finds it out again.
        generation: of the tenant, as read before the look began.
    """

    def __init__(self, known: Iterable[Mapping[str, JsonValue]], *, generation: int) -> None:
        self._generation = generation
        self._known = {condition.type: condition for condition in _readable(known)}
        self._fresh: dict[ConditionType, Condition] = {}

    @property
    def is_drifted(self) -> bool:
        """True when drift is on record and not healed."""
        drift = self.drift
        return drift is not None and drift.status is Status.TRUE

    @property
    def knows_drift(self) -> bool:
        """True when this generation has a drift condition: its message is kept as it is."""
        drift = self.drift
        return drift is not None and drift.observed_generation == self._generation

    @property
    def is_serving(self) -> bool:
        """True when the last probe of this generation found nothing wrong, pending or suspended."""
        serving = self._latest(ConditionType.SERVING)
        return (
            serving is not None
            and serving.status is not Status.FALSE
            and serving.reason not in (Reason.PENDING, Reason.SUSPENDED_BY_OPERATOR)
            and serving.observed_generation == self._generation
        )

    @property
    def drift(self) -> Condition | None:
        """The newest word on drift."""
        return self._latest(ConditionType.DRIFTED)

    def reachable(self) -> None:
        """The proxy answered."""
        message = "The proxy answers on its admin interface."
        self._add(ConditionType.REACHABLE, Status.TRUE, Reason.CONNECTED, message)
        self._add(
            ConditionType.ACCEPTED, Status.TRUE, Reason.VALID, "The proxy can do what is asked."
        )

    def unreachable(self, error: SluiceError) -> None:
        """The proxy did not answer, broke off, or let nobody in."""
        reason = _reason(error, Reason.PROXY_UNREACHABLE)
        self._add(ConditionType.REACHABLE, Status.FALSE, reason, error.message)

    def impossible(self, error: SluiceError) -> None:
        """No retry can help until a person acts."""
        reason = Reason.UNSUPPORTED if error.code == "flavour.unsupported" else Reason.INVALID
        reason = _reason(error, reason)
        if reason in _NOBODY_GETS_IN:
            self.unreachable(error)
            return
        self._add(ConditionType.ACCEPTED, Status.FALSE, reason, error.message)
        self.programmed(False, reason, error.message)

    def refused(self, outcomes: Sequence[Outcome]) -> None:
        """The proxy will not take some objects as they are; the first one's reason is shown."""
        message = " ".join(outcome.message for outcome in outcomes)
        reason = Reason(outcomes[0].reason)
        self._add(ConditionType.ACCEPTED, Status.FALSE, reason, message)
        self.programmed(False, reason, message)

    def programmed(self, is_done: bool, reason: Reason, message: str) -> None:
        """Does the proxy hold this generation?"""
        status = Status.TRUE if is_done else Status.FALSE
        self._add(ConditionType.PROGRAMMED, status, reason, message)

    def paused(self, serving: int) -> None:
        """An operator paused the tenant: its proxy holds generation ``serving``, 0 for none."""
        message = conditions.paused_message(serving)
        self._add(ConditionType.PAUSED, Status.TRUE, Reason.PAUSED_BY_OPERATOR, message)

    def suspended(self) -> None:
        """An operator took the tenant off the proxy, which holds nothing of it."""
        reason, message = Reason.SUSPENDED_BY_OPERATOR, "Suspended: the proxy serves nothing."
        self._add(ConditionType.PAUSED, Status.TRUE, reason, message)
        self._add(ConditionType.PROGRAMMED, Status.UNKNOWN, reason, message)
        self._add(ConditionType.SERVING, Status.UNKNOWN, reason, message)

    def resumed(self) -> None:
        """The tenant is not paused, which ends the condition."""
        self._known.pop(ConditionType.PAUSED, None)

    def drifted(self, message: str) -> None:
        """The proxy was changed by another hand."""
        self._add(ConditionType.DRIFTED, Status.TRUE, Reason.CHANGED_OUTSIDE, message)

    def healed(self, reason: Reason, message: str, now: datetime) -> None:
        """The drift is gone; the message says when, and what it was."""
        moment = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        said = f"Healed drift at {moment}: {message}"
        self._add(ConditionType.DRIFTED, Status.FALSE, reason, said)

    def no_drift(self) -> None:
        """Nobody changed the proxy since it was programmed."""
        self._add(ConditionType.DRIFTED, Status.FALSE, Reason.NO_DRIFT, "No drift was seen.")

    def probed(self, probes: Sequence[Probe]) -> None:
        """What trying the programmed objects gave."""
        silent = [
            probe.message for probe in probes if not probe.is_serving and not probe.is_pending
        ]
        pending = [probe.message for probe in probes if probe.is_pending]
        tried = [probe.message for probe in probes if probe.address]
        if silent:
            status, reason, said = Status.FALSE, Reason.NOT_ANSWERING, silent
        elif pending:
            status, reason, said = Status.UNKNOWN, Reason.PENDING, pending
        elif tried:
            status, reason, said = Status.TRUE, Reason.ANSWERING, tried
        else:
            status, reason = Status.UNKNOWN, Reason.NOTHING_TO_SERVE
            said = ["No ingress policy opens a listener"]
        self._add(ConditionType.SERVING, status, reason, f"{'; '.join(said)}.")

    def merged(self) -> tuple[Condition, ...]:
        """The conditions to store."""
        return conditions.merge(self._known.values(), self._fresh.values(), now=timezone.now())

    def _latest(self, kind: ConditionType) -> Condition | None:
        return self._fresh.get(kind) or self._known.get(kind)

    def _add(self, kind: ConditionType, status: Status, reason: Reason, message: str) -> None:
        self._fresh[kind] = Condition(
            type=kind,
            status=status,
            reason=reason.value,
            message=message,
            observed_generation=self._generation,
            last_transition_time=timezone.now(),
        )


def stored(news: Sequence[Condition], *, generation: int) -> dict[str, object]:
    """The columns of a placement that conditions fill."""
    return {
        "conditions": [condition.plain() for condition in news],
        "sync_state": conditions.sync_state(news, generation=generation).value,
        "health": conditions.health(news, generation=generation).value,
    }


def drift_message(seen: Findings) -> str:
    """What the drift on record was."""
    return seen.drift.message if seen.drift is not None else ""


def describe(change: Plan, repairs: Sequence[str]) -> str:
    """What differs on the proxy, in one sentence; what Sluice would do is read backwards."""
    said = [*repairs, *(_difference(entry) for entry in change.changing)]
    more = f", and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
    return f"{'; '.join(said[:_MOST_NAMED])}{more}."


def _difference(entry: PlanEntry) -> str:
    if entry.action is PlanAction.CREATE:
        return f"{entry.identity} was missing (removed by hand, or the proxy restarted empty)"
    if entry.action is PlanAction.DELETE:
        return f"{entry.identity} was there, and no policy of the tenant asks for it"
    named = [_field(change) for change in entry.changes[:_MOST_NAMED]]
    more = len(entry.changes) - len(named)
    rest = f" and {more} more fields differed" if more > 0 else ""
    return f"{entry.identity}: {', '.join(named)}{rest}"


def _field(change: FieldChange) -> str:
    return f"{change.path} was {_short(change.before)} instead of {_short(change.after)}"


def _short(value: JsonValue) -> str:
    if value is None:
        return "absent"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_LENGTH else f"{text[:_VALUE_LENGTH]}…"


def _reason(error: SluiceError, otherwise: Reason) -> Reason:
    """The reason that a target gave with an error."""
    found = error.data.get("reason")
    return Reason(str(found)) if found in set(Reason) else otherwise


def _readable(known: Iterable[Mapping[str, JsonValue]]) -> list[Condition]:
    readable = []
    for plain in known:
        with contextlib.suppress(KeyError, ValueError):
            readable.append(Condition.parse(plain))
    return readable
