"""An OpenAI-compatible server behind the same port, against a real server with a tiny model."""

import math
import threading
import time

import pytest

from ragapp.domain.engine import Usage
from ragapp.engines.openai import OpenAIEngine
from ragapp.engines.openai.wire import margin
from ragapp.tests.engines.completion_server import serve
from ragapp.tests.engines.contract import CHAT, EngineContract
from tenants.errors import InvalidError, PermanentError, TransientError


@pytest.fixture(scope="module")
def server(model_folder):
    with serve(model_folder) as running:
        yield running


@pytest.fixture
def openai_engine(server):
    server.fail_with, server.retry_after = 0, ""
    server.die_after, server.is_silent, server.is_mute = 0, False, False
    server.tokens_per_chunk = 1
    server.hung_up.clear()
    engine = OpenAIEngine(server.base_url, "tiny", context_tokens=1000, api_key="secret")
    yield engine
    engine.close()


class TestOpenAIEngine(EngineContract):
    """The contract, by a server."""

    @pytest.fixture
    def engine(self, openai_engine):
        return openai_engine


def test_a_grade_is_one_token_with_its_rivals(openai_engine, server):
    session = openai_engine.open(CHAT)

    session.grade(["\nIs it about pools?"])

    asked = server.requests[-1]
    assert (asked["max_tokens"], asked["logprobs"], asked["top_logprobs"]) == (1, True, 20)
    assert asked["messages"][-1]["content"] == CHAT[-1].text + "\nIs it about pools?"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (503, TransientError),
        (429, TransientError),
        (400, InvalidError),
        (401, PermanentError),
        (404, PermanentError),
    ],
)
def test_a_refusal_is_one_of_our_errors(openai_engine, server, status, error):
    session = openai_engine.open(CHAT)
    server.fail_with = status

    with pytest.raises(error, match=f"answered {status}"):
        session.grade(["\nIs it?"])
    with pytest.raises(error, match=f"answered {status}"):
        session.generate("", max_new_tokens=3)


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("soon", 5.0), ("", 5.0)])
def test_a_busy_server_says_when_to_come_again(openai_engine, server, said, seconds):
    session = openai_engine.open(CHAT)
    server.fail_with, server.retry_after = 429, said

    with pytest.raises(TransientError) as caught:
        session.grade(["\nIs it?"])

    assert caught.value.retry_after_seconds == seconds


def test_a_server_that_dies_within_an_answer_is_transient(openai_engine, server):
    session, pieces = openai_engine.open(CHAT), []
    server.die_after = 3

    with pytest.raises(TransientError) as caught:
        session.generate("", max_new_tokens=20, on_text=pieces.append)

    assert caught.value.code == "engine-gone"
    assert pieces


@pytest.mark.parametrize("finish", ["cancelled", "timeout"])
def test_a_silent_server_is_hung_up_on_at_once(openai_engine, server, finish):
    session, cancel, pieces = openai_engine.open(CHAT), threading.Event(), []
    server.is_silent = True

    def note(piece: str) -> None:
        pieces.append(piece)
        if finish == "cancelled":
            cancel.set()

    written = session.generate(
        "",
        max_new_tokens=20,
        on_text=note,
        cancel=cancel,
        timeout_seconds=2 if finish == "timeout" else 60,
    )

    assert written.finish == finish
    assert written.text == "".join(pieces)
    assert server.hung_up.wait(30)


@pytest.mark.parametrize("finish", ["cancelled", "timeout"])
@pytest.mark.parametrize("is_graded", [True, False], ids=["grade", "answer"])
def test_a_server_is_hung_up_on_before_it_answers_at_all(openai_engine, server, finish, is_graded):
    session, cancel = openai_engine.open(CHAT), threading.Event()
    session.grade(["\nIs it about pools?"])
    before = session.usage
    server.is_mute = True
    bounds = {"cancel": cancel, "timeout_seconds": 60.0}
    if finish == "cancelled":
        threading.Timer(0.3, cancel.set).start()
    else:
        bounds["timeout_seconds"] = 0.3
    begin, asked = time.monotonic(), len(server.requests)

    if is_graded:
        assert session.grade(["\nIs it about pools?", "\nIs it about cats?"], **bounds) == ()
    else:
        assert session.generate("", max_new_tokens=20, **bounds).finish == finish

    assert time.monotonic() - begin < 20
    assert server.hung_up.wait(30)
    assert len(server.requests) == asked + 1
    # The server may have read it all: what it did not tell is estimated.
    assert _forwarded(session.usage) - _forwarded(before) >= _estimate(openai_engine)


def test_calls_one_after_the_other_share_a_connection(openai_engine, server):
    before = server.connections
    for _ in range(2):
        openai_engine.open(CHAT).grade(["\nIs it about pools?", "\nIs it about cats?"])

    assert server.connections == before + 1


def test_an_answer_costs_the_tokens_that_the_server_counts(openai_engine, server):
    session = openai_engine.open(CHAT)
    server.tokens_per_chunk = 3

    written = session.generate("", max_new_tokens=10)

    assert written.tokens == 10
    assert _forwarded(session.usage) == written.tokens + len(server.chat.prompt(CHAT))


def test_an_answer_that_is_stopped_costs_its_prompt_and_what_was_written(openai_engine, server):
    session, cancel = openai_engine.open(CHAT), threading.Event()
    server.is_silent, server.tokens_per_chunk = True, 3

    written = session.generate("", max_new_tokens=10, on_text=lambda _: cancel.set(), cancel=cancel)

    assert written.tokens == 3
    assert _forwarded(session.usage) == written.tokens + _estimate(openai_engine)


def test_an_answer_that_breaks_off_costs_its_prompt_and_one_that_is_refused_nothing(
    openai_engine, server
):
    session, refused = openai_engine.open(CHAT), openai_engine.open(CHAT)
    server.die_after = 2
    with pytest.raises(TransientError):
        session.generate("", max_new_tokens=10)
    server.fail_with = 503
    with pytest.raises(TransientError):
        refused.generate("", max_new_tokens=10)

    assert _forwarded(session.usage) == 2 + _estimate(openai_engine)
    assert _forwarded(refused.usage) == 0


def _forwarded(usage: Usage) -> int:
    return usage.prompt_tokens + usage.grade_tokens + usage.answer_tokens


def _estimate(engine: OpenAIEngine) -> int:
    return sum(engine.count(message.text) for message in CHAT)


def test_a_server_that_is_not_there_is_transient():
    engine = OpenAIEngine("http://127.0.0.1:1/v1/", "tiny", timeout_seconds=5)

    with pytest.raises(TransientError, match="cannot be reached"):
        engine.open(CHAT).grade(["\nIs it?"])
    engine.close()


def test_margin_sums_spellings_and_bounds_what_is_not_listed():
    both = {"Yes": math.log(0.3), " yes": math.log(0.3), "No": math.log(0.2), "x": math.log(0.1)}

    assert margin(both) == pytest.approx(math.log(3))
    assert margin({"Yes": -0.1, "x": -4.0}) == pytest.approx(3.9)
    assert margin({}) == 0
