"""An OpenAI-compatible server behind the same port, against a real server with a tiny model."""

import math
import threading

import pytest

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
    server.die_after, server.is_silent = 0, False
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
