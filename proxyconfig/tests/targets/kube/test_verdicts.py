"""Verdicts of proxies: only current conditions count, and the worst parent decides."""

import pytest

from proxyconfig.targets.kube.verdicts import Verdict, is_judged, judge


def condition(kind: str, status: str = "True", *, seen: int = 2, reason: str = "Why") -> dict:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "words",
        "observedGeneration": seen,
    }


def object_with(status: dict, **spec: object) -> dict:
    return {"metadata": {"generation": 2}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("programmed", "verdict"),
    [
        (condition("Programmed"), Verdict.GOOD),
        (condition("Programmed", "False"), Verdict.BAD),
        (condition("Programmed", "False", reason="Pending"), Verdict.PENDING),
        (condition("Programmed", "Unknown"), Verdict.PENDING),
        (condition("Programmed", "False", seen=1), Verdict.PENDING),
        (condition("Ready"), Verdict.PENDING),
    ],
)
def test_gateway_is_judged_by_conditions_of_its_own_generation(programmed, verdict):
    gateway = object_with({"conditions": [condition("Accepted"), programmed]})

    assert judge("Gateway", gateway).verdict is verdict


def test_route_is_as_good_as_its_worst_parent():
    good = {"conditions": [condition("Accepted"), condition("ResolvedRefs")]}
    bad = {"conditions": [condition("Accepted", "False", reason="NoMatchingParent")]}
    refs = [{"name": "a"}, {"name": "b"}]

    both = judge("HTTPRoute", object_with({"parents": [good, bad]}, parentRefs=refs))
    one = judge("HTTPRoute", object_with({"parents": [good]}, parentRefs=refs))
    all_good = judge("HTTPRoute", object_with({"parents": [good, good]}, parentRefs=refs))

    assert both.words == "Accepted is False: NoMatchingParent: words"
    assert [both.verdict, one.verdict, all_good.verdict] == [
        Verdict.BAD,
        Verdict.PENDING,
        Verdict.GOOD,
    ]


def test_kinds_without_a_verdict_are_not_judged():
    assert [is_judged(kind) for kind in ("Gateway", "TCPRoute", "NetworkPolicy")] == [
        True,
        True,
        False,
    ]
