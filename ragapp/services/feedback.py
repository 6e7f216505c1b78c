"""Feedback: what people thought of answers, and how it becomes judged questions after review.

One thumb a person and run, which they may change. Nothing of it counts before somebody of MLOps
has read it: a thumb says what somebody felt, not what is right.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from ragapp.domain.judged import Judged, Relevant
from ragapp.domain.passage import Source
from ragapp.models import Feedback, Origin, QuestionSet, Reason, Review, Run, Thumb
from ragapp.services import questions
from tenants import audit
from tenants.domain.actor import Actor
from tenants.domain.states import AnswerEnd
from tenants.errors import ConflictError, InvalidError, NotVisibleError

MOST_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody says of an answer."""

    thumb: Thumb
    reason: str = ""
    comment: str = ""


def give(run: Run, opinion: Opinion, *, actor: Actor) -> Feedback:
    """Put the actor's thumb on the run's answer, in place of their earlier one.

    Raises:
        InvalidError: nobody is behind the actor, or the comment is too long.
        ConflictError: the run has not ended.
    """
    if actor.user_id is None or len(opinion.comment) > MOST_CHARACTERS:
        complaint = f"A comment has at most {MOST_CHARACTERS} characters."
        raise InvalidError(complaint, fields={"comment": [complaint]})
    if not run.has_ended:
        raise ConflictError(
            "This question is still being answered. Say what you think once its answer is there.",
            code="run-open",
        )
    with transaction.atomic():
        given, _ = Feedback.objects.update_or_create(
            run=run,
            user_id=actor.user_id,
            defaults={
                "thumb": opinion.thumb.value,
                "reason": opinion.reason,
                "comment": opinion.comment.replace("\0", " "),
                # Somebody who changed their mind is read again.
                "review": Review.WAITING,
                "reviewed_by": "",
                "reviewed_at": None,
            },
            create_defaults={
                "tenant_id": run.tenant_id,
                "thumb": opinion.thumb.value,
                "reason": opinion.reason,
                "comment": opinion.comment.replace("\0", " "),
            },
        )
        detail = {"thumb": opinion.thumb.value, "reason": opinion.reason}
        audit.record(actor, "feedback.given", given, detail=detail)
    return given


def take_back(run: Run, *, actor: Actor) -> None:
    """Remove the actor's thumb; what it became in a question set stays."""
    given = own(run, actor.user_id)
    if given is not None:
        audit.record(actor, "feedback.taken-back", given)
        given.delete()


def own(run: Run, user_id: int | None) -> Feedback | None:
    """What this person said of the run; None if nothing."""
    return None if user_id is None else Feedback.objects.filter(run=run, user_id=user_id).first()


def shown_feedback() -> QuerySet[Feedback]:
    """The scope's feedback with what its lines show."""
    return Feedback.objects.select_related("run", "run__corpus", "user").defer("run__entries")


def visible_feedback(pk: int) -> Feedback:
    """The scope's feedback with this id, its run whole.

    Raises:
        NotVisibleError: there is none.
    """
    found = (
        Feedback.objects.select_related("run", "run__corpus", "run__tenant", "user", "tenant")
        .filter(pk=pk)
        .first()
    )
    if found is None:
        raise NotVisibleError(f"There is no feedback {pk} here. See the list of what to review.")
    return found


def proposal(feedback: Feedback) -> Judged:
    """The judged question that the feedback suggests; whoever reviews it has the last word.

    A good answer's cited documents are relevant. Where it should have said that it does not know,
    the question has no answer.
    """
    run = feedback.run
    is_answerable = feedback.reason != Reason.UNANSWERABLE and not (
        feedback.thumb == Thumb.UP and run.end == AnswerEnd.NOT_FOUND
    )
    is_good = feedback.thumb == Thumb.UP and run.end == AnswerEnd.FOUND
    return Judged(
        text=run.question,
        is_answerable=is_answerable,
        relevant=_cited(run.citations) if is_good else (),
    )


def accept(
    feedback: Feedback, question_set: QuestionSet, judged: Judged, *, actor: Actor
) -> Feedback:
    """Put the question into a set, as whoever reviewed it judged it.

    Raises:
        InvalidError: the question cannot be taken.
        ConflictError: it was reviewed already, or the set is frozen or has the question.
    """
    with transaction.atomic():
        locked = _waiting(feedback)
        locked.question = questions.write_question(
            question_set, judged, actor=actor, origin=Origin.FEEDBACK
        )
        return _reviewed(locked, Review.ACCEPTED, actor)


def dismiss(feedback: Feedback, *, actor: Actor) -> Feedback:
    """Nothing follows from it.

    Raises:
        ConflictError: it was reviewed already.
    """
    with transaction.atomic():
        return _reviewed(_waiting(feedback), Review.DISMISSED, actor)


def _cited(citations: list[Mapping[str, object]]) -> tuple[Relevant, ...]:
    urls = [
        str(citation["url"])
        for citation in citations
        if citation["is_cited"] and citation["source"] == Source.LOCAL
    ]
    return tuple(Relevant(url) for url in dict.fromkeys(urls))


def _waiting(feedback: Feedback) -> Feedback:
    """The row, locked, if nobody has reviewed it."""
    locked = Feedback.objects.select_for_update(of=["self"]).get(pk=feedback.pk)
    if locked.review != Review.WAITING:
        raise ConflictError(
            f"{locked.reviewed_by} has reviewed this already ({locked.review}).",
            code="feedback-reviewed",
        )
    return locked


def _reviewed(feedback: Feedback, review: Review, actor: Actor) -> Feedback:
    feedback.review, feedback.reviewed_at = review, timezone.now()
    feedback.reviewed_by = actor.name[:150]
    feedback.save(update_fields=["review", "reviewed_at", "reviewed_by", "question"])
    audit.record(actor, f"feedback.{review.value}", feedback)
    return feedback
