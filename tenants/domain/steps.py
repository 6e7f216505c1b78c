"""The steps of an operation, as they are stored: [{name, state, message, started_at, ended_at}]."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tenants.domain.states import OperationState

Step = dict[str, str]

# An apply that waits for days for a dead cluster must not grow without end.
MOST_STEPS = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """What a worker has to report: gathered while it works, and written when there is time.

    Attributes:
        steps: in order; only the last one may still be running.
        done: how many things of the operation's unit are done.
    """

    steps: tuple[Step, ...] = ()
    done: int = 0

    def at(self, name: str, message: str, *, done: int, now: datetime) -> "Progress":
        """With one step more, or the last one's message renewed."""
        return Progress(tuple(with_step(self.steps, name, message, now)), done)


def with_step(steps: Sequence[Step], name: str, message: str, now: datetime) -> list[Step]:
    """``steps`` after a report: the last one renewed, or ended and a new one begun."""
    if name and (not steps or steps[-1]["name"] != name):
        begun = {
            "name": name,
            "state": OperationState.RUNNING.value,
            "message": message,
            "started_at": now.isoformat(),
            "ended_at": "",
        }
        return [*closed(steps, OperationState.SUCCEEDED, now), begun]
    if message and steps:
        return [*steps[:-1], {**steps[-1], "message": message}]
    return [*steps]


def closed(steps: Sequence[Step], state: OperationState, now: datetime) -> list[Step]:
    """``steps`` with those that still run ended as ``state``."""
    ended = {"state": state.value, "ended_at": now.isoformat()}
    return [step if step["ended_at"] else {**step, **ended} for step in steps]


def merged(stored: Sequence[Step], reported: Sequence[Step]) -> list[Step]:
    """``stored`` with one worker's steps brought up to date, those of others left as they are.

    A step that the worker goes on with after a new start, such as waiting, is not begun again; only
    the newest ``MOST_STEPS`` are kept.
    """
    news = {_key(step): step for step in reported}
    kept = [news.pop(_key(step), step) for step in stored]
    fresh = [*news.values()]
    if kept and fresh and not kept[-1]["ended_at"] and kept[-1]["name"] == fresh[0]["name"]:
        fresh[0] = {**fresh[0], "started_at": kept.pop()["started_at"]}
    if fresh:
        # What a worker left behind that died, or now does something else.
        begun = datetime.fromisoformat(fresh[0]["started_at"])
        kept = closed(kept, OperationState.SUCCEEDED, begun)
    return [*kept, *fresh][-MOST_STEPS:]


def _key(step: Step) -> tuple[str, str]:
    return step["name"], step["started_at"]
