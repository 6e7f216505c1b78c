"""The GPU's engine keeps the contract; on a CPU it runs the same way, only slower."""

import math
import threading

import pytest
import torch
from transformers.generation.continuous_batching.requests import GenerationOutput

from ragapp.engines.local import Message, Paging, load
from ragapp.engines.local.paged import PagedEngine
from ragapp.tests.engines.contract import CHAT, EngineContract
from tenants.errors import TransientError

PAGING = Paging(page_tokens=16, pages=256)


@pytest.fixture(scope="module")
def paged_engine(model_folder):
    engine = PagedEngine(load(str(model_folder), dtype="float32"), paging=PAGING, wait_seconds=30)
    yield engine
    engine.close()


class TestPagedEngine(EngineContract):
    """The contract, by the library's continuous batching."""

    @pytest.fixture
    def engine(self, paged_engine):
        return paged_engine


def test_grades_and_answers_are_those_of_the_other_engine(paged_engine, local_engine):
    questions = ["\nIs [1] of use?", "\nIs [2] of use?"]
    choices = ["The pool is large.", "The pool is small.", "The pool is large. No one knows."]

    told = []
    for engine in (paged_engine, local_engine):
        session = engine.open(CHAT)
        grades = session.grade(questions)
        written = session.generate("", max_new_tokens=24)
        after = session.grade(questions)
        chosen = session.generate("", max_new_tokens=60, choices=choices)
        told.append((grades + after, written, chosen.text))
        session.close()

    (grades, written, chosen), (expected, plain, bound) = told
    assert grades == pytest.approx(expected, abs=1e-3)
    assert (written.text, written.tokens) == (plain.text, plain.tokens)
    assert written.mean_logprob == pytest.approx(plain.mean_logprob, abs=1e-4)
    assert chosen == bound


def test_only_what_is_told_is_forwarded(paged_engine):
    forwards: list[int] = []
    hook = paged_engine.model.register_forward_pre_hook(
        lambda _, __, kwargs: forwards.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    chat = [Message("user", "A session that no other has had. " * 6)]
    session = paged_engine.open(chat)
    read = len(forwards)

    session.grade(["\nIs [1] of use?", "\nIs [2] of use?"])

    graded = sum(forwards[read:])
    hook.remove()
    # A token of the prompt's own request may have been under way.
    assert graded - session.usage.grade_tokens in (0, 1)
    assert session.usage.grade_tokens < session.usage.prompt_tokens
    session.close()


@pytest.mark.parametrize("finish", ["cancelled", "timeout"])
@pytest.mark.parametrize("ask", ["grade", "answer", "choice"])
def test_who_waits_for_a_batch_that_is_stuck_can_be_stopped(paged_engine, finish, ask):
    session, cancel, over = paged_engine.open(CHAT), threading.Event(), threading.Event()
    went_on: list[bool] = []

    def stick(_, __) -> None:
        if finish == "cancelled":
            cancel.set()
        over.wait(60)
        went_on.append(True)

    hook = paged_engine.model.register_forward_pre_hook(stick)
    bounds = {"cancel": cancel, "timeout_seconds": 60.0 if finish == "cancelled" else 0.3}
    try:
        if ask == "grade":
            assert session.grade(["\nIs [1] of use?", "\nIs [2] of use?"], **bounds) == ()
        else:
            choices = ["The pool is large.", "A pool is small."] if ask == "choice" else []
            written = session.generate("", max_new_tokens=9, choices=choices, **bounds)
            assert (written.finish, written.text) == (finish, "")
        assert not went_on
    finally:
        hook.remove()
        over.set()

    assert len(session.grade(["\nIs [1] of use?"])) == 1
    session.close()


def test_a_closed_batch_answers_nobody_and_hangs_nobody(model_folder):
    engine = PagedEngine(load(str(model_folder), dtype="float32"), paging=PAGING)
    session, begun = engine.open(CHAT), threading.Event()
    errors: list[Exception] = []

    def write() -> None:
        try:
            while True:
                session.generate("", max_new_tokens=500, on_text=lambda _: begun.set())
        except TransientError as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(60)
    engine.close()
    thread.join(60)

    assert [error.code for error in errors] == ["engine-gone"]
    engine.close()


@pytest.mark.parametrize("margin", [-40.0, -3.0, 0.0, 0.25, 12.0])
def test_a_verdict_tells_the_margin(paged_engine, margin):
    verdicts, chat = paged_engine.verdicts, paged_engine.chat
    scores = torch.full((1, paged_engine.model.config.vocab_size), -100.0)
    scores[0, chat.yes] = margin - math.log(len(chat.yes))
    scores[0, chat.no] = -math.log(len(chat.no))

    probabilities = verdicts(scores, torch.tensor([-1], dtype=torch.int32)).softmax(1)

    token = int(probabilities.argmax())
    logprob = float(probabilities[0, token].log())
    told = GenerationOutput("one", generated_tokens=[token], logprobs=[logprob])
    assert verdicts.margin(told) == pytest.approx(margin, abs=1e-2)
