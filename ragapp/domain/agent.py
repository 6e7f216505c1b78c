"""The agent as a generator: it yields steps and gets their replies, and touches nothing itself.

Whole in one place are the order of its moves, its counters and its ends. Like httpx's
authentication flows it runs without a model and without a network, so every path is tested as
values in, values out; ``drive.py`` runs it against the world.

question -> keyword gate -> corpora or web -> grade passages -> generate -> check -> answer,
with at most one rewrite, one web round, three generations (two from one place) and one deadline.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragapp.domain import ends, features, followup, prompt
from ragapp.domain.answering import PASSAGES
from ragapp.domain.attempt import Attempt
from ragapp.domain.citation import CitedAnswer, cite, supported_share
from ragapp.domain.ends import Answer, Looked
from ragapp.domain.engine import Generation
from ragapp.domain.grade import Calibrations, Grade, GradeVerdict, Question, usable
from ragapp.domain.lexical import telling_words
from ragapp.domain.passage import Passage, Source
from ragapp.domain.quote import quotes
from ragapp.domain.route import Decision, Lexicon, decide
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
    Rewording,
    Rewrite,
    Search,
    Step,
    WebPage,
    WebSearch,
    ask,
)

Flow = Generator[Step[Any], Any, Answer | None]
REWRITE_TOKENS = 32
# From the same passages: an answer, and one more where the checks object to it.
MOST_TRIES = 2
# How many passages a second try keeps to, the likeliest ones.
SECOND_TRY_PASSAGES = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """What bounds one run; the counters end every loop.

    Attributes:
        tenant: Slug, for the words of a refusal.
        deadline_seconds: From the run's begin; afterwards it ends with what there is.
        passages: Most passages handed to the model.
        pages: Most pages fetched in the one web round.
        answer_tokens: Most tokens of one answer.
        generations: Most answers written.
        rewrites: Most times that the question is put in other words.
        web: Whether the web may be tried at all.
        calibrations: Of this model and corpus; without one, grades are shown and refuse nothing.
        instructions: The corpus's own, put before the general ones.
        history: What was said before in the conversation, oldest first.
    """

    tenant: str
    deadline_seconds: float = 120.0
    passages: int = PASSAGES
    pages: int = 3
    answer_tokens: int = 128
    generations: int = 3
    rewrites: int = 1
    web: bool = True
    calibrations: Calibrations = field(default_factory=Calibrations)
    instructions: str = ""
    history: tuple[followup.Exchange, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """What the agent must know of the model to fit a prompt.

    Attributes:
        count: Tokens of a text.
        context_tokens: Longest prompt and answer together.
    """

    count: Callable[[str], int]
    context_tokens: int


def agent(
    question: str,
    settings: Settings,
    reader: Reader,
    *,
    delimiter: str,
    clock: Callable[[], float],
) -> Generator[Step[Any], Any, Answer]:
    """The steps of one run; returns its answer.

    Args:
        delimiter: Random per request; stands around each passage in the prompt.
        clock: Monotonic seconds; read between steps only.
    """
    return _Run(question, settings, reader, delimiter=delimiter, clock=clock).steps()


class _Run:
    """State of one run: what was looked at, what is left of each budget."""

    def __init__(
        self,
        question: str,
        settings: Settings,
        reader: Reader,
        *,
        delimiter: str,
        clock: Callable[[], float],
    ) -> None:
        self._question = question
        self._settings = settings
        self._reader = reader
        self._delimiter = delimiter
        self._clock = clock
        self._ends_at = clock() + settings.deadline_seconds
        self._generations_left = settings.generations
        self._rewrites_left = settings.rewrites
        self._looked = Looked()
        self._terms: tuple[str, ...] = ()
        self._relevance: tuple[Grade, ...] = ()
        self._answerable = Grade(Question.ANSWERABLE, 0, 0.0, None, GradeVerdict.SHOWN)

    def steps(self) -> Generator[Step[Any], Any, Answer]:
        """The whole run."""
        yield from self._stand_alone()
        lexicon = yield from ask(LookUp(self._question))
        self._terms = tuple(lexicon.frequency_by_term) or telling_words(self._question)
        decision = self._route(lexicon)
        yield from ask(Note(decision))
        if decision.way is Source.LOCAL:
            answer = yield from self._local()
            if answer is not None:
                return answer
            if self._may_try_web():
                yield from ask(Note(Decision(Source.WEB, ends.WHY_WEB, decision.coverage)))
        if self._may_try_web():
            answer = yield from self._web()
            if answer is not None:
                return answer
        return ends.without_answer(self._settings.tenant, self._looked, late=self._is_late())

    def _stand_alone(self) -> Generator[Step[Any], Any, None]:
        """Make a follow-up one question: what is searched, graded and asked from here on."""
        question, history = self._question, self._settings.history
        if not followup.leans(question, history):
            return
        written = yield from ask(
            Rewrite(followup.messages(question, history), REWRITE_TOKENS, self._remaining_seconds())
        )
        self._question = followup.standalone(written, question, history)
        yield from ask(Note(Rewording(question, self._question)))

    def _route(self, lexicon: Lexicon) -> Decision:
        decision = decide(lexicon)
        if decision.way is Source.LOCAL or self._settings.web or not lexicon.chunks:
            return decision
        reasons = (*decision.reasons, "The web is not to be used here.")
        return Decision(Source.LOCAL, reasons, decision.coverage)

    def _local(self) -> Flow:
        """Answer from the corpora; a calibrated grade may ask for a second search."""
        most = self._settings.passages
        found = yield from self._search(self._question, most)
        usable_numbers = yield from self._read(found)
        if not usable_numbers and self._rewrites_left and not self._is_late():
            reworded = yield from self._reword()
            more = yield from self._search(reworded, 2 * most)
            usable_numbers = yield from self._read(self._next(more))
            usable_numbers = usable_numbers or self._doubtful()
        return (yield from self._write(usable_numbers))

    def _web(self) -> Flow:
        """Answer from the web: one search, its first pages, their best passages."""
        settings = self._settings
        hits = yield from ask(WebSearch(self._question, settings.pages))
        if isinstance(hits, Refused | Failed):
            self._looked.add(hits)
            return None
        self._looked.searched_web(len(hits.hits))
        urls = tuple(dict.fromkeys(hit.url for hit in hits.hits))[: settings.pages]
        if not urls or self._is_late():
            return None
        replies = yield from ask(Fetch(urls))
        for reply in replies:
            self._looked.add(reply)
        pages = tuple(reply for reply in replies if isinstance(reply, WebPage))
        if not pages or self._is_late():
            return None
        ranked = yield from ask(Rank(self._question, pages, settings.passages))
        usable_numbers = yield from self._read(ranked)
        return (yield from self._write(usable_numbers))

    def _next(self, more: Sequence[Passage]) -> tuple[Passage, ...]:
        """What to read in the second round: the likeliest of what was read, then what was not."""
        most, read = self._settings.passages, self._looked.passages
        likeliest = self._likeliest(range(1, len(read) + 1))
        kept = [read[number - 1] for number in likeliest[: most // 2]]
        seen = {passage.key for passage in read}
        return (*kept, *(passage for passage in more if passage.key not in seen))[:most]

    def _doubtful(self) -> tuple[int, ...]:
        """The likeliest of passages that help one by one too little, and together perhaps.

        None where there was no time to grade them.
        """
        is_refused = self._answerable.verdict is GradeVerdict.REFUSED
        return () if is_refused else self._likeliest(range(1, len(self._relevance) + 1))

    def _likeliest(self, numbers: Sequence[int]) -> tuple[int, ...]:
        likely = sorted(numbers, key=lambda number: -self._relevance[number - 1].logit)
        return tuple(sorted(likely[:SECOND_TRY_PASSAGES]))

    def _search(self, query: str, limit: int) -> Generator[Step[Any], Any, tuple[Passage, ...]]:
        found = yield from ask(Search(query, limit))
        self._looked.searched_corpora(found)
        return found

    def _reword(self) -> Generator[Step[Any], Any, str]:
        self._rewrites_left -= 1
        written = yield from ask(
            Rewrite(
                prompt.rewrite_messages(self._question),
                REWRITE_TOKENS,
                self._remaining_seconds(),
            )
        )
        # An empty or endless rewriting is none; the first line is the query.
        reworded = next(iter(written.strip().splitlines()), "").strip(" \"'") or self._question
        yield from ask(Note(Rewording(self._question, reworded)))
        return reworded

    def _read(self, found: Sequence[Passage]) -> Generator[Step[Any], Any, tuple[int, ...]]:
        """Open one prompt with the passages and grade them; numbers of those that may be used.

        None may where the passages together are graded as not holding the answer.
        """
        settings = self._settings
        passages = prompt.fit(
            self._question,
            found[: settings.passages],
            count=self._reader.count,
            budget_tokens=self._reader.context_tokens - settings.answer_tokens,
            delimiter=self._delimiter,
            instructions=settings.instructions,
        )
        self._looked.passages, self._relevance = passages, ()
        if not passages or self._is_late():
            return ()
        built = prompt.messages(
            self._question,
            passages,
            delimiter=self._delimiter,
            instructions=settings.instructions,
        )
        yield from ask(OpenPrompt(built))
        numbers = range(1, len(passages) + 1)
        together = prompt.answerable_questions()
        questions = (*(prompt.relevance_question(number) for number in numbers), *together)
        margins = yield from ask(AskGrades(questions))
        self._relevance = tuple(
            self._grade(Question.RELEVANT, number, features.of_passage(passage, passages, margin))
            for number, margin, passage in zip(numbers, margins, passages, strict=False)
        )
        margin = together.margin(margins[-len(together) :])
        known = features.of_passages(passages, self._relevance, margin)
        self._answerable = self._grade(Question.ANSWERABLE, 0, known)
        yield from self._note((*self._relevance, self._answerable))
        if self._answerable.verdict is GradeVerdict.REFUSED:
            return ()
        return usable(self._relevance)

    def _write(self, numbers: tuple[int, ...]) -> Flow:
        """Generate from the usable passages; where the checks object, once more."""
        best: Attempt | None = None
        allowed, choices = numbers, tuple[str, ...]()
        for tries in range(MOST_TRIES):
            if not allowed or not self._generations_left or self._is_late():
                break
            self._generations_left -= 1
            attempt = yield from self._answer(allowed, choices)
            can_stand = attempt.can_stand and (not tries or attempt.is_sure)
            if can_stand and (best is None or attempt.worth > best.worth):
                best = attempt
            if attempt.is_settled:
                break
            allowed, choices = self._second_try(numbers, attempt)
        return ends.found(best.cited, self._looked) if best else None

    def _second_try(
        self, numbers: tuple[int, ...], attempt: Attempt
    ) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """What a second answer may use: nothing where it could only be the same again.

        Where the passages do not support what was written, only their own sentences; where they do
        but the grades object, the likeliest passages alone, and of these the sentences that were
        not written yet.
        """
        fewer = self._likeliest(numbers)
        if supported_share(attempt.cited) == 1 and fewer != numbers:
            return fewer, ()
        texts = [self._looked.passages[number - 1].text for number in numbers]
        written = {sentence.text for sentence in attempt.cited.sentences}
        choices = tuple(quote for quote in quotes(self._terms, texts) if quote not in written)
        return (numbers, choices) if choices else ((), ())

    def _answer(
        self, numbers: tuple[int, ...], choices: tuple[str, ...]
    ) -> Generator[Step[Any], Any, Attempt]:
        """One generation with its checks."""
        passages = self._looked.passages
        written = yield from ask(
            Generate(
                prompt.answer_instruction(numbers, of=len(passages)),
                self._settings.answer_tokens,
                prompt.ANSWER_END,
                self._remaining_seconds(),
                choices,
            )
        )
        cited = cite(
            written.text,
            [passage.text for passage in passages],
            is_cut=written.finish != "stop",
        )
        grades = yield from self._check(cited, written)
        self._looked.wrote(cited.text, grades[-1].probability)
        return Attempt(cited, grades)

    def _check(
        self, cited: CitedAnswer, written: Generation
    ) -> Generator[Step[Any], Any, tuple[Grade, ...]]:
        """The grades of an answer; the last one is what all of them say together."""
        grounded, answers = prompt.grounded_questions(), prompt.answers_questions()
        margins = yield from ask(AskGrades((*grounded, *answers)))
        parts = tuple(
            self._grade(question, 0, features.of_answer(cited, written, margin))
            for question, margin in (
                (Question.GROUNDED, grounded.margin(margins[: len(grounded)])),
                (Question.ANSWERS, answers.margin(margins[len(grounded) :])),
            )
        )
        earlier = (self._answerable, *parts)
        mean = sum(grade.margin for grade in earlier) / len(earlier)
        known = features.of_answer(cited, written, mean, earlier=earlier)
        grades = (*parts, self._grade(Question.RIGHT, 0, known))
        yield from self._note(grades)
        return grades

    def _grade(self, question: Question, subject: int, known: features.Features) -> Grade:
        return self._settings.calibrations.grade(question, subject, known)

    def _note(self, grades: tuple[Grade, ...]) -> Generator[Step[Any], Any, None]:
        self._looked.grades += grades
        yield from ask(Note(grades))

    def _may_try_web(self) -> bool:
        """Once, while an answer can still be written."""
        allowed = self._settings.web and not self._looked.web_tried
        return allowed and self._generations_left > 0 and not self._is_late()

    def _is_late(self) -> bool:
        return self._clock() >= self._ends_at

    def _remaining_seconds(self) -> float:
        return max(self._ends_at - self._clock(), 0.0)
