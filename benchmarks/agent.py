"""What the agent's grades cost and what they are worth, against one-shot RAG with the same model.

A private PostgreSQL holds the question set's passages; retrieval, runs and calibration are the
product's own. Calibrations are fitted on other articles than those whose questions are scored.
The stand-in reader of ``tests/wire/reader.py`` knows the key and errs at a stated rate; SmolLM2 is
reported without a goal, since it grades such passages at chance.
"""

import contextlib
import importlib
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

from benchmarks import first_token
from benchmarks.datasets import QuestionSet, load_questions
from benchmarks.runner import Context, Figure
from deploy.local.private_services import PrivateServices
from ragapp.domain import prompt
from ragapp.domain.engine import Message, continued
from ragapp.domain.grade import Calibrations, Question
from ragapp.domain.labels import helps, is_right, labelled
from ragapp.domain.match import contains
from ragapp.engines.local import LocalEngine
from ragapp.engines.openai import OpenAIEngine
from ragapp.engines.openai.stream import Watch
from ragapp.engines.openai.wire import wire_messages
from ragapp.services import fit
from tenants.errors import InvalidError
from tests.wire import reader, server

FOLDS = 4
SEED = 0
USERS = 50
PAUSE_SECONDS = 30.0
# Questions that SmolLM2 is asked where the run shall be short.
SMALL_SAMPLE = 48
GRADE_SAMPLE = 6
SLOW_TOKEN_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Scored:
    """One question by one way: how sure the way was, and whether it was right."""

    confidence: float
    is_right: bool


def run(context: Context) -> list[Figure]:
    """Grade tokens, risk against coverage, first token, stop, citations and refusals."""
    key = load_questions(context.need_data())
    with _database(), server.serving(reader.build("127.0.0.1:0", key, seed=SEED)) as wire:
        # Only now: it imports models, which Django must have been told of.
        part = importlib.import_module("benchmarks.wire.scene")
        engine = OpenAIEngine(f"{wire.url}/v1/", reader.MODEL, context_tokens=16_000)
        scene = part.make(engine)
        context.say(f"indexing {len(key.passages)} passages three times")
        cases = part.cases_of(scene, key)
        figures = _told(context, _with_reader(context, scene, cases))
        figures += _told(context, _grade_tokens("reader", scene, cases))
        scene.serve(f"{wire.url}/v1/", "reader")
        figures += _told(context, _first_tokens(context, part, scene, cases, key))
        figures += _told(context, _with_small_model(context, scene, cases))
        figures += first_token.figures(context)
    return figures


def _told(context: Context, figures: list[Figure]) -> list[Figure]:
    """The figures, said at once: the rest takes minutes more."""
    for figure in figures:
        beside = "" if figure.baseline is None else f", beside {figure.baseline:.3f}"
        context.say(f"{figure.key}: {figure.value:.3f}{beside}")
    return figures


def _with_reader(context: Context, scene: Any, cases: Sequence[Any]) -> list[Figure]:
    """Risk, refusals and citations with the stand-in reader; calibrated on other articles."""

    context.say(f"asking {len(cases)} questions of the reader, uncalibrated")
    first = [scene.answer(case, Calibrations()) for case in cases]
    judged = [labelled(case.judged, one) for case, one in zip(cases, first, strict=True)]
    folds = _folds([case.group for case in cases])
    answers = list(first)
    for fold in range(FOLDS):
        context.say(f"fold {fold + 1} of {FOLDS}: fitting on other articles, asking again")
        fitted = fit.fit([one for one, n in zip(judged, folds, strict=True) if n != fold])
        known = fit.calibrations(fitted)
        for number, case in enumerate(cases):
            if folds[number] == fold:
                answers[number] = scene.answer(case, known)
    own = [n for n, case in enumerate(cases) if case.corpus_id == cases[0].corpus_id]
    agent = [
        Scored(answers[n].confidence or 0.0, is_right(cases[n].judged, answers[n].draft))
        for n in own
    ]
    context.say("one-shot RAG with the same passages")
    one_shot = [_one_shot(scene, cases[n]) for n in own]
    is_refused = [one.end.value != "Found" for one in answers]
    refused = [no for no, case in zip(is_refused, cases, strict=True) if not case.is_answerable]
    wrongly = [no for no, case in zip(is_refused, cases, strict=True) if case.is_answerable]
    return [
        Figure(
            key="reader_risk_to_one_shot",
            value=area(agent),
            baseline=area(one_shot),
            goal=0.8,
            unit="risk",
            better="lower",
        ),
        Figure(key="refused_of_unanswerable", value=_share(refused), goal=0.9, unit=""),
        Figure(
            key="refused_of_answerable",
            value=_share(wrongly),
            goal=0.05,
            unit="",
            better="lower",
        ),
        *_citations(cases, answers),
    ]


