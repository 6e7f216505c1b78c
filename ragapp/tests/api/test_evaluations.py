"""Evaluations and feedback by REST."""

import pytest
from django.utils import timezone

from ragapp.models import Review
from ragapp.tests.factories import (
    CorpusFactory,
    EvaluationAnswerFactory,
    EvaluationFactory,
    FeedbackFactory,
    JudgedQuestionFactory,
    QuestionSetFactory,
    RunFactory,
    indexed,
)
from tenants.models import tenant_scope

pytestmark = pytest.mark.django_db

BASE = "/api/v1/tenants/acme"


def post(person, path, body=None):
    return person.client.post(f"{BASE}/{path}", body or {}, content_type="application/json")


@pytest.fixture
def question_set(acme):
    corpus = CorpusFactory(tenant=acme, name="docs")
    indexed(corpus, ["A SNAT pool is a set of addresses."])
    with tenant_scope(acme.pk):
        corpus.refresh_from_db()
    corpus.tenant = acme
    question_set = QuestionSetFactory(corpus=corpus, name="people")
    JudgedQuestionFactory(question_set=question_set)
    return question_set


def test_evaluation_starts_from_the_corpus_setting_without_the_web(alice, question_set):
    made = post(
        alice, "evaluations", {"question_set": "people", "answering": {"dense_weight": 0.2}}
    )

    assert made.status_code == 202
    body = made.json()
    assert made["Location"] == f"{BASE}/evaluations/{body['id']}"
    assert body["answering"] == {
        "dense_weight": 0.2,
        "passages": 3,
        "instructions": "",
        "model": "",
        "rerank": False,
        "web": False,
    }
    assert (body["state"], body["corpus_answering"]["dense_weight"]) == ("Queued", 0.6)
    assert alice.client.get(made["Location"]).json() == body
    assert post(alice, f"evaluations/{body['id']}/continue").status_code == 409


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"question_set": "people", "answering": {"passages": 9}}, "/answering/passages"),
        ({"question_set": "people", "answering": {"weight": 1}}, "/answering/weight"),
        ({"question_set": "people", "purpose": "fun"}, "/purpose"),
        ({"question_set": "people", "purpose": "retrieval"}, "/question_set"),
    ],
)
def test_what_cannot_be_measured_is_named(alice, question_set, body, pointer):
    answer = post(alice, "evaluations", body)

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.fixture
def measured(question_set):
    """Two complete evaluations: the second one finds what the first one misses."""
    rows = []
    for weight, ndcg in ((0.6, 0.0), (0.2, 1.0)):
        evaluation = EvaluationFactory(
            question_set=question_set,
            answering={
                "dense_weight": weight,
                "passages": 3,
                "instructions": "",
                "model": "",
                "rerank": False,
                "web": False,
            },
            chunk_count=question_set.corpus.chunk_count,
            ended_at=timezone.now(),
        )
        for position in range(1, 9):
            EvaluationAnswerFactory(
                evaluation=evaluation,
                position=position,
                question=f"Question {position}?",
                metrics={"ndcg_at_10": ndcg, "seconds": 1.0},
                answered_at=timezone.now(),
            )
        rows.append(evaluation)
    return rows


def test_comparison_says_what_a_difference_is_worth(alice, measured):
    before, after = measured

    found = alice.client.get(f"{BASE}/evaluations/{before.pk}/comparison/{after.pk}").json()

    assert found["metrics"]["ndcg_at_10"]["change"] == "Better"
    assert (found["metrics"]["ndcg_at_10"]["n"], found["metrics"]["ndcg_at_10"]["mean"]) == (8, 1)
    assert found["metrics"]["seconds"]["change"] == "Equal"


def test_setting_is_promoted_and_taken_back(alice, question_set, measured):
    _, better = measured
    seen = alice.client.get(f"{BASE}/evaluations/{better.pk}").json()["corpus_answering"]

    stale = post(alice, f"evaluations/{better.pk}/promote", {"replaces": {**seen, "passages": 5}})
    assert (stale.status_code, stale.json()["title"]) == (409, "corpus-changed")
    promoted = post(alice, f"evaluations/{better.pk}/promote", {"replaces": seen}).json()
    assert promoted["corpus_answering"] == {**seen, "dense_weight": 0.2}
    assert promoted["promoted_by"] == "alice"

    restored = post(alice, f"evaluations/{better.pk}/restore").json()
    assert restored["corpus_answering"] == seen


def test_answers_are_read_one_by_one(alice, measured):
    path = f"{BASE}/evaluations/{measured[0].pk}/answers"

    listed = alice.client.get(path).json()["results"]
    one = alice.client.get(f"{path}/3").json()

    assert sorted(row["position"] for row in listed) == list(range(1, 9))
    assert (one["question"], one["hits"], one["entries"]) == ("Question 3?", [], [])


@pytest.mark.parametrize("rows", [1, 3])
def test_query_count_of_evaluations_does_not_grow(alice, rows, django_assert_num_queries):
    for _ in range(rows):
        EvaluationFactory(question_set__corpus__tenant=alice.tenant)

    with django_assert_num_queries(14):
        alice.client.get(f"{BASE}/evaluations")


def test_opinion_is_given_read_and_taken_back(bob, acme):
    run = RunFactory(tenant=acme, state="Succeeded")
    path = f"{BASE}/runs/{run.trace_id}/feedback"
    assert bob.client.get(path).json()["thumb"] == ""

    given = bob.client.put(
        path, {"thumb": "down", "reason": "wrong"}, content_type="application/json"
    )
    assert given.json() == bob.client.get(path).json()
    assert (given.json()["thumb"], given.json()["review"]) == ("down", "waiting")

    assert bob.client.delete(path).status_code == 204
    assert bob.client.get(path).json()["thumb"] == ""


def test_feedback_is_accepted_into_a_set_or_dismissed(alice, question_set):
    run = RunFactory(tenant=alice.tenant, state="Succeeded", question="Why?")
    first, second = FeedbackFactory(run=run), FeedbackFactory(run=run)
    body = {"question_set": "people", "question": "Why?", "answers": ["because"]}

    accepted = post(alice, f"feedback/{first.pk}/accept", body)
    dismissed = post(alice, f"feedback/{second.pk}/dismiss")

    assert (accepted.status_code, accepted.json()["review"]) == (200, Review.ACCEPTED)
    assert dismissed.json()["reviewed_by"] == "alice"
    assert post(alice, f"feedback/{second.pk}/accept", body).status_code == 409
    listed = alice.client.get(f"{BASE}/feedback?review=accepted").json()["results"]
    assert [row["id"] for row in listed] == [first.pk]


@pytest.mark.parametrize("rows", [1, 3])
def test_query_count_of_feedback_does_not_grow(alice, rows, django_assert_num_queries):
    for _ in range(rows):
        corpus = CorpusFactory(tenant=alice.tenant)
        FeedbackFactory(run=RunFactory(tenant=alice.tenant, corpus=corpus))

    with django_assert_num_queries(13):
        alice.client.get(f"{BASE}/feedback")
