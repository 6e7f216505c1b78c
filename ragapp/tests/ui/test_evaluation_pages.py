"""Pages of question sets, evaluations and feedback."""

import pytest
from django.urls import reverse
from django.utils import timezone

from ragapp.models import Corpus, Feedback, LanguageModel, QuestionSet, Review
from ragapp.tests.factories import (
    CorpusFactory,
    EvaluationAnswerFactory,
    EvaluationFactory,
    FeedbackFactory,
    JudgedQuestionFactory,
    QuestionSetFactory,
    RunFactory,
)
from tenants.domain.roles import Role
from tenants.models import Operation
from tenants.tests.factories import OperationFactory
from tenants.tests.people import person

pytestmark = pytest.mark.django_db

BASE = "/t/acme/evaluation/"


@pytest.fixture
def question_set(acme) -> QuestionSet:
    return QuestionSetFactory(corpus__tenant=acme, corpus__name="docs", name="people")


def pages(question_set) -> list[str]:
    """Each page of this part, for rows that exist."""
    question = JudgedQuestionFactory(question_set=question_set)
    answer = EvaluationAnswerFactory(evaluation__question_set=question_set, position=1)
    other = EvaluationAnswerFactory(evaluation__question_set=question_set, position=1)
    feedback = FeedbackFactory(run=RunFactory(tenant=question_set.tenant, state="Succeeded"))
    one, two = answer.evaluation_id, other.evaluation_id
    return [
        "",
        "new/",
        "new/?set=people",
        f"{one}/",
        f"{one}/questions/1/",
        f"{one}/questions/1/?with={two}",
        f"compare/?run={one}&run={two}",
        "review/",
        f"review/{feedback.pk}/",
        "sets/",
        "new/set/",
        "sets/people/",
        "sets/people/edit/",
        "sets/people/questions/new/",
        f"sets/people/questions/{question.pk}/",
    ]


def test_pages_are_mlops_alone(question_set, acme, alice, bob, charlie):
    mlops, devops = person("mira", acme, Role.MLOPS), person("dora", acme, Role.DEVOPS)
    wanted = pages(question_set)

    def statuses(who) -> set[int]:
        return {who.client.get(f"{BASE}{path}").status_code for path in wanted}

    assert statuses(alice) == statuses(mlops) == {200}
    assert statuses(bob) == statuses(devops) == {403}
    assert statuses(charlie) == {404}


def test_menu_leads_there_only_those_who_may(alice, bob):
    href = f'href="{BASE}"'

    assert href in alice.client.get("/t/acme/runs/").text
    assert href not in bob.client.get("/t/acme/runs/").text


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("path", "queries"), [("", 21), ("sets/", 21), ("review/", 19), ("sets/people/", 23)]
)
def test_query_counts_do_not_grow(
    alice, question_set, rows, path, queries, django_assert_num_queries
):
    for _ in range(rows):
        JudgedQuestionFactory(question_set=question_set)
        evaluation = EvaluationFactory(question_set=question_set)
        OperationFactory(tenant=alice.tenant, kind="evaluate", target_id=evaluation.pk)
        QuestionSetFactory(corpus=CorpusFactory(tenant=alice.tenant))
        FeedbackFactory(run=RunFactory(tenant=alice.tenant, corpus=question_set.corpus))
    alice.client.get(BASE)

    with django_assert_num_queries(queries):
        alice.client.get(f"{BASE}{path}")


@pytest.mark.parametrize("rows", [1, 3])
def test_query_count_of_an_evaluation_does_not_grow(
    alice, question_set, rows, django_assert_num_queries
):
    evaluation = EvaluationFactory(question_set=question_set)
    for position in range(1, rows + 1):
        EvaluationAnswerFactory(evaluation=evaluation, position=position)

    with django_assert_num_queries(25):
        alice.client.get(f"{BASE}{evaluation.pk}/")


def test_model_is_one_of_the_platforms_list(alice, question_set):
    LanguageModel.objects.create(name="allowed-one", location="/models/one")
    LanguageModel.objects.create(name="taken-off", location="/models/two", is_allowed=False)

    page = alice.client.get(f"{BASE}new/?set=people")
    choices = [value for value, _ in page.context["form"].fields["model"].choices]
    refused = alice.client.post(f"{BASE}new/?set=people", {"model": "taken-off"})

    assert choices == ["", "allowed-one"]
    assert "model" in refused.context["form"].errors


