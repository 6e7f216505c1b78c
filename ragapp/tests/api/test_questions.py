"""Question sets by REST."""

import pytest

from ragapp.tests.factories import (
    CorpusFactory,
    DocumentFactory,
    JudgedQuestionFactory,
    QuestionSetFactory,
)

pytestmark = pytest.mark.django_db

BASE = "/api/v1/tenants/acme/question-sets"


def post(person, path, body):
    return person.client.post(f"{BASE}{path}", body, content_type="application/json")


def put(person, path, body):
    return person.client.put(path, body, content_type="application/json")


@pytest.fixture
def corpus(acme):
    corpus = CorpusFactory(tenant=acme, name="docs")
    DocumentFactory(corpus=corpus, url="http://docs.example/snat.md")
    return corpus


def test_set_lives_from_post_to_delete(alice, corpus):
    made = post(alice, "", {"name": "people", "corpus": "docs"})
    assert (made.status_code, made["Location"]) == (201, f"{BASE}/people")

    put(alice, made["Location"], {"name": "asked", "description": "By people.", "frozen": True})
    read = alice.client.get(f"{BASE}/asked").json()
    assert (read["name"], read["frozen"], read["questions"]) == ("asked", True, 0)

    assert alice.client.delete(f"{BASE}/asked").status_code == 204
    assert alice.client.get(BASE).json()["results"] == []


def test_question_lives_from_post_to_delete(alice, corpus):
    QuestionSetFactory(corpus=corpus, name="people")
    made = post(
        alice,
        "/people/questions",
        {"question": "Why?", "answers": ["because"], "relevant": [{"url": "snat.md", "grade": 2}]},
    )
    assert made.status_code == 201
    assert made.json()["relevant"] == [
        {"url": "http://docs.example/snat.md", "passage": "", "grade": 2}
    ]

    changed = put(alice, made["Location"], {"question": "Why?", "answerable": False})
    assert alice.client.get(made["Location"]).json() == changed.json()
    assert (changed.json()["answerable"], changed.json()["answers"]) == (False, [])

    assert alice.client.delete(made["Location"]).status_code == 204
    assert alice.client.get(f"{BASE}/people/questions").json()["results"] == []


def test_file_is_taken_whole_or_not_at_all(alice, corpus):
    QuestionSetFactory(corpus=corpus, name="people")
    good = '{"question": "A?", "answers": ["a"]}\n{"question": "B?", "answerable": false}'

    refused = post(
        alice, "/people/upload", {"format": "jsonl", "content": f"{good}\n{{}}\nnonsense"}
    )
    assert refused.status_code == 400
    assert [(each["pointer"], each["message"]) for each in refused.json()["errors"]] == [
        ("/file", "Line 3: has no text under question"),
        ("/file", "Line 4: is not JSON; each line is one JSON object"),
    ]
    assert alice.client.get(f"{BASE}/people").json()["questions"] == 0

    taken = post(alice, "/people/upload", {"format": "jsonl", "content": good})
    assert taken.json()["questions"] == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"question": "Why?", "answers": ["a"], "relvant": []}, "/relvant"),
        ({"question": "", "answers": ["a"]}, "/question"),
        ({"question": "Why?"}, "/answers"),
        ({"question": "Why?", "relevant": [{"url": "gone"}]}, "/relevant"),
        ({"question": "Why?", "relevant": [{"url": "snat.md", "grade": 0}]}, "/relevant/0/grade"),
    ],
)
def test_question_that_cannot_be_taken_is_named(alice, corpus, body, pointer):
    QuestionSetFactory(corpus=corpus, name="people")

    answer = post(alice, "/people/questions", body)

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("rows", [1, 3])
def test_query_counts_do_not_grow(alice, corpus, rows, django_assert_num_queries):
    question_set = QuestionSetFactory(corpus=corpus, name="people")
    for _ in range(rows):
        JudgedQuestionFactory(question_set=QuestionSetFactory(corpus=corpus))
        JudgedQuestionFactory(question_set=question_set)

    with django_assert_num_queries(13):
        alice.client.get(BASE)
    with django_assert_num_queries(14):
        alice.client.get(f"{BASE}/people/questions")
