"""Accounting: a ledger of what was used, and sums that equal it at every moment.

An entry and its day's sums are written by the transaction that ends the run or call, so whatever
dies, both are there or neither; the entry's key makes a second writing an error.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from ragapp.domain import trace
from ragapp.models import Run, UsageDay, UsageEntry, UsageKind
from tenants.domain.quota import Resource
from tenants.domain.states import OperationState
from tenants.models.operation import Operation
from tenants.services import quotas

AMOUNTS = ("requests", "tokens_in", "tokens_out", "milliseconds")
_ADD = """
INSERT INTO ragapp_usageday
    (tenant_id, day, kind, model, corpus, used_by, requests, tokens_in, tokens_out, milliseconds)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, day, kind, model, corpus, used_by) DO UPDATE SET
    requests = ragapp_usageday.requests + EXCLUDED.requests,
    tokens_in = ragapp_usageday.tokens_in + EXCLUDED.tokens_in,
    tokens_out = ragapp_usageday.tokens_out + EXCLUDED.tokens_out,
    milliseconds = ragapp_usageday.milliseconds + EXCLUDED.milliseconds
"""

EXPORT_COLUMNS = ("day", "kind", "model", "corpus", "used_by", *AMOUNTS)

Json = Mapping[str, Any]  # Any: as nested as JSON is.


class SupportsWrite(Protocol):
    """What text can be written to."""

    def write(self, text: str, /) -> object:
        """Take ``text``."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Amounts under one word: a day, a model, a corpus or a user."""

    word: str
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    milliseconds: int = 0

    @property
    def tokens(self) -> int:
        """Both ways together."""
        return self.tokens_in + self.tokens_out


@dataclass(slots=True)
class _Share:
    """What one model had in a run."""

    tokens_in: int = 0
    tokens_out: int = 0
    milliseconds: int = 0
    by_purpose: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def record_attempt(
    run: Run, entries: Sequence[Json], *, attempt: int, state: OperationState, now: datetime
) -> None:
    """Charge what one attempt at a run used, by its trace; call it in the transaction that ends it.

    An attempt whose worker died is charged with what its row had seen; the question itself is
    counted with the attempt that ends the run.

    Args:
        state: what the run goes to: an end, or queued for the next attempt.
    """
    is_end = state is not OperationState.QUEUED
    shares = _shares(entries)
    # A run that called no model is still a question.
    for position, (model, share) in enumerate(sorted(shares.items()) or [("", _Share())]):
        entry = UsageEntry(
            tenant_id=run.tenant_id,
            day=now.date(),
            at=now,
            kind=UsageKind.ANSWER,
            model=model[:200],
            corpus=run.corpus.name if run.corpus else "",
            used_by=run.asked_by,
            requests=int(is_end and position == 0),
            tokens_in=share.tokens_in,
            tokens_out=share.tokens_out,
            milliseconds=share.milliseconds,
            trace_id=run.trace_id,
            attempt=attempt,
            token_id=run.token_id,
            tokens_by_purpose=dict(share.by_purpose),
            ended_as=state.value if is_end else "",
        )
        record(entry)


def record_measurement(
    operation: Operation, entries: Sequence[Json], *, corpus: str, trace_id: str, now: datetime
) -> None:
    """Charge what one question of an evaluation used; call it in the transaction that stores it."""
    for position, (model, share) in enumerate(sorted(_shares(entries).items())):
        entry = UsageEntry(
            tenant_id=operation.tenant_id,
            day=now.date(),
            at=now,
            kind=UsageKind.EVALUATION,
            model=model[:200],
            corpus=corpus,
            used_by=operation.actor,
            requests=int(position == 0),
            tokens_in=share.tokens_in,
            tokens_out=share.tokens_out,
            milliseconds=share.milliseconds,
            trace_id=trace_id,
            tokens_by_purpose=dict(share.by_purpose),
        )
        record(entry)


def record(entry: UsageEntry) -> None:
    """Add one line to the ledger, its day's sums, and the tokens of its tenant and API token."""
    tokens = entry.tokens_in + entry.tokens_out
    quotas.charge(
        entry.tenant_id, Resource.TOKENS_PER_DAY, tokens, token_id=entry.token_id, now=entry.at
    )
    entry.save(force_insert=True)
    words: list[Any] = [entry.day, entry.kind, entry.model, entry.corpus, entry.used_by]
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [entry.tenant_id, *words, *(getattr(entry, name) for name in AMOUNTS)])


def totals(first: date, last: date) -> Sums:
    """The scope's sums from ``first`` to ``last``, both included."""
    rows = UsageDay.objects.filter(day__range=(first, last))
    found = rows.aggregate(**{name: Sum(name) for name in AMOUNTS})
    return Sums("", **{name: found[name] or 0 for name in AMOUNTS})


def by(word: str, first: date, last: date, *, most: int = 100) -> list[Sums]:
    """Sums for each value of a column: ``day`` in order, others by tokens, the largest first."""
    rows = UsageDay.objects.filter(day__range=(first, last)).order_by().values(word)
    summed = rows.annotate(**{f"sum_{name}": Sum(name) for name in AMOUNTS})
    found = [
        Sums(str(row[word]), **{name: row[f"sum_{name}"] for name in AMOUNTS}) for row in summed
    ]
    if word == "day":
        return sorted(found, key=lambda sums: sums.word)
    return sorted(found, key=lambda sums: (-sums.tokens, -sums.requests, sums.word))[:most]


def write_csv(out: SupportsWrite, first: date, last: date) -> None:
    """The daily sums, the newest day first, under their columns' names; they add up to the ledger.

    Args:
        out: a file or a response.
    """
    writer = csv.writer(out)
    writer.writerow(EXPORT_COLUMNS)
    rows = UsageDay.objects.filter(day__range=(first, last))
    for row in rows.iterator(chunk_size=2000):
        writer.writerow([_cell(getattr(row, name)) for name in EXPORT_COLUMNS])


def today() -> date:
    """The day that is being counted; UTC, as in the ledger."""
    return timezone.now().date()


def _cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _shares(entries: Sequence[Json]) -> dict[str, _Share]:
    shares: dict[str, _Share] = defaultdict(_Share)
    for entry in entries:
        if entry["kind"] == trace.ModelCall.kind:
            share = shares[str(entry["model"])]
            share.tokens_in += entry["tokens_in"]
            share.tokens_out += entry["tokens_out"]
            share.milliseconds += entry["ms"]
            share.by_purpose[f"{entry['purpose']}_in"] += entry["tokens_in"]
            share.by_purpose[f"{entry['purpose']}_out"] += entry["tokens_out"]
    return shares
