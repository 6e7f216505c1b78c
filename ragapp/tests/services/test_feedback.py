"""Feedback: one thumb a person and run, and what becomes of it after review."""

import pytest

from ragapp.domain.judged import Judged, Relevant
from ragapp.models import Corpus, Feedback, Origin, QuestionSet, Review, Run, Thumb
from ragapp.services import feedback
from ragapp.services.feedback import Opinion
from ragapp.tests.factories import (
    CorpusFactory,
    DocumentFactory,
    FeedbackFactory,
    QuestionSetFactory,
    RunFactory,
)
from tenants.domain.actor import system
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models import AuditEntry

pytestmark = pytest.mark.django_db

URL = "http://docs.example/snat"
QUESTION = "What is a SNAT pool for?"


@pytest.fixture
def corpus(acme) -> Corpus:
    corpus = CorpusFactory(tenant=acme, name="docs")
    DocumentFactory(corpus=corpus, url=URL)
    return corpus


@pytest.fixture
def run(corpus) -> Run:
    cited = {"url": URL, "is_cited": True, "source": "local"}
    read = {"url": "http://docs.example/vlan", "is_cited": False, "source": "local"}
    far = {"url": "http://far.example/", "is_cited": True, "source": "web"}
    return RunFactory(
        tenant=corpus.tenant,
        corpus=corpus,
        question=QUESTION,
        state="Succeeded",
        end="Found",
        citations=[cited, cited, read, far],
    )


@pytest.fixture
def question_set(corpus) -> QuestionSet:
    return QuestionSetFactory(corpus=corpus, name="people")


def give(person, run, thumb=Thumb.UP, reason="", comment="") -> Feedback:
    with person.acting() as actor:
        return feedback.give(run, Opinion(thumb, reason, comment), actor=actor)


def test_thumb_is_one_a_person_and_can_be_changed(alice, bob, run):
    give(bob, run)
    give(bob, run, Thumb.DOWN, "wrong", "It is not.")
    give(alice, run)

    with alice.acting():
        found = {
            (row.user.username, row.thumb, row.reason, row.comment)
            for row in Feedback.objects.select_related("user")
        }
        assert AuditEntry.objects.filter(event="feedback.given").count() == 3
    assert found == {("bob", "down", "wrong", "It is not."), ("alice", "up", "", "")}


def test_changed_mind_is_read_again(alice, bob, run):
    given = give(bob, run)
    with alice.acting() as actor:
        feedback.dismiss(given, actor=actor)

    changed = give(bob, run, Thumb.DOWN)

    assert (changed.pk, changed.review, changed.reviewed_by) == (given.pk, Review.WAITING, "")


def test_running_question_has_no_answer_to_judge(bob, acme):
    run = RunFactory(tenant=acme, state="Running")

    with pytest.raises(ConflictError, match="still being answered"):
        give(bob, run)


def test_comment_has_bounds_and_nobody_gives_nothing(bob, run):
    with pytest.raises(InvalidError):
        give(bob, run, comment="x" * 1001)
    with bob.acting(), pytest.raises(InvalidError):
        feedback.give(run, Opinion(Thumb.UP), actor=system("test"))


def test_thumb_is_taken_back(bob, run):
    give(bob, run)

    with bob.acting() as actor:
        feedback.take_back(run, actor=actor)
        feedback.take_back(run, actor=actor)
        assert feedback.own(run, bob.user.pk) is None


@pytest.mark.parametrize(
    ("thumb", "reason", "end", "expected"),
    [
        (Thumb.UP, "", "Found", Judged(QUESTION, relevant=(Relevant(URL),))),
        (Thumb.DOWN, "wrong", "Found", Judged(QUESTION)),
        (Thumb.DOWN, "unanswerable", "Found", Judged(QUESTION, is_answerable=False)),
        (Thumb.UP, "", "NotFound", Judged(QUESTION, is_answerable=False)),
        (Thumb.DOWN, "not-found", "NotFound", Judged(QUESTION)),
    ],
)
def test_opinion_suggests_a_judgement(run, thumb, reason, end, expected):
    run.end = end

    assert feedback.proposal(Feedback(run=run, thumb=thumb, reason=reason)) == expected


def test_accepted_opinion_is_a_question_of_the_set(alice, bob, run, question_set):
    given = give(bob, run)

    with alice.acting() as actor:
        accepted = feedback.accept(
            given, question_set, Judged(QUESTION, ("going out",)), actor=actor
        )
        question = question_set.questions.get()

    assert (accepted.review, accepted.reviewed_by) == (Review.ACCEPTED, "alice")
    assert (question.origin, question.answers, accepted.question) == (
        Origin.FEEDBACK,
        ["going out"],
        question,
    )


def test_question_that_is_refused_leaves_the_opinion_waiting(alice, bob, run, question_set):
    given = give(bob, run)

    with alice.acting() as actor:
        with pytest.raises(InvalidError):
            feedback.accept(given, question_set, Judged(QUESTION), actor=actor)
        assert feedback.visible_feedback(given.pk).review == Review.WAITING


def test_opinion_is_reviewed_once(alice, bob, run, question_set):
    given = give(bob, run)

    with alice.acting() as actor:
        feedback.dismiss(given, actor=actor)
        with pytest.raises(ConflictError, match="alice has reviewed this already"):
            feedback.accept(given, question_set, Judged(QUESTION, ("x",)), actor=actor)


def test_opinion_of_another_tenant_is_as_one_that_is_not_there(alice, globex):
    foreign = FeedbackFactory(run__tenant=globex)

    with alice.acting(), pytest.raises(NotVisibleError):
        feedback.visible_feedback(foreign.pk)