def test_setting_cannot_be_promoted_by_a_page_that_is_out_of_date(alice, question_set):
    evaluation = EvaluationFactory(
        question_set=question_set,
        ended_at=timezone.now(),
        answering={
            "dense_weight": 0.1,
            "passages": 3,
            "instructions": "",
            "model": "",
            "rerank": False,
            "web": False,
        },
    )
    seen = {
        "dense_weight": "0.5",
        "passages": "3",
        "instructions": "",
        "model": "",
        "rerank": "False",
        "web": "True",
    }
    promote = reverse("ragapp:evaluation-promote", args=["acme", evaluation.pk])

    refused = alice.client.post(promote, seen, follow=True)
    assert "was changed by somebody else meanwhile" in refused.text
    assert "Open the evaluation" in alice.client.post(promote, {}, follow=True).text
    promoted = alice.client.post(promote, {**seen, "dense_weight": "0.6"}, follow=True)

    assert "docs is answered so from now on." in promoted.text
    with alice.acting():
        assert Corpus.objects.get(name="docs").dense_weight == 0.1


def test_progress_alone_answers_htmx_and_the_end_reloads_the_page(alice, question_set):
    evaluation = EvaluationFactory(question_set=question_set)
    OperationFactory(tenant=alice.tenant, kind="evaluate", target_id=evaluation.pk, state="Running")
    path = f"{BASE}{evaluation.pk}/"

    running = alice.client.get(path, headers={"HX-Request": "true"})
    with alice.acting():
        Operation.objects.update(state="Succeeded", ended_at=timezone.now())
    ended = alice.client.get(path, headers={"HX-Request": "true"})

    assert "<html" not in running.text
    assert "HX-Location" not in running.headers
    assert ended.headers["HX-Location"]


@pytest.mark.parametrize("asked", ["", "?run=1", "?run=x&run=y", "?run=" + "9" * 30])
def test_comparison_of_fewer_than_two_leads_back(alice, question_set, asked):
    response = alice.client.get(f"{BASE}compare/{asked}")

    assert response.status_code in {302, 404}


def test_set_is_deleted_only_by_its_name(alice, question_set):
    delete = reverse("ragapp:question-set-delete", args=["acme", "people"])

    alice.client.post(delete, {"name": "wrong"})
    with alice.acting():
        assert QuestionSet.objects.count() == 1
    alice.client.post(delete, {"name": "people"})
    with alice.acting():
        assert QuestionSet.objects.count() == 0


def test_thumb_works_with_and_without_script(bob, acme):
    run = RunFactory(tenant=acme, state="Succeeded", end="Found")
    give = reverse("ragapp:feedback-give", args=["acme", run.trace_id])

    plain = bob.client.post(give, {"thumb": "up"})
    scripted = bob.client.post(
        give, {"thumb": "down", "reason": "wrong"}, headers={"HX-Request": "true"}
    )

    assert plain.headers["Location"] == reverse("ragapp:ask-run", args=["acme", run.trace_id])
    assert "<html" not in scripted.text
    with bob.acting():
        assert Feedback.objects.values_list("thumb", "reason").get() == ("down", "wrong")


def test_opinion_that_is_none_changes_nothing(bob, acme):
    run = RunFactory(tenant=acme, state="Succeeded")

    bob.client.post(
        reverse("ragapp:feedback-give", args=["acme", run.trace_id]), {"thumb": "sideways"}
    )

    with bob.acting():
        assert not Feedback.objects.exists()


def test_review_dismisses_or_says_what_is_wrong(alice, question_set):
    run = RunFactory(tenant=alice.tenant, state="Succeeded", corpus=question_set.corpus)
    given = FeedbackFactory(run=run)
    review = reverse("ragapp:feedback-review", args=["acme", given.pk])

    refused = alice.client.post(
        review,
        {"question_set": "people", "text": "Why?", "is_answerable": "on", "then": "accept"},
    )
    assert list(refused.context["form"].errors) == ["answers"]
    alice.client.post(review, {"then": "dismiss"})

    with alice.acting():
        assert Feedback.objects.get().review == Review.DISMISSED


def test_what_people_wrote_is_never_markup(alice, acme):
    run = RunFactory(tenant=acme, state="Succeeded", question="<img src=x>")
    FeedbackFactory(run=run, comment="<script>alert(1)</script>")

    text = alice.client.get(f"{BASE}review/").text

    assert "<script>alert" not in text
    assert "<img src=x" not in text