def _one_shot(scene: Any, case: Any) -> Scored:
    """Retrieve, put all in one prompt, answer; sure as its tokens are likely."""

    built = prompt.messages(case.question.text, scene.found(case), delimiter="<<5a1ec0de>>")
    session = scene.engine.open(built)
    written = session.generate("", max_new_tokens=128, stop_at=prompt.ANSWER_END)
    session.close()
    return Scored(written.mean_logprob or -10.0, is_right(case.judged, written.text))


def _citations(cases: Sequence[Any], answers: Sequence[Any]) -> list[Figure]:
    """Of the citations given, those that hold, and those that also answer the question.

    The reader quotes, so a passage supports a sentence if it says it word for word: a judge that
    shares nothing with the product's own check. A wrong answer can be cited well: the first figure
    counts that as a hit, and the second, which has no goal, as a miss.
    """
    given = [
        (case.judged, sentence.text, one.passages[number - 1])
        for case, one in zip(cases, answers, strict=True)
        if one.cited is not None
        for sentence in one.cited.sentences
        for number in sentence.passages
    ]
    supporting = [contains(passage.text, [sentence]) for _, sentence, passage in given]
    answering = [helps(judged, passage) for judged, _, passage in given]
    return [
        Figure(key="citation_precision", value=_share(supporting), goal=0.9, unit=""),
        Figure(key="citations_of_the_answer", value=_share(answering), unit=""),
    ]


def _share(so: Sequence[bool]) -> float:
    return statistics.mean(so) if so else 0.0


def _grade_tokens(
    name: str, scene: Any, cases: Sequence[Any], *, passages: int = 8
) -> list[Figure]:
    """Tokens forwarded for grades, against the same grades with one prompt each."""

    graded = separate = 0
    for case in cases[:GRADE_SAMPLE]:
        found = scene.found(case)[:passages]
        # A delimiter of its own, so that no earlier run's prefix is in the server's cache.
        built = prompt.messages(
            case.question.text, found, delimiter=f"<<{name}{case.question.id}>>"
        )
        before = [prompt.relevance_question(n) for n in range(1, len(found) + 1)]
        before += prompt.answerable_questions()
        after = [*prompt.grounded_questions(), *prompt.answers_questions()]
        session = scene.engine.open(built)
        session.grade(before)
        written = session.generate("", max_new_tokens=64, stop_at=prompt.ANSWER_END)
        session.grade(after)
        usage = session.usage
        session.close()
        size = _size(scene.engine)
        plain = size(built)
        answered = (*built, Message("assistant", written.text))
        # What the first question's call read beyond the prompt was a grade too.
        graded += usage.grade_tokens + max(usage.prompt_tokens - plain, 0)
        separate += sum(size(continued(built, question)) for question in before)
        separate += sum(size((*answered, Message("user", question))) for question in after)
    return [
        Figure(
            key=f"{name}_grade_tokens",
            value=graded,
            baseline=separate,
            goal=0.15,
            unit="tokens",
            better="lower",
        )
    ]


def _size(engine: LocalEngine | OpenAIEngine) -> Callable[[Sequence[Message]], int]:
    """How many tokens a chat has, as the engine or its server counts."""
    if isinstance(engine, LocalEngine):
        return lambda messages: len(engine.chat.prompt(messages))

    def counted(messages: Sequence[Message]) -> int:
        asked = {"messages": wire_messages(messages), "max_tokens": 1, "logprobs": True}
        answer = engine.complete(asked, Watch(None, None))
        assert answer is not None, "nothing can end a call without a deadline"
        return int(answer["usage"]["prompt_tokens"])

    return counted


