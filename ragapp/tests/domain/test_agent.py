"""Every path of the agent, without a model and without a network."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.agent import Reader, Settings, agent
from ragapp.domain.document import Document
from ragapp.domain.ends import Answer
from ragapp.domain.engine import Generation
from ragapp.domain.followup import Exchange
from ragapp.domain.grade import Calibration, Calibrations, Question
from ragapp.domain.passage import Passage, Source
from ragapp.domain.route import Lexicon
from ragapp.domain.steps import (
    AskGrades,
    Failed,
    Fetch,
    Generate,
    LookUp,
    Note,
    OpenPrompt,
    Rank,
    Refused,
    Rewrite,
    Search,
    Step,
    WebHit,
    WebHits,
    WebPage,
    WebSearch,
)
from tenants.domain.states import AnswerEnd

QUESTION = "What is a SNAT pool for?"
SNAT = "A SNAT pool is a set of source addresses for connections that leave the cluster."
OTHER = "Drift is healed within five seconds of being seen."
TRAINED = Lexicon(50, {"snat": 3, "pool": 5})
UNTRAINED = Lexicon(0, {"snat": 0, "pool": 0})
DENIED = Refused(
    "127.30.0.10:8081", "acme/default-deny", "acme", "the web search service", private=True
)
STRICT = Calibrations(
    {question: Calibration({"margin": 1.0}, 0.0, low=0.4, high=0.6) for question in Question}
)


def believing(question: str) -> float:
    """Log-odds of a model that believes in what it is asked about, however that is worded."""
    turned = ("missing", "unsupported", "fail", " not ")
    return -5.0 if any(word in question for word in turned) else 5.0


def passage(text: str, *, key: str = "chunk:1", source: Source = Source.LOCAL) -> Passage:
    return Passage(key, source, "Guide", text, 0, len(text), score=0.9)


def page(url: str) -> WebPage:
    return WebPage(url, Document(SNAT, "SNAT"))


class Script:
    """What the world answers; each attribute may be changed by a test."""

    def __init__(self) -> None:
        self.lexicon = TRAINED
        self.local: list[Passage] = [passage(SNAT), passage(OTHER, key="chunk:2")]
        self.web: WebHits | Refused | Failed = DENIED
        self.fetched: Callable[[str], WebPage | Refused | Failed] = page
        self.answers = [SNAT]
        self.margins: Callable[[str], float] = lambda question: 0.0
        self.steps: list[Step[Any]] = []
        self.seconds_per_step = 0.0
        self.now = 0.0

    def reply(self, step: Step[Any]) -> Any:
        self.steps.append(step)
        self.now += self.seconds_per_step
        match step:
            case LookUp():
                return self.lexicon
            case Search(_, limit):
                return tuple(self.local[:limit])
            case WebSearch():
                return self.web
            case Fetch(urls):
                return tuple(self.fetched(url) for url in urls)
            case Rank(_, pages):
                return tuple(passage(p.document.text, key=p.url, source=Source.WEB) for p in pages)
            case AskGrades(questions):
                return tuple(self.margins(question) for question in questions)
            case Generate():
                return Generation(
                    self.answers[min(self.count(Generate), len(self.answers)) - 1], 9, "stop"
                )
            case Rewrite():
                return "purpose of SNAT pools"
            case Note() | OpenPrompt():
                return None
        raise AssertionError(step)

    def count(self, kind: type) -> int:
        return sum(isinstance(step, kind) for step in self.steps)

    def run(self, question: str = QUESTION, **settings: Any) -> Answer:
        steps = agent(
            question,
            Settings("acme", **settings),
            Reader(count=lambda text: len(text.split()), context_tokens=2000),
            delimiter="d41c",
            clock=lambda: self.now,
        )
        step = next(steps)
        while True:
            try:
                step = steps.send(self.reply(step))
            except StopIteration as stop:
                return stop.value


@pytest.fixture
def script() -> Script:
    return Script()


def test_a_supported_answer_from_the_corpora_is_found_and_nothing_goes_out(script):
    answer = script.run()

    assert answer.end is AnswerEnd.FOUND
    assert answer.text == f"{SNAT} [1]"
    assert answer.reason == "Answered from the tenant's corpora."
    assert (script.count(WebSearch), script.count(Fetch), script.count(Generate)) == (0, 0, 1)


def test_one_prompt_serves_grades_and_answer(script):
    script.run()

    assert script.count(OpenPrompt) == 1
    assert script.count(AskGrades) == 2


def test_untrained_and_denied_is_blocked_in_plain_words(script):
    script.lexicon = UNTRAINED

    answer = script.run()

    assert answer.end is AnswerEnd.BLOCKED
    assert answer.text == (
        "No egress policy of the tenant acme allows 127.30.0.10:8081 (the web search service). "
        "Rule acme/default-deny decided. NetOps of acme can add an egress policy for it. "
        "It is a private address, so a platform administrator must grant it as well."
    )
    assert answer.refused == (DENIED,)
    assert script.count(Generate) == 0


def test_a_named_rule_that_refuses_is_named(script):
    script.lexicon = UNTRAINED
    script.web = Refused("docs.example.com:443", "acme/docs/2", "acme")

    assert script.run().text == (
        "Rule acme/docs/2 of the tenant acme does not allow docs.example.com:443. "
        "NetOps of acme can change that egress policy."
    )


def test_untrained_and_allowed_answers_from_the_web_with_its_pages(script):
    script.lexicon = UNTRAINED
    script.web = WebHits((WebHit("http://docs/a", "A"), WebHit("http://docs/b", "B")))

    answer = script.run()

    assert answer.end is AnswerEnd.FOUND
    assert answer.reason == "Answered from the web."
    assert {found.source for found in answer.passages} == {Source.WEB}
    assert answer.looked_at == ("a web search (2 results)", "http://docs/a", "http://docs/b")


def test_refused_pages_block_even_where_the_search_was_allowed(script):
    script.lexicon = UNTRAINED
    script.web = WebHits((WebHit("http://docs/a", "A"),))
    script.fetched = lambda url: DENIED

    answer = script.run()

    assert answer.end is AnswerEnd.BLOCKED
    assert answer.text.endswith("Looked at: a web search (1 results).")


def test_one_allowed_page_is_enough(script):
    script.lexicon = UNTRAINED
    script.web = WebHits((WebHit("http://docs/a", "A"), WebHit("http://docs/b", "B")))
    script.fetched = lambda url: DENIED if url.endswith("a") else page(url)

    answer = script.run()

    assert answer.end is AnswerEnd.FOUND
    assert answer.refused == (DENIED,)


def test_a_search_that_is_down_is_not_found_and_says_so(script):
    script.lexicon = UNTRAINED
    script.web = Failed("search:8080", "it answered 500")

    answer = script.run()

    assert answer.end is AnswerEnd.NOT_FOUND
    assert answer.text == "No answer was found. search:8080 did not work: it answered 500."


def test_pages_are_bounded_and_fetched_once_each(script):
    script.lexicon = UNTRAINED
    script.web = WebHits(tuple(WebHit(f"http://docs/{n // 2}", "") for n in range(20)))

    script.run(pages=2)

    assert [step.urls for step in script.steps if isinstance(step, Fetch)] == [
        ("http://docs/0", "http://docs/1")
    ]


def test_an_unsupported_answer_is_followed_by_a_quote_from_the_same_prompt(script):
    script.answers = ["Cats like warm places most of all.", SNAT]

    answer = script.run()

    assert answer.end is AnswerEnd.FOUND
    assert answer.text == f"{SNAT} [1]"
    assert [step.choices for step in script.steps if isinstance(step, Generate)] == [(), (SNAT,)]
    assert script.count(OpenPrompt) == 1


def test_without_a_sentence_that_touches_the_question_there_is_no_quote(script):
    script.answers = ["Cats like warm places most of all."]
    script.local = [passage(OTHER)]

    answer = script.run(web=False)

    assert answer.end is AnswerEnd.NOT_FOUND
    assert script.count(Generate) == 1


def test_an_answer_that_no_passage_supports_is_not_delivered(script):
    script.answers = ["Cats like warm places most of all."]

    answer = script.run(web=False)

    assert answer.end is AnswerEnd.NOT_FOUND
    assert answer.text == "No answer was found. Looked at: the corpora (Guide)."
    assert script.count(Generate) == 2


def test_the_better_of_two_answers_stands(script):
    script.answers = [f"{SNAT} Cats like warmth.", "Cats like warm places most of all."]

    answer = script.run()

    assert answer.end is AnswerEnd.FOUND
    assert answer.passages == tuple(script.local)
    assert [sentence.support.value for sentence in answer.cited.sentences] == [
        "Supported",
        "Unsupported",
    ]


def test_uncalibrated_grades_are_kept_and_refuse_nothing(script):
    script.margins = lambda question: -30.0

    answer = script.run()

    assert answer.end is AnswerEnd.FOUND
    assert {grade.verdict.value for grade in answer.grades} == {"Shown"}
    assert [grade.question.value for grade in answer.grades] == [
        "relevant", "relevant", "answerable", "grounded", "answers", "right",
    ]  # fmt: skip


def test_calibrated_grades_drop_passages_and_the_model_is_told(script):
    script.margins = lambda question: -5.0 if "[2]" in question else believing(question)

    script.run(calibrations=STRICT)

    (generate,) = (step for step in script.steps if isinstance(step, Generate))
    assert generate.instruction == "\nUse only [1]."


def test_without_a_usable_passage_the_question_is_reworded_once_then_the_web_tried(script):
    script.margins = lambda question: -believing(question)

    answer = script.run(calibrations=STRICT)

    assert answer.end is AnswerEnd.BLOCKED
    assert [step.query for step in script.steps if isinstance(step, Search)] == [
        QUESTION,
        "purpose of SNAT pools",
    ]
    assert (script.count(Rewrite), script.count(WebSearch), script.count(Generate)) == (1, 1, 0)


def test_the_second_round_reads_what_the_first_did_not(script):
    script.local = [passage(f"{SNAT} {n}", key=f"chunk:{n}") for n in range(8)]
    script.margins = lambda question: -believing(question) + float("[2]" in question)

    script.run(calibrations=STRICT, web=False, passages=4)

    first, second = (step.messages[1].text for step in script.steps if isinstance(step, OpenPrompt))
    assert [f"{SNAT} {n}" in first for n in range(8)] == [n < 4 for n in range(8)]
    # Of those that were read the two likeliest stay, in the order of the search.
    assert [f"{SNAT} {n}" in second for n in range(8)] == [n in (0, 1, 4, 5) for n in range(8)]


def test_passages_that_help_only_together_are_read_after_the_second_round(script):
    script.margins = lambda question: -5.0 if "[" in question else believing(question)

    answer = script.run(calibrations=STRICT, web=False)

    assert answer.end is AnswerEnd.FOUND
    assert (script.count(Rewrite), script.count(Generate)) == (1, 1)


def test_an_ungrounded_answer_goes_to_the_web_and_ends_after_two_generations(script):
    script.web = WebHits((WebHit("http://docs/a", "A"),))
    script.margins = lambda question: (
        -believing(question) if "your answer" in question else believing(question)
    )

    answer = script.run(calibrations=STRICT)

    assert answer.end is AnswerEnd.NOT_FOUND
    assert "the best one is right with a chance of" in answer.text
    assert (script.count(WebSearch), script.count(Generate)) == (1, 2)


def test_an_answer_that_the_grades_refuse_is_written_once_more_from_the_likeliest(script):
    script.local = [passage(SNAT, key=f"chunk:{n}") for n in range(4)]
    script.answers = [SNAT, f"{SNAT} "]

    def margins(question: str) -> float:
        if "your answer" in question:
            return believing(question) * (1 if script.count(Generate) == 2 else -1)
        return float(question[-32] == "9") if "[" in question else believing(question)

    script.margins = margins

    answer = script.run(calibrations=STRICT, web=False, passages=4)

    instructions = [step.instruction for step in script.steps if isinstance(step, Generate)]
    assert answer.end is AnswerEnd.FOUND
    assert instructions == ["", "\nUse only [1], [2]."]
    assert answer.confidence > 0.9


def test_a_second_answer_must_clear_the_higher_bar(script):
    script.local = [passage(SNAT, key=f"chunk:{n}") for n in range(4)]

    def margins(question: str) -> float:
        # Log-odds 0 in all is a chance of a half: enough for a first answer, not for a second.
        if "your answer" in question:
            return -believing(question) / (1 if script.count(Generate) == 1 else 2)
        return believing(question)

    script.margins = margins

    answer = script.run(calibrations=STRICT, web=False, passages=4)

    assert (answer.end, script.count(Generate)) == (AnswerEnd.NOT_FOUND, 2)
    assert 0.4 < answer.confidence < 0.6


def test_passages_that_do_not_hold_the_answer_together_end_it_before_anything_is_written(script):
    script.margins = lambda question: 5.0 if "[" in question else -believing(question)

    answer = script.run(calibrations=STRICT, web=False)

    assert (answer.end, script.count(Generate)) == (AnswerEnd.NOT_FOUND, 0)


def test_where_the_web_is_off_it_is_never_asked(script):
    script.lexicon = Lexicon(50, {"snat": 0, "cup": 0})
    script.local = []

    answer = script.run(web=False)

    assert answer.end is AnswerEnd.NOT_FOUND
    assert answer.text == "No answer was found. Looked at: the corpora (nothing found)."
    assert script.count(WebSearch) == 0


def test_the_deadline_ends_the_run_with_what_there_is(script):
    script.seconds_per_step = 10.0

    answer = script.run(deadline_seconds=25.0)

    assert answer.end is AnswerEnd.NOT_FOUND
    assert answer.text.startswith("The time for this question ran out.")
    assert len(script.steps) <= 4


def test_deadline_in_the_second_search_ends_the_run_with_what_there_is(script):
    def margins(question: str) -> float:
        # The second search finds more than was graded, and takes too long.
        script.local = [passage(f"{SNAT} {n}", key=f"chunk:{n}") for n in range(8)]
        script.seconds_per_step = 35.0
        return -5.0 if "[" in question else believing(question)

    script.margins = margins

    answer = script.run(calibrations=STRICT, web=False)

    assert answer.end is AnswerEnd.NOT_FOUND
    assert answer.text.startswith("The time for this question ran out.")
    assert (script.count(Search), script.count(OpenPrompt)) == (2, 1)


@given(
    lexicon=st.sampled_from([TRAINED, UNTRAINED, Lexicon(9, {"snat": 0})]),
    web=st.sampled_from(
        [DENIED, Failed("x", "y"), WebHits(()), WebHits((WebHit("http://a", ""),))]
    ),
    fetched=st.sampled_from([page, lambda url: DENIED, lambda url: Failed(url, "down")]),
    answers=st.lists(st.sampled_from(["", "Cats.", SNAT]), min_size=1, max_size=2),
    calibrations=st.sampled_from([Calibrations(), STRICT]),
    margins=st.randoms(use_true_random=False),
    local=st.lists(st.sampled_from([passage(SNAT), passage(OTHER, key="chunk:2")]), max_size=2),
    seconds=st.floats(0, 40),
)
def test_every_run_ends_within_its_counters(
    lexicon, web, fetched, answers, calibrations, margins, local, seconds
):
    script = Script()
    script.lexicon, script.web, script.fetched = lexicon, web, fetched
    script.answers, script.local, script.seconds_per_step = answers, local, seconds
    script.margins = lambda question: margins.uniform(-5, 5)

    answer = script.run(calibrations=calibrations)

    assert script.count(Rewrite) <= 1
    assert script.count(WebSearch) <= 1
    assert script.count(Fetch) <= 1
    assert script.count(Generate) <= 3
    assert answer.text
    assert (answer.cited is not None) == (answer.end is AnswerEnd.FOUND)
    assert bool(answer.refused) or answer.end is not AnswerEnd.BLOCKED


def test_a_follow_up_is_searched_and_asked_as_a_whole_question(script):
    said = Exchange(QUESTION, SNAT)

    script.run("What is its purpose?", history=(said,))

    (note,) = [
        s.decided for s in script.steps if isinstance(s, Note) and hasattr(s.decided, "after")
    ]
    (search,) = [step for step in script.steps if isinstance(step, Search)]
    (opened,) = [step for step in script.steps if isinstance(step, OpenPrompt)]
    assert (note.before, search.query) == ("What is its purpose?", note.after)
    assert opened.messages[-1].text.endswith(note.after)
    assert "SNAT" in note.after


def test_a_question_that_stands_alone_costs_no_rewriting(script):
    script.run(history=(Exchange("What is drift?", OTHER),))

    assert script.count(Rewrite) == 0
