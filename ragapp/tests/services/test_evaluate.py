"""Evaluations, with the real embedder, the real index and a model of random weights."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from ragapp.domain.answering import Answering
from ragapp.domain.grade import Question
from ragapp.domain.labels import JudgedRun, Sample
from ragapp.models import (
    Calibration,
    Corpus,
    Document,
    Evaluation,
    EvaluationAnswer,
    JudgedQuestion,
    Purpose,
    QuestionSet,
    Run,
    UsageDay,
    UsageKind,
)
from ragapp.services import calibration, corpora, evaluations, serving
from ragapp.services import evaluate as evaluating
from ragapp.services.evaluate import evaluate
from ragapp.tests.factories import (
    CorpusFactory,
    JudgedQuestionFactory,
    QuestionSetFactory,
    RunFactory,
    WebSearchFactory,
    indexed,
)
from tenants.domain.quota import Resource
from tenants.domain.states import OperationState
from tenants.errors import ConflictError, InvalidError
from tenants.models import AuditEntry, Operation, tenant_scope
from tenants.services import operations, quotas

pytestmark = [
    pytest.mark.model,
    pytest.mark.usefixtures("embedder", "generator"),
    pytest.mark.django_db(transaction=True),
]

TEXTS = {
    "snat": "A SNAT pool holds the source addresses that a tenant goes out with.",
    "vlan": "A VLAN tag keeps the frames of one tenant apart from all others.",
    "deny": "What no rule allows is denied by the rule acme/default-deny.",
}
QUESTIONS = {
    "snat": "What is a SNAT pool for?",
    "vlan": "What keeps the frames of a tenant apart?",
    "deny": "What happens to what no rule allows?",
}
MEASURED = Answering(web=False)
RETRIEVAL = {"ndcg_at_10", "mrr_at_10", "recall_at_5", "recall_at_10", "recall_at_100"}


@pytest.fixture
def corpus(acme) -> Corpus:
    """Three documents of one passage each, with their real vectors."""
    corpus = CorpusFactory(tenant=acme, name="docs")
    for name, text in TEXTS.items():
        document = indexed(corpus, [text], list(serving.embedder().embed_documents([text])))
        with tenant_scope(acme.pk):
            Document.objects.filter(pk=document.pk).update(url=f"http://docs.example/{name}")
    with tenant_scope(acme.pk):
        corpus.refresh_from_db()
    corpus.tenant = acme
    return corpus


@pytest.fixture
def question_set(corpus) -> QuestionSet:
    """One question a document, and one that no document answers."""
    question_set = QuestionSetFactory(corpus=corpus, name="people")
    for name, text in QUESTIONS.items():
        JudgedQuestionFactory(
            question_set=question_set,
            text=text,
            relevant=[{"url": f"http://docs.example/{name}", "passage": "", "grade": 1}],
        )
    JudgedQuestionFactory(
        question_set=question_set, text="Who won the cup?", answers=[], is_answerable=False
    )
    return question_set


def started(person, question_set, purpose=Purpose.ANSWERS, answering=MEASURED) -> Evaluation:
    with person.acting() as actor:
        return evaluations.start(question_set, answering, purpose=purpose, actor=actor)


def operation_of(evaluation) -> Operation:
    with tenant_scope(evaluation.tenant_id):
        return evaluations.operation_of(evaluation)


def reread(evaluation) -> Evaluation:
    with tenant_scope(evaluation.tenant_id):
        return evaluations.visible_evaluation(evaluation.pk)


def answers(evaluation) -> list[EvaluationAnswer]:
    with tenant_scope(evaluation.tenant_id):
        return list(EvaluationAnswer.objects.filter(evaluation=evaluation))


def run(evaluation) -> Operation:
    evaluate(operation_of(evaluation).pk)
    return operation_of(evaluation)


def wait_for(is_so) -> None:
    """Return once it is so; fails after two minutes."""
    for _ in range(1200):
        if is_so():
            return
        time.sleep(0.1)
    pytest.fail("it did not come to be so within two minutes")


def test_starting_copies_the_questions_and_wakes_the_engine(alice, question_set, broker):
    with broker.taking() as sent:
        evaluation = started(alice, question_set)

    assert sent == [("ragapp.evaluate_corpus", operation_of(evaluation).pk)]
    assert [row.question for row in answers(evaluation)] == [
        *QUESTIONS.values(),
        "Who won the cup?",
    ]


def test_each_question_is_searched_answered_and_measured(alice, question_set):
    evaluation = started(alice, question_set)

    operation = run(evaluation)

    assert (operation.state, operation.done, operation.total) == (OperationState.SUCCEEDED, 4, 4)
    ended = reread(evaluation)
    assert ended.ended_at is not None
    assert ended.metrics["ndcg_at_10"] == {
        "mean": 1.0,
        "low": pytest.approx(0.4385, abs=1e-3),
        "high": 1.0,
        "n": 3,
    }
    assert set(ended.metrics) >= RETRIEVAL | {"refused_rightly", "refused_wrongly", "seconds"}
    assert ended.cost["tokens_in"] > 0
    assert ended.cost["outgoing"] == 0
    with tenant_scope(alice.tenant.pk):
        ledger = UsageDay.objects.get(kind=UsageKind.EVALUATION, model=ended.model)
    assert (ledger.corpus, ledger.requests) == (ended.corpus.name, 4)
    assert (ledger.tokens_in, ledger.tokens_out) == (
        ended.cost["tokens_in"],
        ended.cost["tokens_out"],
    )
    assert (ended.model, ended.embedder) != ("", "")
    first = answers(evaluation)[0]
    assert (first.hits[0]["rank"], first.hits[0]["grade"]) == (1, 1)
    assert (first.hits[0]["dense_rank"], first.hits[0]["lexical_rank"]) == (1, 1)
    assert [entry["kind"] for entry in first.entries][-1] == "end"
    assert first.end in {"Found", "NotFound"}


def test_tenant_without_web_search_sends_no_question_out(alice, question_set):
    WebSearchFactory(tenant=alice.tenant, provider="none")
    evaluation = started(alice, question_set, answering=Answering(web=True))

    assert run(evaluation).state == OperationState.SUCCEEDED

    assert reread(evaluation).cost["outgoing"] == 0


def test_retrieval_alone_asks_no_model_and_only_what_is_judged(alice, question_set, settings):
    settings.GENERATOR = "/nowhere"
    evaluation = started(alice, question_set, Purpose.RETRIEVAL)

    operation = run(evaluation)

    assert (operation.state, operation.total) == (OperationState.SUCCEEDED, 3)
    ended = reread(evaluation)
    assert set(ended.metrics) == RETRIEVAL
    assert ended.model == ""


def test_weight_is_the_evaluations_own(alice, question_set, corpus):
    lexical = started(
        alice, question_set, Purpose.RETRIEVAL, Answering(dense_weight=0.0, web=False)
    )
    dense = started(alice, question_set, Purpose.RETRIEVAL, Answering(dense_weight=1.0, web=False))

    run(lexical)
    run(dense)

    assert [row.hits[0]["score"] for row in answers(dense)] == [1.0, 1.0, 1.0]
    for row in answers(lexical):
        by_score = sorted(row.hits, key=lambda hit: -(hit["lexical"] or 0))
        assert [hit["key"] for hit in by_score][:1] == [row.hits[0]["key"]]


def test_sweep_proposes_a_weight_and_says_what_it_gains(alice, question_set):
    evaluation = started(alice, question_set, Purpose.WEIGHT)

    run(evaluation)

    ended = reread(evaluation)
    assert len(ended.sweep["mean_by_weight"]) == 11
    assert ended.settings.dense_weight == ended.sweep["best"]
    assert ended.sweep["gain"]["n"] == 3


def labels(number: int) -> dict[str, object]:
    """Those of a run whose margin tells, with noise, whether its answer is right."""
    is_so = number % 2 == 0
    margin = (1.0 if is_so else -1.0) + (number % 7 - 3) * 0.4
    sample = Sample({"margin": margin}, is_so)
    return asdict(JudgedRun((sample,), sample, sample, sample, sample))


def test_calibration_is_learned_from_a_set_and_used_from_then_on(alice, question_set):
    for number in range(44):
        JudgedQuestionFactory(question_set=question_set, text=f"Question {number}?")
    evaluation = started(alice, question_set, Purpose.CALIBRATION)
    # A model of random weights is never right: what the others said stands as if measured before
    # a crash, and the four real questions are still to be asked.
    with tenant_scope(evaluation.tenant_id):
        for row in EvaluationAnswer.objects.filter(evaluation=evaluation, position__gt=4):
            row.usage = {"labels": labels(row.position)}
            row.answered_at = timezone.now()
            row.save()

    operation = run(evaluation)

    assert (operation.state, operation.error) == (OperationState.SUCCEEDED, "")
    assert operation.result["calibration"] == 1
    with tenant_scope(evaluation.tenant_id):
        rows = list(Calibration.objects.filter(source=reread(evaluation).calibration_source))
        known = calibration.in_use([evaluation.corpus_id], reread(evaluation).model)
    assert {row.created_by for row in rows} == {"alice"}
    assert Question.RIGHT in known.by_question
    page = alice.client.get(evaluation.get_absolute_url())
    assert "What the grades are worth" in page.text
    assert "nothing to promote" in page.text


def test_calibration_of_few_questions_is_refused_at_once(alice, question_set):
    with pytest.raises(InvalidError, match="at least 40 questions"):
        started(alice, question_set, Purpose.CALIBRATION)


def test_tokens_count_and_stop_an_evaluation_in_words_where_they_are_spent(
    alice, question_set, settings
):
    evaluation = started(alice, question_set)
    settings.QUOTA_DEFAULTS = {**settings.QUOTA_DEFAULTS, Resource.TOKENS_PER_DAY: 1}

    operation = run(evaluation)

    assert operation.state == OperationState.FAILED
    assert "What was measured is kept; continue it." in operation.error
    # The first question found the day's tokens unspent, the second did not.
    measured = [row.metrics["tokens"] for row in answers(evaluation) if row.answered_at]
    assert len(measured) == 1
    with tenant_scope(evaluation.tenant_id):
        used = {s.resource: s.used for s in quotas.standings(alice.tenant.pk)}
    assert used[Resource.TOKENS_PER_DAY] == measured[0]


def test_model_that_is_not_there_fails_in_words_and_keeps_what_was_measured(
    alice, question_set, settings
):
    settings.GENERATOR = "/nowhere"
    evaluation = started(alice, question_set)

    operation = run(evaluation)

    assert operation.state == OperationState.FAILED
    assert "What was measured is kept; continue it." in operation.error


def test_set_may_change_while_an_evaluation_of_it_goes_on(alice, question_set):
    evaluation = started(alice, question_set, Purpose.RETRIEVAL)
    with alice.acting():
        JudgedQuestion.objects.filter(question_set=question_set).delete()

    run(evaluation)

    assert reread(evaluation).metrics["recall_at_10"]["n"] == 3


def test_question_whose_document_was_deleted_is_missed_not_broken(alice, question_set, corpus):
    evaluation = started(alice, question_set, Purpose.RETRIEVAL)
    with alice.acting() as actor:
        corpora.delete_document(Document.objects.get(url="http://docs.example/snat"), actor=actor)

    run(evaluation)

    assert answers(evaluation)[0].metrics["recall_at_100"] == 0


def test_second_evaluation_waits_for_the_first_in_a_process(alice, question_set):
    first, second = started(alice, question_set), started(alice, question_set)
    with evaluating._turn:
        evaluate(operation_of(second).pk)
    assert operation_of(second).state == OperationState.QUEUED

    run(first)
    run(second)

    assert operation_of(second).state == OperationState.SUCCEEDED


def test_peoples_questions_come_first(alice, question_set, globex):
    waiting = RunFactory(tenant=globex, state=OperationState.QUEUED.value)
    evaluation = started(alice, question_set)
    working = threading.Thread(target=_evaluate_and_close, args=(operation_of(evaluation).pk,))
    working.start()

    def steps() -> list[str]:
        return [step["name"] for step in operation_of(evaluation).steps]

    wait_for(lambda: "give way to people's questions" in steps())
    assert operation_of(evaluation).done == 0
    with tenant_scope(globex.pk):
        waiting.state = OperationState.SUCCEEDED.value
        waiting.save()
    working.join(120)

    assert operation_of(evaluation).state == OperationState.SUCCEEDED


def test_cancel_keeps_what_was_measured_and_continue_finishes_it(alice, question_set, globex):
    RunFactory(tenant=globex, state=OperationState.QUEUED.value)
    evaluation = started(alice, question_set)
    operation = operation_of(evaluation)
    working = threading.Thread(target=_evaluate_and_close, args=(operation.pk,))
    working.start()
    wait_for(lambda: operation_of(evaluation).steps)
    with alice.acting() as actor:
        operations.request_cancel(operation, actor=actor)
    working.join(120)
    assert operation_of(evaluation).state == OperationState.CANCELLED
    with tenant_scope(globex.pk):
        Run.objects.update(state=OperationState.SUCCEEDED.value)

    with alice.acting() as actor:
        evaluations.resume(evaluation, actor=actor)
    run(evaluation)

    assert operation_of(evaluation).state == OperationState.SUCCEEDED
    ended = reread(evaluation)
    with alice.acting() as actor, pytest.raises(ConflictError, match="complete"):
        evaluations.resume(ended, actor=actor)


def test_evaluation_goes_on_after_its_worker_was_killed(alice, question_set, settings):
    evaluation = started(alice, question_set)
    operation = operation_of(evaluation)
    with tenant_scope(evaluation.tenant_id):
        EvaluationAnswer.objects.filter(evaluation=evaluation, position__gt=2).update(
            question="x " * 1500
        )
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(operation.pk)],
        env={**os.environ, "SLUICE_GENERATOR": settings.GENERATOR},
    )
    wait_for(lambda: answers(evaluation)[0].answered_at)
    worker.send_signal(signal.SIGKILL)
    worker.wait(60)
    measured = {row.position: row.answered_at for row in answers(evaluation) if row.answered_at}
    assert operation_of(evaluation).state == OperationState.RUNNING

    swept = operations.sweep_stale(timezone.now() + timedelta(seconds=90))
    evaluate(operation.pk)

    assert swept.requeued == 1
    ended = operation_of(evaluation)
    assert (ended.state, ended.attempts, ended.done) == (OperationState.SUCCEEDED, 2, 4)
    after = {row.position: row.answered_at for row in answers(evaluation)}
    assert {position: after[position] for position in measured} == measured
    assert reread(evaluation).ended_at is not None


@pytest.mark.parametrize(
    ("answering", "field"),
    [
        (Answering(dense_weight=1.1), "dense_weight"),
        (Answering(passages=0), "passages"),
        (Answering(passages=9), "passages"),
        (Answering(instructions="x" * 4001), "instructions"),
        (Answering(model="not-on-the-list"), "model"),
    ],
)
def test_setting_out_of_its_bounds_is_refused_at_its_field(alice, question_set, answering, field):
    with pytest.raises(InvalidError) as refused:
        started(alice, question_set, answering=answering)

    assert list(refused.value.fields) == [field]


def test_what_measures_nothing_is_not_started(alice, corpus):
    untrained = QuestionSetFactory(corpus=CorpusFactory(tenant=alice.tenant))
    JudgedQuestionFactory(question_set=untrained)
    empty = QuestionSetFactory(corpus=corpus)
    unjudged = QuestionSetFactory(corpus=corpus)
    JudgedQuestionFactory(question_set=unjudged)

    for question_set, words in [(untrained, "Train it first"), (empty, "no question yet")]:
        with pytest.raises(InvalidError, match=words):
            started(alice, question_set)
    with pytest.raises(InvalidError, match="says what is relevant"):
        started(alice, unjudged, Purpose.RETRIEVAL)


def test_setting_is_promoted_audited_and_taken_back(alice, question_set, corpus):
    evaluation = started(alice, question_set, Purpose.RETRIEVAL, Answering(0.3, 5, web=False))
    run(evaluation)
    before = corpus.answering

    with alice.acting() as actor:
        evaluations.promote(
            evaluations.visible_evaluation(evaluation.pk),
            replaces=before,
            actor=actor,
            reason="It ranks better.",
        )
        corpus.refresh_from_db()
        # Whether the web may be tried is the corpus's own choice.
        assert corpus.answering == Answering(0.3, 5, web=True)
        entry = AuditEntry.objects.get(event="corpus.setting-promoted")
        assert (entry.actor, entry.reason) == ("alice", "It ranks better.")
        assert entry.detail["evaluation"] == evaluation.pk
        assert entry.detail["before"]["dense_weight"] == before.dense_weight

        evaluations.restore(evaluations.visible_evaluation(evaluation.pk), actor=actor)
        corpus.refresh_from_db()
        assert corpus.answering == before
        with pytest.raises(ConflictError, match="nothing to take back"):
            evaluations.restore(evaluations.visible_evaluation(evaluation.pk), actor=actor)


def test_promotion_is_refused_where_it_was_not_measured(alice, question_set, corpus):
    evaluation = started(alice, question_set, Purpose.RETRIEVAL, Answering(0.3, web=False))

    def promote(replaces):
        with alice.acting() as actor:
            evaluations.promote(reread(evaluation), replaces=replaces, actor=actor)

    with pytest.raises(ConflictError, match="not complete"):
        promote(corpus.answering)
    run(evaluation)
    with pytest.raises(ConflictError, match="somebody else"):
        promote(replace(corpus.answering, passages=7))
    with tenant_scope(corpus.tenant_id):
        Corpus.objects.filter(pk=corpus.pk).update(trained_at=timezone.now())
    with pytest.raises(ConflictError, match="Evaluate again"):
        promote(corpus.answering)
    with tenant_scope(corpus.tenant_id):
        Corpus.objects.filter(pk=corpus.pk).update(trained_at=None, dense_weight=0.3)
    with pytest.raises(ConflictError, match="so already"):
        promote(replace(corpus.answering, dense_weight=0.3))


def test_open_evaluation_is_not_deleted(alice, question_set):
    evaluation = started(alice, question_set, Purpose.RETRIEVAL)

    with alice.acting() as actor, pytest.raises(ConflictError, match="not done yet"):
        evaluations.delete(evaluation, actor=actor)
    run(evaluation)
    with alice.acting() as actor:
        evaluations.delete(evaluation, actor=actor)
        assert not Evaluation.objects.exists()


def _evaluate_and_close(operation_id: int) -> None:
    try:
        evaluate(operation_id)
    finally:
        connection.close()


_WORKER = """
import sys
import django
django.setup()
from ragapp.services.evaluate import evaluate
evaluate(int(sys.argv[1]))
"""