def _first_tokens(
    context: Context, part: Any, scene: Any, cases: Sequence[Any], key: QuestionSet
) -> list[Figure]:
    """First token with 50 users who read and think between questions, and how fast a stop works."""
    rounds = 4 if context.full else 2
    context.say(f"{USERS} users, {rounds} questions each, {PAUSE_SECONDS:.0f} s apart on average")
    taken = scene.first_token_seconds(
        cases[:300], users=USERS, pause_seconds=PAUSE_SECONDS, rounds=rounds
    )
    slow = reader.build("127.0.0.1:0", key, seed=SEED, token_seconds=SLOW_TOKEN_SECONDS)
    with server.serving(slow) as wire:
        engine = OpenAIEngine(f"{wire.url}/v1/", reader.MODEL, context_tokens=16_000)
        stopping = part.Scene(scene.tenant, engine)
        stopping.serve(f"{wire.url}/v1/", "slow-reader")
        answerable = [case for case in cases if case.is_answerable]
        stops = [stopping.stop_seconds(case) for case in answerable[:3]]
    taken.sort()
    return [
        Figure(
            key="first_token_p95_50_users",
            value=taken[int(len(taken) * 0.95)] if taken else float("nan"),
            goal=1.0,
            unit="s",
            better="lower",
        ),
        Figure(key="stop_to_end", value=max(stops), goal=2.0, unit="s", better="lower"),
    ]


def _with_small_model(context: Context, scene: Any, cases: Sequence[Any]) -> list[Figure]:
    """SmolLM2 on the same passages: tokens with the goal, risk without one."""

    engine = LocalEngine.from_source(settings.GENERATOR)
    small = type(scene)(scene.tenant, engine)
    figures = _grade_tokens("smollm2", small, cases)
    own = [case for case in cases if case.corpus_id == cases[0].corpus_id]
    asked = own if context.full else own[:: max(len(own) // SMALL_SAMPLE, 1)]
    context.say(f"asking {len(asked)} questions of {engine.name}")
    answers = [small.answer(case, Calibrations(), passages=3) for case in asked]
    judged = [labelled(case.judged, one) for case, one in zip(asked, answers, strict=True)]
    engine.close()
    written = [
        (one.right.features["logprob"], one.right) for one in judged if one.right is not None
    ]
    one_shot = [Scored(logprob, right.is_so) for logprob, right in written]
    agent = _held_out(judged, [case.group for case in asked]) or [
        Scored(right.features["margin"], right.is_so) for _, right in written
    ]
    return [
        *figures,
        Figure(
            key="smollm2_risk_to_one_shot",
            value=area(agent),
            baseline=area(one_shot),
            unit="risk",
            better="lower",
        ),
    ]


def _held_out(judged: Sequence[Any], groups: Sequence[str]) -> list[Scored]:
    """Each answer by a calibration of other articles; empty where they are too few to fit one."""

    folds, scored = _folds(groups), []
    for fold in range(FOLDS):
        try:
            fitted = fit.fit([one for one, n in zip(judged, folds, strict=True) if n != fold])
        except InvalidError:
            return []
        for one, n in zip(judged, folds, strict=True):
            if n == fold and one.right is not None:
                (sample,) = fit.samples_of(Question.RIGHT, one, fitted)
                chance = fitted[Question.RIGHT].calibration.probability(sample.features)
                scored.append(Scored(chance, sample.is_so))
    return scored


def area(scored: Sequence[Scored]) -> float:
    """Mean, over all coverages, of the share that is wrong among the surest; 0 is perfect."""
    wrong, risks = 0, []
    for count, one in enumerate(sorted(scored, key=lambda one: -one.confidence), start=1):
        wrong += not one.is_right
        risks.append(wrong / count)
    return statistics.mean(risks)


def _folds(groups: Sequence[str]) -> list[int]:
    """A fold for each; those of one article together."""
    number_by_group = {group: n for n, group in enumerate(sorted(set(groups)))}
    return [number_by_group[group] % FOLDS for group in groups]


@contextlib.contextmanager
def _database() -> Iterator[None]:
    """A private PostgreSQL and Redis, migrated, and Django set up on them."""
    services = PrivateServices()
    os.environ.update(services.env)
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings_test"
    services.start()
    try:
        django.setup()
        call_command("migrate", database="owner", interactive=False, verbosity=0)
        yield
    finally:
        services.stop()
