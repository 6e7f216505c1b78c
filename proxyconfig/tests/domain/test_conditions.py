"""Conditions: how they are merged, summed up and explained."""

from datetime import UTC, datetime, timedelta

import pytest

from proxyconfig.domain.conditions import (
    NEXT_STEP,
    Condition,
    ConditionType,
    Reason,
    Status,
    health,
    merge,
    next_step,
    sync_state,
    worst,
)
from tenants.domain.states import Health, SyncState

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def condition(kind, status=Status.TRUE, *, generation=3, reason=Reason.VALID, at=NOW):
    return Condition(
        type=kind,
        status=status,
        reason=reason.value,
        message="m",
        observed_generation=generation,
        last_transition_time=at,
    )


def test_transition_time_stays_while_the_status_stays():
    known = merge((), [condition(ConditionType.PROGRAMMED, at=LATER)], now=NOW)

    (merged,) = merge(known, [condition(ConditionType.PROGRAMMED, generation=4)], now=LATER)

    assert merged.last_transition_time == NOW
    assert merged.observed_generation == 4


def test_transition_time_moves_with_the_status():
    known = [condition(ConditionType.PROGRAMMED)]

    (merged,) = merge(known, [condition(ConditionType.PROGRAMMED, Status.FALSE)], now=LATER)

    assert (merged.status, merged.last_transition_time) == (Status.FALSE, LATER)


def test_types_without_news_are_kept_in_one_order():
    merged = merge([condition(ConditionType.DRIFTED)], [condition(ConditionType.ACCEPTED)], now=NOW)

    assert [entry.type for entry in merged] == [ConditionType.ACCEPTED, ConditionType.DRIFTED]


def test_plain_form_reads_back():
    one = condition(ConditionType.ACCEPTED)

    assert one.plain()["lastTransitionTime"] == "2026-11-24T12:00:00.000Z"
    assert Condition.parse(one.plain()) == one


@pytest.mark.parametrize(
    ("conditions", "sync", "state"),
    [
        ([], SyncState.UNKNOWN, Health.MISSING),
        ([condition(ConditionType.PROGRAMMED)], SyncState.IN_SYNC, Health.HEALTHY),
        (
            [condition(ConditionType.PROGRAMMED, generation=2)],
            SyncState.OUT_OF_SYNC,
            Health.PROGRESSING,
        ),
        (
            [condition(ConditionType.PROGRAMMED, Status.FALSE)],
            SyncState.OUT_OF_SYNC,
            Health.DEGRADED,
        ),
        (
            [condition(ConditionType.PROGRAMMED), condition(ConditionType.DRIFTED)],
            SyncState.DRIFTED,
            Health.PROGRESSING,
        ),
        (
            [condition(ConditionType.PROGRAMMED), condition(ConditionType.REACHABLE, Status.FALSE)],
            SyncState.UNKNOWN,
            Health.UNKNOWN,
        ),
        (
            [condition(ConditionType.PROGRAMMED), condition(ConditionType.PAUSED)],
            SyncState.PAUSED,
            Health.HEALTHY,
        ),
        (
            [condition(ConditionType.PROGRAMMED), condition(ConditionType.SERVING, Status.FALSE)],
            SyncState.IN_SYNC,
            Health.DEGRADED,
        ),
    ],
)
def test_conditions_add_up(conditions, sync, state):
    assert sync_state(conditions, generation=3) is sync
    assert health(conditions, generation=3) is state


def test_a_parent_is_no_healthier_than_its_worst_child():
    assert worst([Health.HEALTHY, Health.DEGRADED, Health.PROGRESSING]) is Health.DEGRADED
    assert worst([]) is Health.MISSING


def test_every_bad_reason_has_a_next_step():
    good = {Reason.VALID, Reason.PROGRAMMED, Reason.CONNECTED, Reason.NO_DRIFT, Reason.ANSWERING}

    assert set(NEXT_STEP) == set(Reason) - good
    assert next_step("SomethingOlder") == ""
    assert condition(ConditionType.REACHABLE, reason=Reason.PROXY_UNREACHABLE).next_step
