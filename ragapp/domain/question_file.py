"""Reads uploaded question sets: JSON lines, CSV, and BEIR's judgements beside its queries.

Every line that cannot be taken is named with its number and the reason; the caller takes all of a
file or nothing.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any

from ragapp.domain.judged import (
    MOST_ANSWER_CHARACTERS,
    MOST_ANSWERS,
    MOST_CHARACTERS,
    MOST_GRADE,
    MOST_RELEVANT,
    Judged,
    Relevant,
)
from ragapp.domain.storable import storable

MOST_BYTES = 4 * 1024 * 1024
MOST_QUESTIONS = 2000
# More complaints than a person mends at once.
MOST_COMPLAINTS = 50
_MOST_LINE = 200_000
_WHOLE = re.compile(r"-?[0-9]+")

# What each field may be called: ours, the layout of questions and answers, and BEIR's.
_FIELD_BY_KEY: Mapping[str, str] = {
    "question": "question",
    "text": "question",
    "query": "question",
    "answers": "answers",
    "answer": "answers",
    "answerable": "answerable",
    "is_answerable": "answerable",
    "relevant": "relevant",
    "gold_passage": "relevant",
    "id": "id",
    "_id": "id",
    "title": "ignored",
    "metadata": "ignored",
    "article": "ignored",
}
_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a line; 0 is the file as a whole."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.message}" if self.line else self.message


@dataclass(frozen=True, slots=True)
class Line:
    """A question as a file has it; its judgements still name documents as the file does."""

    number: int
    name: str
    judged: Judged


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """What was read; to be taken only if nothing is complained about."""

    lines: tuple[Line, ...]
    complaints: tuple[Complaint, ...]


class _LineError(ValueError):
    """This line cannot be taken; the message says why."""


def read(content: bytes, *, name: str, judgements: bytes = b"") -> QuestionFile:
    """The questions of a file.

    Args:
        name: Its name; ``.csv`` is CSV, anything else JSON lines.
        judgements: BEIR's qrels, tab-separated query, document and grade; may be empty.
    """
    if len(content) > MOST_BYTES or len(judgements) > MOST_BYTES:
        limit = f"A file may have {MOST_BYTES // 1024 // 1024} MiB; split the set."
        return QuestionFile((), (Complaint(0, limit),))
    try:
        text, judged_text = content.decode("utf-8-sig"), judgements.decode("utf-8-sig")
    except UnicodeDecodeError:
        return QuestionFile((), (Complaint(0, "The file is not UTF-8 text. Save it as UTF-8."),))
    is_csv = PurePosixPath(name.lower()).suffix == ".csv"
    complaints: list[Complaint] = []
    rows = _csv_rows(text, complaints) if is_csv else _json_rows(text, complaints)
    lines = _lines(rows, complaints, has_judgements=bool(judged_text.strip()))
    if judged_text.strip():
        lines = _with_judgements(lines, judged_text, complaints)
    if not lines and not complaints:
        complaints.append(Complaint(0, "The file has no question."))
    return QuestionFile(tuple(lines), tuple(complaints[:MOST_COMPLAINTS]))


def check(judged: Judged) -> str:
    """Why this is no judged question; empty if it is one."""
    if not judged.text or len(judged.text) > MOST_CHARACTERS:
        return f"a question has 1 to {MOST_CHARACTERS} characters, this one {len(judged.text)}"
    if len(judged.answers) > MOST_ANSWERS:
        return f"at most {MOST_ANSWERS} answers, here are {len(judged.answers)}"
    if any(len(reference) > MOST_ANSWER_CHARACTERS for reference in judged.answers):
        return f"a reference answer has at most {MOST_ANSWER_CHARACTERS} characters"
    if len(judged.relevant) > MOST_RELEVANT:
        return f"at most {MOST_RELEVANT} relevant documents, here are {len(judged.relevant)}"
    if any(not 1 <= entry.grade <= MOST_GRADE for entry in judged.relevant):
        return f"a grade is a whole number from 1 to {MOST_GRADE}"
    if not judged.is_answerable and (judged.answers or judged.relevant):
        return "a question that is not answerable has no answers and nothing relevant"
    return ""


def _json_rows(text: str, complaints: list[Complaint]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        if len(written) > _MOST_LINE:
            complaints.append(Complaint(number, f"longer than {_MOST_LINE} characters"))
            continue
        try:
            row = json.loads(written)
        except (ValueError, RecursionError):
            complaints.append(Complaint(number, "is not JSON; each line is one JSON object"))
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            complaints.append(Complaint(number, "is not a JSON object"))


def _csv_rows(text: str, complaints: list[Complaint]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        for row in reader:
            if "" in row:
                message = "has more cells than the header; quote a cell that has commas"
                complaints.append(Complaint(reader.line_num, message))
                continue
            yield reader.line_num, {key: value or "" for key, value in row.items()}
    except csv.Error as error:
        complaints.append(Complaint(reader.line_num, f"is not CSV: {error}"))


def _lines(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    complaints: list[Complaint],
    *,
    has_judgements: bool,
) -> list[Line]:
    lines: list[Line] = []
    number_by_text: dict[str, int] = {}
    for number, row in rows:
        if len(lines) >= MOST_QUESTIONS:
            complaints.append(Complaint(number, f"a set has at most {MOST_QUESTIONS} questions"))
            break
        try:
            line = _line(number, row, has_judgements=has_judgements)
            first = number_by_text.setdefault(line.judged.text, number)
            if first != number:
                raise _LineError(f"is the same question as line {first}")
        except _LineError as error:
            complaints.append(Complaint(number, str(error)))
            continue
        lines.append(line)
    return lines


def _line(number: int, row: Mapping[str, Any], *, has_judgements: bool) -> Line:
    value_by_field: dict[str, Any] = {}
    for key, value in row.items():
        field = _FIELD_BY_KEY.get(str(key).strip().lower())
        if field is None:
            raise _LineError(_unknown(str(key)))
        if field in value_by_field and field != "ignored":
            raise _LineError(f"says {field} twice")
        value_by_field[field] = value
    judged = _judged(value_by_field)
    if complaint := check(judged):
        raise _LineError(complaint)
    if not (judged.answers or judged.relevant or has_judgements) and judged.is_answerable:
        raise _LineError(
            "says neither answers nor what is relevant, so nothing can be measured;"
            " or is it not answerable?"
        )
    return Line(number, str(value_by_field.get("id", "")), judged)


def _judged(values: Mapping[str, Any]) -> Judged:
    question = values.get("question")
    if not isinstance(question, str):
        raise _LineError("has no text under question")
    is_answerable = _flag(values.get("answerable", ""), default=True)
    answers = _listed(values.get("answers"), "answers", str)
    relevant = tuple(_relevant(values.get("relevant")))
    return Judged(
        text=" ".join(storable(question).split()),
        answers=tuple(
            dict.fromkeys(" ".join(storable(str(each)).split()) for each in answers if each)
        ),
        is_answerable=is_answerable,
        # In the layout of questions and answers, the gold passage of a question without an answer
        # is the one it was written to look answerable from: not relevant.
        relevant=relevant if is_answerable else (),
    )


def _flag(value: object, *, default: bool) -> bool:
    word = str(value).strip().lower()
    if not word:
        return default
    if word not in _TRUE | _FALSE:
        raise _LineError("answerable is true or false")
    return word in _TRUE


def _listed(value: object, field: str, kind: type | tuple[type, ...]) -> Sequence[Any]:
    """A list as JSON has it, or one text with bars between its entries, as CSV has it."""
    if value is None:
        return ()
    if isinstance(value, str):
        return [part.strip() for part in value.split("|") if part.strip()]
    if isinstance(value, list) and all(isinstance(each, kind) for each in value):
        return value
    raise _LineError(f"{field} is not a list of texts")


def _relevant(value: object) -> Iterator[Relevant]:
    if isinstance(value, dict):
        for url, grade in value.items():
            yield Relevant(storable(str(url)), grade=_grade(grade))
        return
    for each in _listed(value, "relevant", (str, dict)):
        if isinstance(each, str):
            yield Relevant(storable(each))
            continue
        unknown = set(each) - {"url", "passage", "grade"}
        if unknown:
            raise _LineError(f"relevant has {min(unknown)!r}; it takes url, passage and grade")
        url, passage = (storable(str(each.get(name, ""))) for name in ("url", "passage"))
        yield Relevant(url, passage, _grade(each.get("grade", 1)))


def _grade(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise _LineError(f"a grade is a whole number from 1 to {MOST_GRADE}") from None


def _with_judgements(lines: Sequence[Line], text: str, complaints: list[Complaint]) -> list[Line]:
    """The questions that the judgements name, with what is relevant to each."""
    relevant_by_name: dict[str, list[Relevant]] = {}
    known = {line.name for line in lines if line.name}
    for number, row in enumerate(csv.reader(io.StringIO(text), delimiter="\t"), start=1):
        is_header = number == 1 and len(row) in (3, 4) and not _WHOLE.fullmatch(row[-1])
        if is_header:
            continue
        problem = _judgement_problem(row, known)
        if problem:
            complaints.append(Complaint(number, f"of the judgements: {problem}"))
        elif row and int(row[-1]) > 0:
            entry = Relevant(row[-2], grade=min(int(row[-1]), MOST_GRADE))
            relevant_by_name.setdefault(row[0], []).append(entry)
    judged = [line for line in lines if line.name in relevant_by_name]
    if not judged:
        complaints.append(Complaint(0, "The judgements name no question of the file."))
    return [
        replace(line, judged=replace(line.judged, relevant=tuple(relevant_by_name[line.name])))
        for line in judged
    ]


def _judgement_problem(row: Sequence[str], known: set[str]) -> str:
    # TREC's files have a column of zeros between the query and the document.
    if row and (len(row) not in (3, 4) or not _WHOLE.fullmatch(row[-1]) or len(row[-1]) > 6):
        return "is not query, document and grade, with tabs between them"
    if row and row[0] not in known:
        return f"there is no question {row[0][:80]!r} in the file"
    return ""


def _unknown(key: str) -> str:
    nearest = get_close_matches(key, _FIELD_BY_KEY, n=1, cutoff=0.5)
    hint = (
        f"did you mean {nearest[0]}?"
        if nearest
        else "it takes question, answers, answerable, relevant and id"
    )
    return f"there is no field {key[:40]!r}; {hint}"


Resolve = Callable[[Relevant], Relevant | None]


def resolved(file: QuestionFile, resolve: Resolve) -> QuestionFile:
    """The file with each judgement as the corpus names its document.

    Args:
        resolve: The judgement in the corpus's words; None where it has no such document.
    """
    lines: list[Line] = []
    complaints = list(file.complaints)
    for line in file.lines:
        found = [resolve(entry) for entry in line.judged.relevant]
        lost = [
            entry.url or entry.passage
            for entry, known in zip(line.judged.relevant, found, strict=True)
            if known is None
        ]
        if lost:
            message = (
                f"the corpus has no document {lost[0][:200]!r}; train it first, or mend the name"
            )
            complaints.append(Complaint(line.number, message))
        kept = tuple(dict.fromkeys(entry for entry in found if entry is not None))
        lines.append(replace(line, judged=replace(line.judged, relevant=kept)))
    return QuestionFile(tuple(lines), tuple(complaints[:MOST_COMPLAINTS]))
