"""Conversations: whose they are, and what a follow-up may lean on."""

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from ragapp.domain.followup import MOST_EXCHANGES, Exchange
from ragapp.domain.reader import Reader
from ragapp.models import Conversation, Corpus, Run
from ragapp.models.conversation import MOST_TITLE
from ragapp.models.rights import visible_runs
from tenants.domain.actor import Actor
from tenants.domain.states import AnswerEnd
from tenants.errors import NotVisibleError

MOST_TURNS = 50


def own(actor: Actor) -> QuerySet[Conversation]:
    """The actor's conversations, the latest first."""
    return Conversation.objects.filter(owner=actor.name)


def recent(actor: Actor, count: int) -> QuerySet[Conversation]:
    """The actor's latest conversations, each with the trace id of its last run."""
    last = Run.objects.filter(conversation=OuterRef("pk")).order_by("-pk").values("trace_id")[:1]
    threads = own(actor).annotate(last_trace_id=Subquery(last))
    return threads.filter(last_trace_id__isnull=False)[:count]


def visible_conversation(pk: int, *, actor: Actor) -> Conversation:
    """The actor's own conversation.

    Raises:
        NotVisibleError: there is none, or it is another's.
    """
    conversation = own(actor).select_related("corpus").filter(pk=pk).first()
    if conversation is None:
        raise NotVisibleError(
            f"No conversation {pk} of yours is here; one is closed when its corpus is deleted."
            " Ask without naming one."
        )
    return conversation


def joined(known: Conversation | None, run: Run, *, actor: Actor) -> Conversation:
    """The conversation that ``run`` goes on with, or a new one that it begins."""
    now = timezone.now()
    if known is not None:
        Conversation.objects.filter(pk=known.pk).update(asked_at=now)
        return known
    return Conversation.objects.create(
        tenant_id=run.tenant_id,
        owner=actor.name[:150],
        corpus=run.corpus,
        title=run.question[:MOST_TITLE],
        asked_at=now,
    )


def close(corpus: Corpus) -> None:
    """Let nobody go on with the corpus's conversations: without it they would look everywhere.

    Their runs stay, and stay linked: rights follow a conversation.
    """
    Conversation.objects.filter(corpus=corpus).update(owner="")


def turns(run: Run, reader: Reader) -> list[Run]:
    """What of the run's conversation was before it and ``reader`` may see; the last fifty."""
    if run.conversation_id is None:
        return []
    earlier = Run.objects.select_related("tenant").filter(
        visible_runs(reader), conversation_id=run.conversation_id, pk__lt=run.pk
    )
    return list(earlier.order_by("-pk")[:MOST_TURNS])[::-1]


def history(run: Run, reader: Reader) -> tuple[Exchange, ...]:
    """What was asked and found before, oldest first: as it was searched for, not as typed.

    A client that keeps the thread itself has sent it along. Of one that is kept here it is only
    what ``reader`` may still see: a right that was taken away is gone from here too.
    """
    if run.earlier:
        return tuple(Exchange(**exchange) for exchange in run.earlier)
    if run.conversation_id is None:
        return ()
    found = (
        Run.objects.filter(
            visible_runs(reader),
            conversation_id=run.conversation_id,
            pk__lt=run.pk,
            end=AnswerEnd.FOUND.value,
        )
        .order_by("-pk")
        .values_list("question", "answer", "entries")[:MOST_EXCHANGES]
    )
    return tuple(
        Exchange(_whole(question, entries), answer) for question, answer, entries in found
    )[::-1]


def _whole(question: str, entries: list[dict[str, object]]) -> str:
    """A follow-up as the agent made it stand alone."""
    rewritten = (
        entry["after"]
        for entry in entries
        if entry["kind"] == "rewrite" and entry["before"] == question
    )
    return str(next(rewritten, question))
