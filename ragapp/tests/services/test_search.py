"""Retrieval: BM25 as the books have it, both scores for the union, and no stranger's row, ever."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragapp.models import Chunk, Posting
from ragapp.services import corpora, index
from ragapp.services.search import by_weight, ranked
from ragapp.services.search import look_up as look_up_terms
from ragapp.tests.factories import CorpusFactory, indexed, unit
from tenants.models import tenant_scope

# Words that the stemmer leaves as they are, so that Python may count them itself.
WORDS = ["alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa"]
TEXTS = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join),
    min_size=1,
    max_size=8,
    unique=True,
)
QUERIES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


def search(corpus, query, *, vector=None, k=200, corpora=None):
    with tenant_scope(corpus.tenant_id):
        return ranked(
            corpus.tenant_id,
            corpora or [corpus.pk],
            query,
            index.as_text(unit(0) if vector is None else vector),
            k=k,
        )


def bm25(query, texts):
    """The formula, word for word."""
    counts = [Counter(text.split()) for text in texts]
    average = sum(count.total() for count in counts) / len(texts)

    def weight(term, count):
        df = sum(term in other for other in counts)
        idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
        return (
            idf * count[term] * 2.2 / (count[term] + 1.2 * (0.25 + 0.75 * count.total() / average))
        )

    return [sum(weight(term, count) for term in set(query.split())) for count in counts]


@pytest.mark.django_db
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(texts=TEXTS, query=QUERIES)
def test_lexical_score_is_bm25(acme, texts, query):
    corpus = CorpusFactory(tenant=acme)
    indexed(corpus, texts)

    hits = search(corpus, query)

    wanted = Counter(zip(texts, [round(score, 6) for score in bm25(query, texts)], strict=True))
    assert Counter((hit.text, round(hit.lexical, 6)) for hit in hits) == wanted


@pytest.mark.django_db
def test_dense_score_is_the_inner_product_of_each_hit(acme):
    corpus = CorpusFactory(tenant=acme)
    vectors = [unit(seed) for seed in range(12)]
    indexed(corpus, [f"alpha{number}" for number in range(12)], vectors)
    query = unit(99)

    hits = search(corpus, "nothing", vector=query)

    exact = {f"alpha{number}": float(query @ vector) for number, vector in enumerate(vectors)}
    assert {hit.text: hit.dense for hit in hits} == pytest.approx(exact, abs=2e-3)
    best = sorted(exact, key=exact.get, reverse=True)
    assert [hit.text for hit in sorted(hits, key=lambda hit: hit.dense_rank)] == best


@pytest.mark.django_db
def test_union_has_both_scores_of_a_passage_that_only_one_leg_found(acme):
    corpus = CorpusFactory(tenant=acme, dense_weight=0.4)
    near = [unit(1) + 0.01 * unit(number + 500) for number in range(150)]
    vectors = [*(vector / np.linalg.norm(vector) for vector in near), -unit(1)]
    indexed(corpus, [*(f"filler{number}" for number in range(150)), "snat"], vectors)

    hits = search(corpus, "snat", vector=unit(1), k=100)

    assert hits[0].text == "snat"
    assert hits[0].dense == pytest.approx(-1.0, abs=2e-3)
    assert (hits[0].dense_rank, hits[0].lexical_rank) == (101, 1)


@pytest.mark.django_db
def test_weight_of_the_corpus_orders_the_hits(acme):
    vectors = [unit(1), -unit(1)]
    by_words = CorpusFactory(tenant=acme, dense_weight=0.0)
    by_meaning = CorpusFactory(tenant=acme, dense_weight=1.0)
    for corpus in (by_words, by_meaning):
        indexed(corpus, ["near", "snat"], vectors)

    assert search(by_words, "snat", vector=unit(1))[0].text == "snat"
    assert search(by_meaning, "snat", vector=unit(1))[0].text == "near"


@pytest.mark.django_db
def test_nothing_of_another_tenant_is_found_or_counted(acme, globex):
    mine, theirs = CorpusFactory(tenant=acme), CorpusFactory(tenant=globex)
    indexed(mine, ["alpha beta"], [unit(1)])
    alone = search(mine, "alpha", vector=unit(2))
    indexed(theirs, ["alpha secret"] * 30, [unit(2)] * 30)

    # Even asked for by its own id, the stranger's corpus gives nothing.
    hits = search(mine, "alpha secret", vector=unit(2), corpora=[mine.pk, theirs.pk])
    again = search(mine, "alpha", vector=unit(2))

    assert [hit.text for hit in hits] == ["alpha beta"]
    assert again == alone
    assert look_up_terms(acme.pk, [mine.pk, theirs.pk], "secret").frequency_by_term == {"secret": 0}


@pytest.mark.django_db
def test_corpora_of_one_tenant_are_searched_apart(acme):
    one, other = CorpusFactory(tenant=acme), CorpusFactory(tenant=acme)
    indexed(one, ["alpha one"])
    indexed(other, ["alpha other"])

    assert [hit.text for hit in search(one, "alpha")] == ["alpha one"]
    both = search(one, "alpha", corpora=[one.pk, other.pk])
    assert {hit.text for hit in both} == {"alpha one", "alpha other"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Rule acme/default-deny decided.", "acme/default-deny"),
        ("Rule acme/default-deny decided.", "default-deny"),
        ("It compares app.tenant with the row.", "tenant"),
        ("Since v1.2.3 it works.", "v1.2.3"),
        ("Set max_locks_per_transaction higher.", "max_locks_per_transaction"),
        ("SNAT pools hold addresses.", "What is a SNAT pool?"),
    ],
)
def test_identifiers_and_their_parts_are_found(acme, text, query):
    corpus = CorpusFactory(tenant=acme)
    indexed(corpus, [text, "Something else entirely."])

    hits = [hit for hit in search(corpus, query) if hit.lexical]

    assert [hit.text for hit in hits] == [text]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["", "the of and", "%s %% {}", "a\0b", "'; DROP TABLE x; --", "🦉"]
)
def test_odd_questions_are_only_questions(acme, query):
    corpus = CorpusFactory(tenant=acme)
    indexed(corpus, ["alpha"])

    assert [hit.text for hit in search(corpus, query)] == ["alpha"]
    assert look_up_terms(acme.pk, [corpus.pk], query).chunks == 1


@pytest.mark.django_db
def test_deleted_document_is_gone_at_once(acme, alice):
    corpus = CorpusFactory(tenant=acme)
    gone, kept = indexed(corpus, ["alpha gone", "alpha too"]), indexed(corpus, ["alpha kept"])

    with alice.acting() as actor:
        corpora.delete_document(gone, actor=actor)

    assert [hit.text for hit in search(corpus, "alpha gone")] == ["alpha kept"]
    with tenant_scope(acme.pk):
        assert set(Chunk.objects.values_list("document_id", flat=True)) == {kept.pk}
        assert Posting.objects.filter(term="gone").count() == 0
        corpus.refresh_from_db()
    assert (corpus.document_count, corpus.chunk_count, corpus.lexeme_count) == (1, 1, 2)


@pytest.mark.django_db
def test_look_up_counts_the_chunks_of_each_term(acme):
    corpus = CorpusFactory(tenant=acme)
    indexed(corpus, ["pools and pools", "a pool", "else"])

    lexicon = look_up_terms(acme.pk, [corpus.pk], "What is a SNAT pool for?")

    assert lexicon.chunks == 3
    assert dict(lexicon.frequency_by_term) == {"pool": 2, "snat": 0}


@pytest.mark.django_db
def test_search_without_a_partition_finds_nothing(acme):
    assert search(CorpusFactory(tenant=acme), "alpha") == []


@pytest.mark.model
@pytest.mark.django_db
def test_a_sweep_of_weights_finds_what_a_search_with_each_would(acme, embedder):
    corpus = CorpusFactory(tenant=acme)
    texts = [f"{one} {other}" for one in WORDS for other in WORDS if one != other]
    indexed(corpus, texts, embedder.embed_documents(texts))
    weights = [0.0, 0.4, 1.0]

    swept = by_weight(acme.pk, [corpus.pk], "alpha omega", weights, k=7)

    vector = index.as_text(embedder.embed_queries(["alpha omega"])[0])
    with tenant_scope(acme.pk):
        alone = [
            ranked(acme.pk, [corpus.pk], "alpha omega", vector, k=7, weight=weight)
            for weight in weights
        ]
    assert swept == alone
    assert swept[0] != swept[2]
