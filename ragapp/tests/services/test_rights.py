"""Rights and filters inside a tenant: what is hidden is neither found, nor counted, nor felt."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from ragapp.domain.filters import Filters
from ragapp.domain.followup import Exchange
from ragapp.domain.reader import ANYBODY, EVERYTHING, Reader, from_json, reader_of, to_json
from ragapp.domain.run_record import citation
from ragapp.models import Channel, Document
from ragapp.models.rights import visible_runs
from ragapp.services import answer, index, rights, runs
from ragapp.services.search import _ranked, look_up, ranked
from ragapp.services.statements import Field
from ragapp.tests.factories import (
    ConversationFactory,
    CorpusFactory,
    RunFactory,
    chunk,
    indexed,
    unit,
)
from ragapp.ui.answer import answer_view
from tenants.domain.roles import Role
from tenants.domain.states import OperationState
from tenants.errors import InvalidError, NotVisibleError
from tenants.models import tenant_scope
from tenants.tests.people import person

MLOPS = Reader(frozenset({"role:mlops", "user:mia"}))
READER = Reader(frozenset({"role:reader", "user:bob"}))

pytestmark = pytest.mark.django_db


def limit(document, *readers, **changes):
    with tenant_scope(document.tenant_id):
        Document.objects.filter(pk=document.pk).update(readers=list(readers), **changes)


def found(corpus, query, *, reader=ANYBODY, filters=None, k=50):
    with tenant_scope(corpus.tenant_id):
        field = Field(corpus.tenant_id, [corpus.pk], reader, filters or Filters())
        return _ranked(field, query, index.as_text(unit(3)), k, None)


def texts(hits):
    return {hit.text for hit in hits}


@pytest.mark.parametrize(
    ("readers", "reader", "is_found"),
    [
        ([], ANYBODY, True),
        (["role:mlops"], ANYBODY, False),
        (["role:mlops"], READER, False),
        (["role:mlops"], MLOPS, True),
        (["user:bob"], READER, True),
        (["user:bob", "role:devops"], MLOPS, False),
        (["user:nobody"], EVERYTHING, True),
    ],
)
def test_document_is_found_by_its_readers_alone(acme, readers, reader, is_found):
    corpus = CorpusFactory(tenant=acme)
    limit(indexed(corpus, ["alpha secret"]), *readers)
    indexed(corpus, ["alpha open"])

    hits = found(corpus, "alpha secret", reader=reader)

    assert texts(hits) == {"alpha open"} | ({"alpha secret"} if is_found else set())


def test_hidden_document_moves_no_score_rank_or_count(acme):
    with_secret, without = CorpusFactory(tenant=acme), CorpusFactory(tenant=acme)
    shown = ["alpha beta", "alpha gamma delta", "omega"]
    for corpus in (with_secret, without):
        indexed(corpus, shown)
    limit(indexed(with_secret, ["alpha beta secret", "beta"] * 3), "role:mlops")
    # A limited document of its own puts the other corpus on the same way of searching.
    limit(indexed(without, ["elsewhere"]), "user:nobody")

    def scores(corpus):
        return [
            (hit.text, hit.score, hit.dense, hit.lexical, hit.dense_rank, hit.lexical_rank)
            for hit in found(corpus, "alpha beta secret", reader=READER)
        ]

    assert scores(with_secret) == scores(without)
    lexicon = look_up(acme.pk, [with_secret.pk], "beta secret", reader=READER)
    assert (lexicon.chunks, dict(lexicon.frequency_by_term)) == (3, {"beta": 1, "secret": 0})
    whole = look_up(acme.pk, [with_secret.pk], "secret", reader=EVERYTHING)
    assert (whole.chunks, dict(whole.frequency_by_term)) == (9, {"secret": 3})


def test_narrowed_search_gives_the_open_one_s_scores_where_nothing_is_hidden(acme):
    corpus = CorpusFactory(tenant=acme)
    indexed(corpus, ["alpha beta", "alpha gamma", "beta beta delta"], [unit(n) for n in range(3)])
    opened = found(corpus, "alpha beta", reader=EVERYTHING)

    narrowed = found(corpus, "alpha beta", filters=Filters(url="http"))

    assert [(hit.text, hit.dense_rank, hit.lexical_rank) for hit in narrowed] == [
        (hit.text, hit.dense_rank, hit.lexical_rank) for hit in opened
    ]
    assert [(hit.dense, hit.lexical) for hit in narrowed] == [
        pytest.approx((hit.dense, hit.lexical)) for hit in opened
    ]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(title="GUIDE"), {"alpha guide"}),
        (Filters(title="100%_\\"), set()),
        (Filters(url="http://docs.example/guide"), {"alpha guide"}),
        (Filters(content_type="application/pdf"), {"alpha pdf one", "alpha pdf two"}),
        (Filters(first_page=2), {"alpha pdf two"}),
        (Filters(last_page=1), {"alpha pdf one"}),
        (Filters(labels={"team": "net"}), {"alpha guide"}),
        (Filters(labels={"team": "net", "year": "2025"}), set()),
        (Filters(labels={"'; DROP TABLE x; --": "\0 %s {}"}), set()),
        (Filters(title="'; DROP TABLE x; -- \0 %s {}"), set()),
        (Filters(fetched_since=timezone.now() - timedelta(days=1)), {"alpha guide"}),
    ],
)
def test_filters_narrow_to_what_matches(acme, filters, wanted):
    corpus = CorpusFactory(tenant=acme)
    guide = indexed(corpus, ["alpha guide"])
    limit(
        guide,
        title="The Guide",
        url="http://docs.example/guide.html",
        content_type="text/html; charset=utf-8",
        labels={"team": "net", "year": "2026"},
        fetched_at=timezone.now(),
    )
    limit(pages(corpus), content_type="application/pdf", url="http://docs.example/book.pdf")

    assert texts(found(corpus, "alpha", filters=filters)) == wanted


def pages(corpus):
    """A document of two pages."""
    document = indexed(corpus, ["alpha"])
    with tenant_scope(corpus.tenant_id):
        index.delete(document)
        written = [chunk(text) for text in ("alpha pdf one", "alpha pdf two")]
        numbered = [replace(one, page=page) for page, one in enumerate(written, start=1)]
        index.write(document, numbered, np.stack([unit(1), unit(2)]))
    return document


def test_same_content_shows_once(acme):
    corpus = CorpusFactory(tenant=acme)
    indexed(corpus, ["alpha beta"])
    indexed(corpus, ["alpha beta"])

    assert len(found(corpus, "alpha")) == 1


def test_each_corpus_is_weighed_by_its_own_weight(acme):
    by_words = CorpusFactory(tenant=acme, dense_weight=0.0)
    by_meaning = CorpusFactory(tenant=acme, dense_weight=1.0)
    indexed(by_words, ["snat", "near words"], [-unit(3), unit(3)])
    indexed(by_meaning, ["snat too", "near meaning"], [-unit(3), unit(3)])

    with tenant_scope(acme.pk):
        corpora = [by_words.pk, by_meaning.pk]
        hits = ranked(acme.pk, corpora, "snat", index.as_text(unit(3)), k=4)

    assert texts(hits[:2]) == {"snat", "near meaning"}


def test_reader_survives_the_run_s_row(alice, bob):
    for somebody in (alice, bob):
        with somebody.acting() as actor:
            assert from_json(to_json(reader_of(actor))) == reader_of(actor)


def test_run_searches_with_the_rights_of_its_asker(acme, alice, bob):
    corpus = CorpusFactory(tenant=acme)
    limit(indexed(corpus, ["alpha secret"]), "role:netops")
    indexed(corpus, ["alpha open"])

    for somebody, wanted in ((alice, {"alpha secret", "alpha open"}), (bob, {"alpha open"})):
        with somebody.acting() as actor:
            run = runs.ask(acme, "What is alpha?", actor=actor, channel=Channel.API)
        tools = answer.tools_for(run)
        with tenant_scope(acme.pk):
            vector = index.as_text(unit(3))
            hits = ranked(acme.pk, [corpus.pk], "alpha", vector, k=9, reader=tools.reader)
        assert texts(hits) == wanted


def test_run_on_limited_documents_is_hidden_from_those_with_fewer_rights(acme, alice, bob):
    dora = person("dora", acme, Role.DEVOPS)
    corpus = CorpusFactory(tenant=acme)
    indexed(corpus, ["alpha open"])
    with dora.acting() as actor:
        before = runs.ask(acme, "What is alpha?", actor=actor, channel=Channel.API)
    limit(indexed(corpus, ["alpha secret"]), "user:dora")
    with dora.acting() as actor:
        run = runs.ask(acme, "What is alpha?", actor=actor, channel=Channel.API)

    def sees(somebody, trace_id):
        with somebody.acting() as actor:
            try:
                return runs.visible_run(trace_id, reader=reader_of(actor)).trace_id == trace_id
            except NotVisibleError:
                return False

    assert [sees(somebody, run.trace_id) for somebody in (dora, alice, bob)] == [True, True, False]
    assert sees(bob, before.trace_id)


def test_answers_on_a_document_that_is_limited_later_are_limited_with_it(acme, alice, bob):
    corpus, other = CorpusFactory(tenant=acme), CorpusFactory(tenant=acme)
    document = indexed(corpus, ["alpha secret"])

    def run(**columns):
        return RunFactory(tenant=acme, principals=["role:devops", "user:dora"], **columns)

    ended = {"state": OperationState.SUCCEEDED, "end": "Found"}
    of_it = [
        run(corpus=corpus, citations=[{"document_id": document.pk}], **ended),
        run(citations=[{"document_id": 0}, {"document_id": document.pk}], **ended),
        run(corpus=corpus, state=OperationState.CANCELLED, answer="The secret is"),
        run(state=OperationState.RUNNING),
    ]
    of_others = [
        run(corpus=corpus, citations=[{"document_id": 0}], **ended),
        run(corpus=other, state=OperationState.RUNNING),
    ]
    with alice.acting() as actor:
        rights.set_rights(document, readers=["user:dora"], labels={}, actor=actor)

    with bob.acting() as actor:
        seen = set(runs.Run.objects.filter(visible_runs(reader_of(actor))))
    assert seen == set(of_others)
    with person("dora", acme, Role.DEVOPS).acting() as actor:
        seen = set(runs.Run.objects.filter(visible_runs(reader_of(actor))))
    assert seen == {*of_it, *of_others}


def test_follow_up_is_as_limited_as_what_it_leans_on(acme, alice):
    limited, opened = CorpusFactory(tenant=acme), CorpusFactory(tenant=acme)
    limit(indexed(limited, ["alpha secret"]), "user:dora")
    indexed(opened, ["alpha open"])

    def asked(question, **options):
        with alice.acting() as actor:
            return runs.ask(acme, question, actor=actor, channel=Channel.API, **options)

    first = asked("Whom do we let go?", corpus=limited)
    second = asked("And why?", corpus=opened, conversation=first.conversation)
    third = asked("And when?", corpus=opened, conversation=first.conversation)
    other = asked("And when?", corpus=opened)
    told = asked("And when?", corpus=opened, earlier=[Exchange("Whom do we let go?", "Bob.")])

    assert [run.is_limited for run in (first, second, third, other, told)] == [
        True, True, True, False, True,
    ]  # fmt: skip


def test_what_follows_on_an_answer_is_limited_with_it(acme, alice):
    corpus, other = CorpusFactory(tenant=acme), CorpusFactory(tenant=acme)
    document = indexed(corpus, ["alpha secret"])
    thread, beside = (ConversationFactory(tenant=acme) for _ in range(2))
    ended = {"tenant": acme, "corpus": other, "state": OperationState.SUCCEEDED, "end": "Found"}
    before = RunFactory(**ended, conversation=thread)
    of_it = RunFactory(**ended, conversation=thread, citations=[{"document_id": document.pk}])
    after = [RunFactory(**ended, conversation=thread) for _ in range(2)]
    told = RunFactory(**ended, earlier=[{"question": "Whom?", "answer": "Bob."}])
    elsewhere = RunFactory(**ended, conversation=beside)
    with alice.acting() as actor:
        rights.set_rights(document, readers=["user:dora"], labels={}, actor=actor)

        assert set(runs.Run.objects.filter(is_limited=True)) == {of_it, *after, told}
        assert set(runs.Run.objects.filter(is_limited=False)) == {before, elsewhere}


def test_run_that_only_found_a_document_is_limited_with_it(acme, alice):
    corpus = CorpusFactory(tenant=acme)
    document = indexed(corpus, ["alpha secret"])

    def run(source, **hit):
        searched = {"kind": "search", "at_ms": 1, "ms": 1, "source": source, "query": "alpha"}
        columns = {"tenant": acme, "corpus": corpus, "state": "Succeeded", "end": "Found"}
        reads = {"citations": [{"document_id": 0}]}
        return RunFactory(**columns, **reads, entries=[{**searched, "hits": [hit]}])

    found = [
        run("local", key="chunk:1", url="http://x/", document_id=document.pk),
        # As runs kept it before hits named their document.
        run("local", key="chunk:1", url=document.url),
    ]
    others = [
        run("local", key="chunk:2", url="http://x/", document_id=0),
        run("web", key="http://x/#0", url=document.url, document_id=None),
    ]
    with alice.acting() as actor:
        rights.set_rights(document, readers=["user:dora"], labels={}, actor=actor)

        assert set(runs.Run.objects.filter(is_limited=True)) == set(found)
        assert set(runs.Run.objects.filter(is_limited=False)) == set(others)


def test_run_that_was_asked_while_a_document_was_being_limited_is_limited_by_its_worker(acme):
    corpus = CorpusFactory(tenant=acme)
    limit(indexed(corpus, ["alpha secret"]), "user:dora")
    # Neither saw the other's row before it was committed.
    run = RunFactory(tenant=acme, corpus=corpus)
    elsewhere = RunFactory(tenant=acme, corpus=CorpusFactory(tenant=acme))

    assert [answer.claim(asked.pk).is_limited for asked in (run, elsewhere)] == [True, False]

    with tenant_scope(acme.pk):
        assert [row.is_limited for row in runs.Run.objects.order_by("pk")] == [True, False]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services")
def test_run_is_limited_at_its_end_by_what_was_limited_while_it_went_on(acme, monkeypatch):
    corpus = CorpusFactory(tenant=acme)
    document = indexed(corpus, ["alpha secret"])
    run = RunFactory(tenant=acme, corpus=corpus)

    def tools(run):
        limit(document, "user:dora")
        raise InvalidError("Nothing more is needed here.")

    monkeypatch.setattr(answer, "tools_for", tools)
    answer.answer(run.pk)

    with tenant_scope(acme.pk):
        run.refresh_from_db()
    assert (run.state, run.is_limited) == (OperationState.FAILED, True)


def test_audit_log_names_nothing_that_is_limited(acme, alice, bob):
    corpus = CorpusFactory(tenant=acme)
    document = indexed(corpus, ["alpha secret"])
    limit(document, title="Whom we let go")
    run = RunFactory(tenant=acme, question="Whom do we let go?", is_limited=True)
    with alice.acting() as actor:
        document.refresh_from_db()
        rights.set_rights(document, readers=["user:dora"], labels={}, actor=actor)
        runs.request_stop(run, actor=actor)

    shown = bob.client.get("/api/v1/tenants/acme/audit").content.decode()

    assert run.trace_id in shown
    assert f"document {document.pk}" in shown
    assert "let go" not in shown


def test_citation_of_a_document_that_was_limited_later_shows_no_text(acme):
    corpus = CorpusFactory(tenant=acme)
    document = indexed(corpus, ["alpha secret"])
    with tenant_scope(acme.pk):
        (hit,) = ranked(acme.pk, [corpus.pk], "alpha", index.as_text(unit(3)), k=1)
    cited = citation(1, hit, is_cited=True)
    run = runs.Run(tenant=acme, citations=[cited], sentences=[])
    limit(document, "role:mlops")

    with tenant_scope(acme.pk):
        hidden = answer_view(run, READER).sources[0]
        shown = answer_view(run, MLOPS).sources[0]

    assert (hidden.pieces, hidden.before, hidden.after, hidden.passage_url) == ([], "", "", "")
    assert "".join(piece.text for piece in shown.pieces) == "alpha secret"


@pytest.mark.parametrize(
    ("readers", "labels", "wrong"),
    [
        (["everybody"], {}, "readers"),
        (["role:god"], {}, "readers"),
        (["user:a b"], {}, "readers"),
        ([f"user:u{n}" for n in range(51)], {}, "readers"),
        ([], {"": "x"}, "labels"),
        ([], {"a": "x\0"}, "labels"),
        ([], {f"k{n}": "v" for n in range(21)}, "labels"),
    ],
)
def test_odd_readers_and_labels_are_refused(acme, alice, readers, labels, wrong):
    document = indexed(CorpusFactory(tenant=acme), ["alpha"])

    with alice.acting() as actor, pytest.raises(InvalidError) as refusal:
        rights.set_rights(document, readers=readers, labels=labels, actor=actor)

    assert set(refusal.value.fields) == {wrong}
