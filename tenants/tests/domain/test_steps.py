"""Steps of an operation: gathered by one worker, beside those of others."""

from datetime import UTC, datetime, timedelta

from tenants.domain.states import OperationState
from tenants.domain.steps import MOST_STEPS, Progress, closed, merged

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def gathered(*names: str, begun: datetime = NOW) -> Progress:
    progress = Progress()
    for number, name in enumerate(names):
        now = begun + timedelta(seconds=number)
        progress = progress.at(name, f"{name}!", done=number, now=now)
    return progress


def names_and_states(steps) -> list[tuple[str, str]]:
    return [(step["name"], step["state"]) for step in steps]


def test_new_step_ends_the_one_before_and_the_same_one_gets_a_new_message():
    progress = gathered("plan", "apply").at("apply", "more", done=2, now=NOW)

    assert names_and_states(progress.steps) == [
        ("plan", OperationState.SUCCEEDED),
        ("apply", OperationState.RUNNING),
    ]
    assert (progress.steps[-1]["message"], progress.done) == ("more", 2)


def test_second_report_of_a_worker_adds_only_what_is_new():
    first = merged([], gathered("plan", "apply").steps)

    second = merged(first, gathered("plan", "apply", "check").steps)

    assert names_and_states(second) == [
        ("plan", OperationState.SUCCEEDED),
        ("apply", OperationState.SUCCEEDED),
        ("check", OperationState.RUNNING),
    ]


def test_two_workers_keep_each_others_steps():
    mine, theirs = gathered("plan", "mine"), gathered("plan", "theirs", begun=NOW - timedelta(1))

    both = merged(merged(merged([], theirs.steps), mine.steps), theirs.steps)

    assert [step["name"] for step in both] == ["plan", "theirs", "plan", "mine"]


def test_waiting_after_a_new_start_is_the_same_step():
    later = gathered("wait", begun=NOW + timedelta(hours=1))

    (step,) = merged(gathered("wait").steps, later.steps)

    assert (step["started_at"], step["state"]) == (NOW.isoformat(), OperationState.RUNNING)


def test_only_the_newest_steps_are_kept():
    many = gathered(*(f"step {number}" for number in range(MOST_STEPS)))
    more = gathered("last", begun=NOW + timedelta(days=1))

    kept = merged(many.steps, more.steps)

    assert (len(kept), kept[0]["name"], kept[-1]["name"]) == (MOST_STEPS, "step 1", "last")


def test_closing_ends_all_that_run():
    (plan, apply) = closed(gathered("plan", "apply").steps, OperationState.FAILED, NOW)

    assert (plan["state"], apply["state"]) == (OperationState.SUCCEEDED, OperationState.FAILED)
    assert apply["ended_at"] == NOW.isoformat()
