"""What every engine promises, whatever stands behind it: inherited by each engine's tests."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragapp.domain.engine import Engine, Message
from tenants.errors import InvalidError, PermanentError

CHAT = (
    Message("system", "Answer from the text."),
    Message("user", "[1] The pool of addresses is large.\n\nWhat is large?"),
)


class EngineContract:
    """Give a fixture ``engine``."""

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError

    def test_is_an_engine(self, engine: Engine):
        assert isinstance(engine, Engine)
        assert engine.name
        assert engine.context_tokens > 0

    def test_grades_come_one_per_question_in_order(self, engine: Engine):
        session = engine.open(CHAT)

        both = session.grade(["\nIs it about pools?", "\nIs it about cats and dogs?"])

        assert session.grade(["\nIs it about cats and dogs?"]) == pytest.approx(both[1:], abs=1e-3)
        assert len(both) == 2
        assert session.grade([]) == ()
        session.close()

    def test_a_grade_leaves_no_trace_in_the_answer(self, engine: Engine):
        graded, plain = engine.open(CHAT), engine.open(CHAT)

        graded.grade(["\nIs it about pools?", "\nIs it about cats?"])

        assert (
            graded.generate("", max_new_tokens=12).text
            == plain.generate("", max_new_tokens=12).text
        )
        graded.close()
        plain.close()

    def test_the_answer_is_part_of_the_later_grades(self, engine: Engine):
        session = engine.open(CHAT)
        question = "\nIs it right?"

        before = session.grade([question])
        session.generate("", max_new_tokens=8)

        assert session.grade([question]) != before
        session.close()

    def test_a_second_answer_forgets_the_first(self, engine: Engine):
        session = engine.open(CHAT)

        first = session.generate("\nBe brief.", max_new_tokens=10)
        session.generate("\nBe long.", max_new_tokens=10)
        again = session.generate("\nBe brief.", max_new_tokens=10)

        assert again.text == first.text
        session.close()

    def test_streamed_pieces_are_the_answer(self, engine: Engine):
        session, pieces = engine.open(CHAT), []

        written = session.generate("", max_new_tokens=20, on_text=pieces.append)

        assert "".join(pieces) == written.text
        assert 0 < written.tokens <= 20
        session.close()

    def test_cancel_ends_with_what_there_is(self, engine: Engine):
        session, cancel, pieces = engine.open(CHAT), threading.Event(), []

        def stop_at_first(piece: str) -> None:
            pieces.append(piece)
            cancel.set()

        written = session.generate("", max_new_tokens=400, on_text=stop_at_first, cancel=cancel)

        assert written.finish == "cancelled"
        assert written.tokens < 400
        session.close()

    def test_a_failing_reader_gets_its_own_error_and_the_engine_lives_on(self, engine: Engine):
        session = engine.open(CHAT)

        def fail(piece: str) -> None:
            raise KeyError(piece)

        with pytest.raises(KeyError):
            session.generate("", max_new_tokens=20, on_text=fail)
        session.close()

        other = engine.open(CHAT)
        assert other.generate("", max_new_tokens=3).tokens > 0
        other.close()

    def test_answers_written_together_are_those_written_alone(self, engine: Engine):
        words = ("pool", "addresses", "the pool of addresses", "Yes and No")
        chats = [(CHAT[0], Message("user", f"{word} " * size)) for word in words for size in (1, 9)]
        lengths = [2 + 2 * number for number in range(len(chats))]

        def write(number: int) -> tuple[str, float]:
            session = engine.open(chats[number])
            text = session.generate("", max_new_tokens=lengths[number]).text
            (grade,) = session.grade(["\nIs it right?"])
            session.close()
            return text, grade

        alone = [write(number) for number in range(len(chats))]
        with ThreadPoolExecutor(len(chats)) as pool:
            together = list(pool.map(write, range(len(chats))))

        assert [text for text, _ in together] == [text for text, _ in alone]
        assert [grade for _, grade in together] == pytest.approx(
            [grade for _, grade in alone], abs=1e-3
        )

    def test_time_runs_out(self, engine: Engine):
        session = engine.open(CHAT)

        written = session.generate("", max_new_tokens=400, timeout_seconds=0.0)

        assert written.finish == "timeout"
        session.close()

    @pytest.mark.parametrize("ended_by", ["cancel", "timeout_seconds"])
    def test_grades_that_are_ended_are_not_asked(self, engine: Engine, ended_by: str):
        session, cancel = engine.open(CHAT), threading.Event()
        cancel.set()
        before = session.usage.grade_tokens
        bound = {"cancel": cancel} if ended_by == "cancel" else {"timeout_seconds": 0.0}

        assert session.grade(["\nIs it about pools?", "\nIs it about cats?"], **bound) == ()

        assert session.usage.grade_tokens == before
        assert len(session.grade(["\nIs it about pools?"], timeout_seconds=60)) == 1
        session.close()

    def test_tokens_are_accounted_by_purpose(self, engine: Engine):
        session = engine.open(CHAT)
        session.grade(["\nIs it about pools?"])
        graded = session.usage
        session.generate("", max_new_tokens=5)

        assert graded.prompt_tokens > 0
        assert graded.answer_tokens == 0
        assert session.usage.prompt_tokens == graded.prompt_tokens
        assert session.usage.answer_tokens > 0
        session.close()

    def test_a_prompt_that_does_not_fit_is_refused(self, engine: Engine):
        with pytest.raises(InvalidError):
            engine.open([Message("user", "pool " * engine.context_tokens * 4)])

    def test_a_closed_session_says_so(self, engine: Engine):
        session = engine.open(CHAT)
        session.close()
        session.close()

        with pytest.raises(PermanentError):
            session.grade(["\nIs it?"])

    def test_a_stop_string_is_not_part_of_the_answer(self, engine: Engine):
        session = engine.open(CHAT)
        free = session.generate("", max_new_tokens=20).text
        stop = free[4:6]

        written = session.generate("", max_new_tokens=20, stop_at=stop)

        assert written.text == free.split(stop)[0]
        session.close()
