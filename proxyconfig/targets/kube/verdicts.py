"""What a proxy's own status says about an object: it takes it, refuses it, or has not looked yet.

A condition counts only for the generation that it was seen for. Source: Gateway API, GEP-1364.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from proxyconfig.targets.kube.kinds import ROUTES

_GATEWAY_CONDITIONS = ("Accepted", "Programmed")
_ROUTE_CONDITIONS = ("Accepted", "ResolvedRefs")


class Verdict(StrEnum):
    """How it stands."""

    GOOD = "good"
    PENDING = "pending"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict and why.

    Attributes:
        address: where it can be reached; "" where it has no address of its own.
    """

    verdict: Verdict
    words: str
    address: str = ""


def is_judged(kind: str) -> bool:
    """Whether a proxy gives a verdict on objects of this kind at all."""
    return kind == "Gateway" or kind in ROUTES


# Any: the API server's JSON.
def judge(kind: str, live: Mapping[str, Any]) -> Judged:
    """The verdict on a Gateway, or on a route: that of its worst parent."""
    status = live.get("status") or {}
    generation = int(live["metadata"].get("generation") or 0)
    if kind == "Gateway":
        found = _of_conditions(status.get("conditions"), _GATEWAY_CONDITIONS, generation)
        return Judged(found.verdict, found.words, _address(live))
    parents = status.get("parents") or ()
    judged = [
        _of_conditions(parent.get("conditions"), _ROUTE_CONDITIONS, generation)
        for parent in parents
    ]
    if len(judged) < len((live.get("spec") or {}).get("parentRefs") or ()):
        judged.append(Judged(Verdict.PENDING, "no proxy has answered for each of its parents yet"))
    order = (Verdict.BAD, Verdict.PENDING, Verdict.GOOD)
    return min(judged, key=lambda one: order.index(one.verdict), default=_NO_PARENT)


_NO_PARENT = Judged(Verdict.PENDING, "it names no parent")


def _of_conditions(
    conditions: Iterable[Mapping[str, Any]] | None, wanted: tuple[str, ...], generation: int
) -> Judged:
    by_type = {condition.get("type"): condition for condition in conditions or ()}
    for name in wanted:
        condition = by_type.get(name, {})
        is_current = int(condition.get("observedGeneration") or 0) >= generation
        if not is_current or condition.get("status") not in ("True", "False"):
            return Judged(Verdict.PENDING, f"the proxy has not said yet whether it is {name}")
        if condition.get("status") == "False":
            is_waiting = condition.get("reason") == "Pending"
            said = f"{name} is False: {condition.get('reason')}: {condition.get('message')}"
            return Judged(Verdict.PENDING if is_waiting else Verdict.BAD, said)
    return Judged(Verdict.GOOD, f"it is {' and '.join(wanted)}")


def _address(live: Mapping[str, Any]) -> str:
    addresses = (live.get("status") or {}).get("addresses") or ()
    listeners = (live.get("spec") or {}).get("listeners") or ()
    if not addresses or not listeners:
        return ""
    host = str(addresses[0].get("value"))
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{listeners[0].get('port')}"
