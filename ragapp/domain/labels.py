"""What a judged question says of each grade of a run that answered it: calibrations learn it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragapp.domain.ends import Answer
from ragapp.domain.grade import Grade, Question
from ragapp.domain.judged import Judged
from ragapp.domain.match import contains
from ragapp.domain.passage import Passage


@dataclass(frozen=True, slots=True)
class Sample:
    """What was known of one grade, and whether it was so."""

    features: dict[str, float]
    is_so: bool


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """The grades of one run with their labels; those of an answer only where one was written."""

    relevant: tuple[Sample, ...]
    answerable: Sample | None
    grounded: Sample | None = None
    answers: Sample | None = None
    right: Sample | None = None


def helps(judged: Judged, passage: Passage) -> bool:
    """Whether the passage is of a relevant document and, as far as is known, holds the answer."""
    urls = {entry.url for entry in judged.relevant}
    is_there = passage.url in urls if urls else bool(judged.answers)
    says_it = not judged.answers or contains(passage.text, judged.answers)
    return judged.is_answerable and is_there and says_it


def is_right(judged: Judged, answer: str) -> bool:
    """Whether ``answer`` says what was judged to be right; nothing is where there is no answer."""
    return judged.is_answerable and contains(answer, judged.answers)


def labelled(judged: Judged, reached: Answer) -> JudgedRun:
    """The grades of an uncalibrated run of ``judged``, each with its label.

    Of several answers the first one counts: its text is the draft that was kept. An answerable
    question without reference answers says nothing of answers.
    """
    relevant = [helps(judged, passage) for passage in reached.passages]
    first = {grade.question: grade for grade in reversed(reached.grades)}
    is_known = bool(judged.answers) or not judged.is_answerable
    so = is_right(judged, reached.draft)

    def sample(question: Question, *, is_so: bool) -> Sample | None:
        grade = first.get(question)
        return Sample(dict(grade.features), is_so) if grade and is_known else None

    return JudgedRun(
        relevant=tuple(
            Sample(dict(grade.features), relevant[grade.subject - 1])
            for grade in _last_reading(reached.grades, len(relevant))
        ),
        answerable=sample(Question.ANSWERABLE, is_so=any(relevant)),
        grounded=sample(Question.GROUNDED, is_so=so),
        answers=sample(Question.ANSWERS, is_so=so),
        right=sample(Question.RIGHT, is_so=so),
    )


def _last_reading(grades: Sequence[Grade], count: int) -> Sequence[Grade]:
    relevance = [grade for grade in grades if grade.question is Question.RELEVANT]
    return relevance[-count:] if count else ()


def judged_run(stored: Mapping[str, Any]) -> JudgedRun:  # Any: as nested as JSON is.
    """What ``asdict`` of a judged run stored."""
    single = ("answerable", "grounded", "answers", "right")
    return JudgedRun(
        relevant=tuple(Sample(**sample) for sample in stored["relevant"]),
        **{name: Sample(**stored[name]) if stored[name] else None for name in single},
    )
