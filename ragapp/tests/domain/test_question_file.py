"""Uploaded question sets: what is taken, and which line is complained about."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.judged import Judged, Relevant
from ragapp.domain.question_file import MOST_BYTES, MOST_QUESTIONS, read, resolved

OURS = {"question": "Why?", "answers": ["because"], "relevant": ["a.md"]}


def lines(*rows: object) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def judged(content: bytes, name: str = "q.jsonl", judgements: bytes = b"") -> list[Judged]:
    file = read(content, name=name, judgements=judgements)
    assert file.complaints == ()
    return [line.judged for line in file.lines]


def complaints(content: bytes, name: str = "q.jsonl", judgements: bytes = b"") -> list[str]:
    return [str(each) for each in read(content, name=name, judgements=judgements).complaints]


def test_json_lines_are_read():
    row = {"question": " Why \n so? ", "relevant": [{"url": "/a", "grade": 2}, "/b"]}

    assert judged(lines(OURS, row)) == [
        Judged("Why?", ("because",), True, (Relevant("a.md"),)),
        Judged("Why so?", (), True, (Relevant("/a", grade=2), Relevant("/b"))),
    ]


def test_layout_of_questions_and_answers_is_read():
    rows = [
        {"id": "1", "question": "A?", "answers": ["x"], "answerable": True, "gold_passage": "p1"},
        {"id": "2", "question": "B?", "answers": [], "answerable": False, "gold_passage": "p1"},
    ]

    assert judged(lines(*rows)) == [
        Judged("A?", ("x",), True, (Relevant("p1"),)),
        Judged("B?", (), False, ()),
    ]


def test_csv_is_read_with_bars_between_entries():
    content = 'question,answers,answerable,relevant\n"Why, then?",a|b,yes,/a | /b\nWho?,,no,\n'

    assert judged(content.encode(), "Q.CSV") == [
        Judged("Why, then?", ("a", "b"), True, (Relevant("/a"), Relevant("/b"))),
        Judged("Who?", (), False, ()),
    ]


@pytest.mark.parametrize(
    "qrels",
    [
        b"query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n",
        b"q1\t0\td1\t2\n",
    ],
)
def test_queries_with_judgements_are_those_that_are_judged(qrels):
    content = lines({"_id": "q1", "text": "Why?"}, {"_id": "q2", "text": "Who?"})

    assert judged(content, judgements=qrels) == [Judged("Why?", (), True, (Relevant("d1", "", 2),))]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([1], "is not a JSON object"),
        ({"answers": ["x"]}, "no text under question"),
        ({"question": 7}, "no text under question"),
        ({"question": "", "answers": ["x"]}, "1 to 4000 characters"),
        ({"question": "x" * 4001, "answers": ["x"]}, "1 to 4000 characters"),
        ({**OURS, "anwsers": []}, "no field 'anwsers'; did you mean answers?"),
        ({**OURS, "text": "Again?"}, "says question twice"),
        ({**OURS, "answers": [1]}, "answers is not a list of texts"),
        ({**OURS, "answers": [str(n) for n in range(21)]}, "at most 20 answers"),
        ({**OURS, "answers": ["x" * 501]}, "at most 500 characters"),
        ({**OURS, "answerable": "perhaps"}, "answerable is true or false"),
        ({"question": "Why?"}, "neither answers nor what is relevant"),
        ({"question": "Why?", "answerable": False, "answers": ["x"]}, "not answerable has no"),
        ({"question": "Why?", "relevant": {"/a": 11}}, "from 1 to 10"),
        ({"question": "Why?", "relevant": {"/a": "much"}}, "from 1 to 10"),
        ({"question": "Why?", "relevant": [{"doc": "/a"}]}, "it takes url, passage and grade"),
        ({"question": "Why?", "relevant": [str(n) for n in range(201)]}, "at most 200"),
    ],
)
def test_line_that_cannot_be_taken_is_named(row, words):
    found = complaints(lines({"question": "First?", "answers": ["x"]}, row))

    assert len(found) == 1
    assert found[0].startswith("Line 2: ")
    assert words in found[0]


def test_every_bad_line_is_named_and_a_double_too():
    content = (
        b'{"question": "A?", "answers": ["x"]}\nnonsense\n\n{"question": "A?", "answers": ["y"]}'
    )

    assert complaints(content) == [
        "Line 2: is not JSON; each line is one JSON object",
        "Line 4: is the same question as line 1",
    ]


def test_nesting_that_would_overflow_is_a_complaint():
    assert complaints(b"[" * 100_000) == ["Line 1: is not JSON; each line is one JSON object"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file has no question."),
        (b"\n \n", "The file has no question."),
        (b"\xff\xfe", "not UTF-8"),
        (b" " * (MOST_BYTES + 1), "4 MiB"),
    ],
)
def test_file_that_cannot_be_taken_says_why(content, words):
    found = complaints(content)

    assert len(found) == 1
    assert words in found[0]


def test_too_many_questions_are_refused():
    rows = [{"question": f"{n}?", "answerable": False} for n in range(MOST_QUESTIONS + 1)]

    assert complaints(lines(*rows)) == [
        f"Line {MOST_QUESTIONS + 1}: a set has at most {MOST_QUESTIONS} questions"
    ]


@pytest.mark.parametrize(
    ("qrels", "words"),
    [
        (b"q1\td1\n", "with tabs between them"),
        (b"h\th\th\nq9\td1\t1\n", "no question 'q9'"),
        (b"q1\td1\t0\n", "name no question"),
        ("q1\td1\t1\nq1\td2\t\u00b2\n".encode(), "with tabs between them"),
        (b"q1\td1\t1\nq1\td2\t--5\n", "with tabs between them"),
    ],
)
def test_judgement_that_cannot_be_taken_is_named(qrels, words):
    found = complaints(lines({"_id": "q1", "text": "Why?"}), judgements=qrels)

    assert any(words in complaint for complaint in found)


def test_csv_with_too_many_cells_is_named():
    found = complaints(b"question,answers\nWhy?,a,b\n", "q.csv")

    assert "more cells than the header" in found[0]


def test_judgement_of_a_document_that_is_not_there_is_named_with_its_line():
    file = read(lines(OURS, {"question": "B?", "relevant": ["gone"]}), name="q.jsonl")

    found = resolved(file, lambda entry: Relevant("/a") if entry.url == "a.md" else None)

    assert found.lines[0].judged.relevant == (Relevant("/a"),)
    assert [each.line for each in found.complaints] == [2]


@given(st.binary(max_size=300), st.sampled_from(["q.csv", "q.jsonl"]), st.binary(max_size=60))
def test_no_bytes_break_the_reader(content, name, judgements):
    file = read(content, name=name, judgements=judgements)

    assert file.complaints or file.lines


def test_what_no_database_holds_is_replaced_wherever_it_stands():
    row = {
        "question": "Why\x00 \ud83d?",
        "answers": ["so\ud83d"],
        "relevant": [{"url": "a\x00.md"}],
    }

    (one,) = judged(lines(row))

    assert one == Judged("Why\ufffd \ufffd?", ("so\ufffd",), relevant=(Relevant("a\ufffd.md"),))
