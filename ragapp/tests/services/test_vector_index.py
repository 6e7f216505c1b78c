"""The vector index of a large partition: built beside its readers, used where it is right."""

import io

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection, connections

from ragapp.domain.filters import NO_FILTERS
from ragapp.domain.reader import EVERYTHING
from ragapp.models import Document
from ragapp.services import index, search, statements, vector_index
from ragapp.services.statements import Field
from ragapp.tests.factories import CorpusFactory, indexed, unit
from tenants.models import tenant_scope
from tenants.tests.factories import TenantFactory

ROWS = 600

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


@pytest.fixture
def corpus(settings):
    settings.VECTOR_INDEX_ROWS = ROWS // 2
    corpus = CorpusFactory(tenant=TenantFactory(slug="large"))
    vectors = [unit(seed) for seed in range(ROWS)]
    indexed(corpus, [f"alpha{number}" for number in range(ROWS)], vectors)
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"ANALYZE ragapp_chunk_t{corpus.tenant_id}")
    yield corpus
    with connections["owner"].cursor() as cursor:
        for table in ("chunk", "posting"):
            cursor.execute(f"DROP TABLE ragapp_{table}_t{corpus.tenant_id}")


def built():
    out = io.StringIO()
    call_command("index_vectors", stdout=out)
    return out.getvalue()


def nearest(corpus, vector, k=10):
    with tenant_scope(corpus.tenant_id):
        found = search.candidates(
            corpus.tenant_id, [corpus.pk], "nothing", index.as_text(vector), reader=EVERYTHING
        )
    return [hit.key for hit in sorted(found, key=lambda hit: -hit.dense)][:k]


def plan(corpus, *, indexed):
    field = Field(corpus.tenant_id, [corpus.pk], EVERYTHING, NO_FILTERS)
    statement = statements.rank(
        field, "alpha1", index.as_text(unit(1)), depth=10, narrowed=False, indexed=indexed
    )
    with tenant_scope(corpus.tenant_id), connection.cursor() as cursor:
        # Six hundred rows are too few for the planner to want an index; twenty thousand are not.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute("EXPLAIN " + statement.as_string(cursor.connection))
        return "\n".join(row[0] for row in cursor.fetchall())


def test_large_partition_is_indexed_once_and_found_by(corpus):
    name = f"ragapp_chunk_t{corpus.tenant_id}"
    exact = [nearest(corpus, unit(seed)) for seed in range(1000, 1010)]
    assert not vector_index.serves(corpus.tenant_id, ROWS)

    assert built() == f"{name} is indexed.\n"
    assert built() == "No partition needs an index.\n"

    assert vector_index.serves(corpus.tenant_id, ROWS)
    assert f"{name}_vectors" in plan(corpus, indexed=True)
    assert f"{name}_vectors" not in plan(corpus, indexed=False)
    found = [nearest(corpus, unit(seed)) for seed in range(1000, 1010)]
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)]
    assert np.mean(shares) >= 0.99


def test_small_corpus_of_a_large_partition_is_searched_exactly(corpus):
    small = CorpusFactory(tenant=corpus.tenant)
    indexed(small, ["beta"], [-unit(5)])
    built()

    assert not vector_index.serves(corpus.tenant_id, 1)
    assert len(nearest(small, unit(5))) == 1


def test_unfinished_index_serves_nothing_and_is_built_anew(corpus, services):
    built()
    name = f"ragapp_chunk_t{corpus.tenant_id}_vectors"
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"DROP INDEX {name}")
        # What a killed build leaves: a unique one over equal rows fails half-way, likewise.
        with pytest.raises(Exception, match="could not create unique index"):
            cursor.execute(
                f"CREATE UNIQUE INDEX CONCURRENTLY {name}"
                f" ON ragapp_chunk_t{corpus.tenant_id} (corpus_id)"
            )
    assert not vector_index.serves(corpus.tenant_id, ROWS)

    built()

    assert vector_index.serves(corpus.tenant_id, ROWS)


def test_small_partition_stays_without(settings, corpus):
    settings.VECTOR_INDEX_ROWS = ROWS * 2

    assert built() == "No partition needs an index.\n"
    with tenant_scope(corpus.tenant_id):
        assert Document.objects.count() == 1
