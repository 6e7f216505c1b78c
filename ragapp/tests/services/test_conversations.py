"""Conversations: one person's thread, whose follow-ups lean on what was said in it."""

import pytest

from ragapp.domain.followup import Exchange
from ragapp.domain.reader import ANYBODY
from ragapp.models import Channel, Conversation, Run
from ragapp.services import conversations, corpora
from ragapp.services.answer import answer
from ragapp.services.runs import ask
from ragapp.tests.factories import ConversationFactory, CorpusFactory, RunFactory
from tenants.domain.states import AnswerEnd
from tenants.errors import NotVisibleError
from tenants.models import tenant_scope


@pytest.mark.django_db
def test_a_question_begins_a_conversation_and_a_follow_up_joins_it(alice):
    corpus = CorpusFactory(tenant=alice.tenant)
    with alice.acting() as actor:
        first = ask(alice.tenant, "What is SNAT?", actor=actor, channel=Channel.API, corpus=corpus)
        thread = conversations.visible_conversation(first.conversation_id, actor=actor)
        second = ask(alice.tenant, "Why?", actor=actor, channel=Channel.API, conversation=thread)

        assert (thread.title, thread.owner) == ("What is SNAT?", "alice")
        assert (second.conversation_id, second.corpus_id) == (thread.pk, corpus.pk)
        assert [run.pk for run in conversations.turns(second, ANYBODY)] == [first.pk]


@pytest.mark.django_db
def test_only_its_owner_sees_a_conversation(alice, bob, charlie):
    thread = ConversationFactory(tenant=alice.tenant, owner="alice")
    RunFactory(tenant=alice.tenant, conversation=thread)

    for other in (bob, charlie):
        with other.acting() as actor:
            assert list(conversations.recent(actor, 8)) == []
            with pytest.raises(NotVisibleError):
                conversations.visible_conversation(thread.pk, actor=actor)
    with alice.acting() as actor:
        assert list(conversations.recent(actor, 8)) == [thread]


@pytest.mark.django_db
def test_conversation_is_closed_with_its_corpus_and_keeps_its_runs(alice):
    corpus = CorpusFactory(tenant=alice.tenant)
    with alice.acting() as actor:
        run = ask(alice.tenant, "What is SNAT?", actor=actor, channel=Channel.API, corpus=corpus)
        other = ask(alice.tenant, "What is SNAT?", actor=actor, channel=Channel.API)

        corpora.delete_corpus(corpus, actor=actor)

        assert list(conversations.recent(actor, 8)) == [other.conversation]
        with pytest.raises(NotVisibleError, match="closed when its corpus is deleted"):
            conversations.visible_conversation(run.conversation_id, actor=actor)
        run.refresh_from_db()
        assert (run.corpus_id, run.conversation_id is None) == (None, False)


@pytest.mark.django_db
def test_history_is_what_was_found_as_it_was_searched_for(acme):
    thread = ConversationFactory(tenant=acme)
    rewritten = {"kind": "rewrite", "at_ms": 1, "before": "And why?", "after": "Why SNAT?"}
    said = {"tenant": acme, "conversation": thread}
    RunFactory(**said, question="What is SNAT?", answer="A pool.", end=AnswerEnd.FOUND)
    RunFactory(**said, question="And why?", answer="To leave.", end="Found", entries=[rewritten])
    RunFactory(**said, question="Who?", answer="No answer was found.", end=AnswerEnd.NOT_FOUND)
    last = RunFactory(**said, question="And when?")

    with tenant_scope(acme.pk):
        assert conversations.history(last, ANYBODY) == (
            Exchange("What is SNAT?", "A pool."),
            Exchange("Why SNAT?", "To leave."),
        )


@pytest.mark.django_db
def test_history_that_the_client_sent_along_holds_for_its_run_alone(alice):
    said = Exchange("What is SNAT?", "A pool.")
    with alice.acting() as actor:
        run = ask(alice.tenant, "Why?", actor=actor, channel=Channel.API, earlier=[said])
        other = ask(alice.tenant, "Why?", actor=actor, channel=Channel.API)

        assert conversations.history(Run.objects.get(pk=run.pk), ANYBODY) == (said,)
        assert conversations.history(Run.objects.get(pk=other.pk), ANYBODY) == ()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "generator")
def test_a_follow_up_is_made_whole_before_it_is_searched_for(alice, egress):
    egress.deny(alice.tenant)
    with alice.acting() as actor:
        thread = ConversationFactory(tenant=alice.tenant, owner=actor.name)
        RunFactory(
            tenant=alice.tenant,
            conversation=thread,
            question="What is a SNAT pool for?",
            answer="Addresses.",
            end=AnswerEnd.FOUND,
        )
        run = ask(alice.tenant, "And why?", actor=actor, channel=Channel.API, conversation=thread)

    answer(run.pk)

    with tenant_scope(alice.tenant.pk):
        entries = Run.objects.get(pk=run.pk).entries
        assert Conversation.objects.count() == 1
    (rewrite,) = [entry for entry in entries if entry["kind"] == "rewrite"]
    (search,) = [entry for entry in entries if entry["kind"] == "outbound"]
    assert rewrite["before"] == "And why?"
    assert "SNAT" in rewrite["after"]
    assert search["verdict"] == "Denied"
