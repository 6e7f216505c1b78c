"""Datasets in two layouts, read from a folder that the user names with ``DATA``.

Retrieval (as BEIR): ``corpus.jsonl[.gz]`` of ``{"_id", "title", "text"}``, ``queries.jsonl[.gz]``
of ``{"_id", "text"}`` and ``qrels/test.tsv`` of ``query-id, corpus-id, score`` under a header.
Questions and answers: ``passages.jsonl[.gz]`` like a corpus, and ``questions.jsonl[.gz]`` of
``{"id", "question", "answers", "answerable", "gold_passage"}``.
"""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.runner import BenchmarkError


class DatasetError(BenchmarkError):
    """The folder is not in the layout, or its files do not fit each other."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document; index its title and its text together."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Documents, queries, and which documents are relevant to each query.

    Attributes:
        query_by_id: In the file's order; only queries with at least one judgement.
        grades_by_query: Grade by document id for each query, all above 0.
    """

    name: str
    documents: tuple[Document, ...]
    query_by_id: Mapping[str, str]
    grades_by_query: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        answers: Accepted spans; empty where the passages do not answer it.
        passage: Id of the passage that it was written for.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    is_answerable: bool
    passage: str


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Passages, and questions of which some cannot be answered from them."""

    name: str
    passages: tuple[Document, ...]
    questions: tuple[Question, ...]


def load_retrieval(folder: Path) -> RetrievalSet:
    """Read the retrieval layout.

    Raises:
        DatasetError: A file is missing, a line is broken, or a judgement names what is not there.
    """
    documents = tuple(_documents(folder, "corpus"))
    queries = {_text(line, "_id"): _text(line, "text") for line in _lines(folder, "queries")}
    grades = _judgements(folder)
    _check_known(folder, "queries", grades, queries)
    known = {document.id for document in documents}
    for judged in grades.values():
        _check_known(folder, "documents", judged, known)
    asked = {name: text for name, text in queries.items() if name in grades}
    return RetrievalSet(folder.name, documents, asked, grades)


def load_questions(folder: Path) -> QuestionSet:
    """Read the layout of questions and answers.

    Raises:
        DatasetError: As ``load_retrieval``.
    """
    passages = tuple(_documents(folder, "passages"))
    questions = tuple(
        Question(
            id=_text(line, "id"),
            text=_text(line, "question"),
            answers=tuple(line.get("answers", ())),
            is_answerable=bool(line.get("answerable")),
            passage=_text(line, "gold_passage"),
        )
        for line in _lines(folder, "questions")
    )
    known = {passage.id for passage in passages}
    _check_known(folder, "passages", {question.passage for question in questions}, known)
    return QuestionSet(folder.name, passages, questions)


def _documents(folder: Path, stem: str) -> Iterator[Document]:
    for line in _lines(folder, stem):
        yield Document(_text(line, "_id"), _text(line, "title"), _text(line, "text"))


def _lines(folder: Path, stem: str) -> Iterator[dict[str, Any]]:  # Any: the file's own JSON
    file = _file(folder, f"{stem}.jsonl.gz", f"{stem}.jsonl")
    reader = gzip.open if file.suffix == ".gz" else open
    with reader(file, "rt", encoding="utf-8") as stream:
        for number, written in enumerate(stream, start=1):
            if not written.strip():
                continue
            try:
                line = json.loads(written)
            except ValueError as error:
                raise DatasetError(f"{file}, line {number}, is not JSON: {error}.") from error
            if not isinstance(line, dict):
                raise DatasetError(f"{file}, line {number}, is not a JSON object.")
            yield line


def _judgements(folder: Path) -> dict[str, dict[str, int]]:
    file = _file(folder, "qrels/test.tsv")
    grades: dict[str, dict[str, int]] = {}
    with file.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t")
        next(rows, None)
        for number, row in enumerate(rows, start=2):
            if len(row) != 3 or not row[2].lstrip("-").isdigit():
                raise DatasetError(f"{file}, line {number}, is not query, document and grade.")
            if int(row[2]) > 0:
                grades.setdefault(row[0], {})[row[1]] = int(row[2])
    return grades


def _file(folder: Path, *candidates: str) -> Path:
    for candidate in candidates:
        if (folder / candidate).is_file():
            return folder / candidate
    raise DatasetError(f"{folder} has no {' or '.join(candidates)}; see benchmarks/datasets.py.")


def _text(line: Mapping[str, Any], key: str) -> str:
    value = line.get(key)
    if not isinstance(value, str):
        raise DatasetError(f"A line has no text {key!r}: {json.dumps(line)[:120]}.")
    return value


def _check_known(
    folder: Path,
    what: str,
    named: Mapping[str, object] | set[str],
    known: Mapping[str, object] | set[str],
) -> None:
    missing = sorted(set(named) - set(known))
    if missing:
        raise DatasetError(
            f"{folder} judges {what} that it does not hold: {', '.join(missing[:5])}."
        )
