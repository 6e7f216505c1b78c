"""Strangers who pry, and thousands of neighbours: neither gets or moves anything."""

import os

import pytest
from django.db import connection

from benchmarks.wire.crowd import Crowd
from ragapp.domain.reader import EVERYTHING
from ragapp.models import make_partition
from ragapp.services import index, search, statements
from ragapp.services.statements import Field
from ragapp.tests.factories import CorpusFactory, indexed, unit
from tenants.models import tenant_scope

QUESTIONS = 10_000 if os.environ.get("FULL") == "1" else 1_000
NEIGHBOURS = 2_000

pytestmark = pytest.mark.django_db


def test_strangers_get_no_row_id_or_count_of_another_tenant():
    crowd = Crowd([12] * 5, lambda _: None)

    assert crowd.foreign_rows(QUESTIONS) == 0


@pytest.mark.full
def test_two_thousand_partitions_cost_a_search_nothing(acme):
    corpus = CorpusFactory(tenant=acme)
    indexed(corpus, ["alpha beta"], [unit(1)])
    for number in range(NEIGHBOURS):
        make_partition(10_000_000 + number)

    field = Field(acme.pk, [corpus.pk], EVERYTHING)
    vector = index.as_text(unit(1))
    statement = statements.rank(field, "alpha", vector, depth=10, narrowed=False, indexed=False)
    with tenant_scope(acme.pk), connection.cursor() as cursor:
        cursor.execute("EXPLAIN (SUMMARY) " + statement.as_string(cursor.connection))
        plan = [row[0] for row in cursor.fetchall()]
        hits = search.ranked(acme.pk, [corpus.pk], "alpha", vector, k=1)

    assert [hit.text for hit in hits] == ["alpha beta"]
    planned = next(line for line in plan if line.startswith("Planning Time"))
    assert float(planned.split()[2]) < 100
    assert not any("_t1000" in line for line in plan)
