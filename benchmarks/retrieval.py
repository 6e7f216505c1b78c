"""How well the product finds what judges call relevant, and how quickly it does so for a tenant.

With DATA, a folder in BEIR's layout: the set goes through the product's own chunks, postings and
statements, and is searched as the application's role. Lexical, dense and hybrid are three orders of
the same candidates, and a document counts by its best chunk. Without DATA, or with FULL=1: many
tenants with synthetic corpora, of which one has 20,000 chunks.
"""

import contextlib
import importlib
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
import psycopg
from django.core.management import call_command
from django.db import connections

from benchmarks.datasets import RetrievalSet, load_retrieval
from benchmarks.runner import Context, Figure
from deploy.local import layout
from deploy.local.private_services import PrivateServices
from ragapp.domain.fuse import Candidate, fuse
from ragapp.domain.metrics import ndcg, once, recall

DEPTH = 100
LARGE = 20_000


@dataclass(frozen=True, slots=True)
class Reference:
    """Figures of others on a set, from its README, and what Sluice must reach.

    Attributes:
        ndcg: nDCG@10 by leg, the best of the README for that kind of system.
        recall: Recall@100 by leg.
        floor: The least nDCG@10 by leg.
    """

    ndcg: Mapping[str, float]
    recall: Mapping[str, float]
    floor: Mapping[str, float]


REFERENCES = {
    "scifact": Reference(
        ndcg={"lexical": 0.6874, "dense": 0.6451, "hybrid": 0.7368},
        recall={"lexical": 0.9127, "dense": 0.9250, "hybrid": 0.955},
        floor={"lexical": 0.679, "dense": 0.640, "hybrid": 0.735},
    ),
    "cranfield": Reference(
        ndcg={"lexical": 0.3770, "dense": 0.3953, "hybrid": 0.4320},
        recall={"lexical": 0.7405, "dense": 0.7756, "hybrid": 0.80},
        floor={"hybrid": 0.425},
    ),
}


def run(context: Context) -> list[Figure]:
    """The set's figures, the crowd's, or both."""
    dataset = load_retrieval(context.data) if context.data else None
    folder = layout.from_environment().var / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    with _database(context) as superuser_url:
        if dataset is not None:
            figures += _quality(context, dataset, folder)
        if dataset is None or context.full:
            figures += _scale(context, superuser_url)
    return figures


@contextlib.contextmanager
def _database(context: Context) -> Iterator[str]:
    """A private database with the product's schema, seen as the application's role."""
    context.say("starting a private database")
    services = PrivateServices()
    os.environ.update(services.env)
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    services.start()
    try:
        django.setup()
        call_command("migrate", database="owner", interactive=False, verbosity=0)
        connections["owner"].close()
        yield services.superuser_url
    finally:
        connections.close_all()
        services.stop()


def _quality(context: Context, dataset: RetrievalSet, folder: Path) -> list[Figure]:
    shelf = _after_setup("shelf")
    embedder = shelf.serving.embedder()
    kept = folder / f"{embedder.name}-{dataset.name}.npz"
    filled = shelf.fill(dataset.documents, embedder, kept=kept, say=context.say)
    context.say(f"asking {len(dataset.query_by_id)} queries")
    found = shelf.candidates(filled, dataset.query_by_id, embedder, depth=DEPTH)
    orders = {
        leg: {key: _order(leg, hits, filled.document_by_chunk) for key, hits in found.items()}
        for leg in ("lexical", "dense", "hybrid")
    }
    whole = shelf.by_whole_documents(
        dataset.documents,
        dataset.query_by_id,
        embedder,
        depth=DEPTH,
        kept=kept,
        say=context.say,
    )
    gained = {leg: _mean(ndcg, order, dataset) for leg, order in orders.items()}
    recalled = {leg: _mean(recall, order, dataset) for leg, order in orders.items()}
    reference = REFERENCES.get(dataset.name, Reference({}, {}, {}))
    return [
        *(_beside_reference(leg, value, reference) for leg, value in gained.items()),
        Figure(
            key="model_alone_ndcg_at_10",
            value=_mean(ndcg, whole, dataset),
            baseline=reference.ndcg.get("dense"),
            unit="nDCG@10",
        ),
        *(
            Figure(
                key=f"{leg}_recall_at_100",
                value=value,
                baseline=reference.recall.get(leg),
                unit="share",
            )
            for leg, value in recalled.items()
        ),
        *(
            # Above, and not the same.
            Figure(
                key=f"hybrid_above_{leg}",
                value=gained["hybrid"],
                baseline=gained[leg],
                goal=1.0001,
                unit="nDCG@10",
            )
            for leg in ("lexical", "dense")
        ),
    ]


def _order(leg: str, hits: Sequence[Candidate], document_by_chunk: Mapping[int, str]) -> list[str]:
    """Documents by their best chunk, as the leg alone or the product's default would order them."""
    fused = fuse(hits)
    if leg == "dense":
        fused = fuse(hits, weight=1.0)
        fused = tuple(hit for hit in fused if hit.dense_rank <= DEPTH)
    if leg == "lexical":
        fused = fuse(hits, weight=0.0)
        fused = tuple(hit for hit in fused if hit.lexical_rank and hit.lexical_rank <= DEPTH)
    return once(document_by_chunk[hit.key] for hit in fused)


def _mean(metric: Any, orders: Mapping[str, Sequence[str]], dataset: RetrievalSet) -> float:
    return statistics.fmean(
        metric(order, dataset.grades_by_query[key]) for key, order in orders.items()
    )


def _beside_reference(leg: str, value: float, reference: Reference) -> Figure:
    known, floor = reference.ndcg.get(leg), reference.floor.get(leg)
    return Figure(
        key=f"{leg}_ndcg_at_10",
        value=value,
        baseline=known,
        goal=floor / known if floor and known else None,
        unit="nDCG@10",
    )


def _scale(context: Context, superuser_url: str) -> list[Figure]:
    others = 200 if context.full else 20
    size = 400 if context.full else 100
    crowd = _after_setup("crowd").Crowd([LARGE, *[size] * others], context.say)
    # What autovacuum does within a minute: index-only scans need it.
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE ragapp_chunk, ragapp_posting")
    large, small = crowd.residents[0], crowd.residents[1:]
    context.say("recall against exact search")
    recalls = [crowd.recall(large, questions=50)]
    recalls += [crowd.recall(resident, questions=1) for resident in small[:50]]
    pryings = 10_000 if context.full else 1_000
    context.say(f"{pryings:,} questions of strangers")
    foreign = crowd.foreign_rows(pryings)
    context.say("timing the legs and the whole")
    crowd.times(large, questions=10)
    times = crowd.times(large, questions=300 if context.full else 100)
    legs = statistics.median(times.lexical) + statistics.median(times.dense)
    return [
        Figure(key="recall_at_10", value=min(recalls), goal=0.99, unit="share"),
        Figure(key="foreign_rows", value=foreign, goal=0, unit="rows", better="lower"),
        Figure(
            key="hybrid_p50_to_sum_of_legs",
            value=statistics.median(times.hybrid),
            baseline=legs,
            goal=1.3,
            unit="ms",
            better="lower",
        ),
        Figure(
            key="hybrid_p95",
            value=statistics.quantiles(times.hybrid, n=20)[-1],
            goal=50.0,
            unit="ms",
            better="lower",
        ),
        Figure(key="lexical_p50", value=statistics.median(times.lexical), unit="ms"),
        Figure(key="dense_p50", value=statistics.median(times.dense), unit="ms"),
        Figure(key="query_embedding_p50", value=_embedding_ms(), unit="ms"),
    ]


def _embedding_ms() -> float:
    """Of one question at a time; counted apart, as it is the model's and not the database's."""
    embedder = _after_setup("shelf").serving.embedder()
    spent = []
    for number in range(25):
        begun = time.perf_counter()
        embedder.embed_queries([f"What is address pool {number} of a tenant for?"])
        spent.append((time.perf_counter() - begun) * 1000)
    return statistics.median(spent[5:])


def _after_setup(name: str) -> Any:  # Any: a module that can be imported only after the settings.
    return importlib.import_module(f"benchmarks.wire.{name}")
