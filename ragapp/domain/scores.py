"""The figures of an evaluation: each metric's definition, per question and over all of them.

A metric that has no meaning for a question (citations of a refusal, recall without judgements) is
absent there, so that a mean is over the questions that it is about; ``n`` says how many.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ragapp.domain import metrics
from ragapp.domain.citation import Support
from ragapp.domain.judged import Found, Judged, grades, ranking
from ragapp.domain.match import contains, token_f1
from ragapp.domain.significance import Difference, compare, estimate
from tenants.domain.states import AnswerEnd


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    Attributes:
        label: For people.
        about: Its definition in a sentence.
        is_share: 0 to 1, shown as a percentage; else a plain number with ``unit``.
        is_high_good: False where less is better.
        is_headline: Shown in lists.
    """

    name: str
    label: str
    about: str
    is_share: bool = True
    is_high_good: bool = True
    is_headline: bool = False
    unit: str = ""


class Turn(StrEnum):
    """Which way one question went from one evaluation to another."""

    BETTER = "Better"
    WORSE = "Worse"
    MIXED = "Mixed"
    SAME = "Same"


METRICS: tuple[Metric, ...] = (
    Metric(
        "ndcg_at_10",
        "nDCG@10",
        "How near the first ten places come to the best possible order, by grade.",
        is_share=False,
        is_headline=True,
    ),
    Metric("mrr_at_10", "MRR@10", "One over the place of the first relevant one.", is_share=False),
    Metric("recall_at_5", "Recall@5", "Share of what is relevant among the first five places."),
    Metric("recall_at_10", "Recall@10", "The same among the first ten.", is_headline=True),
    Metric("recall_at_100", "Recall@100", "The same among the first hundred."),
    Metric(
        "context_precision",
        "Context precision",
        "Share of the passages handed to the model that are relevant.",
    ),
    Metric(
        "groundedness",
        "Groundedness",
        "Share of the sentences of an answer that rest on a passage.",
        is_headline=True,
    ),
    Metric(
        "citation_precision",
        "Citation precision",
        "Share of the marks which the model wrote whose passage does support the sentence.",
    ),
    Metric(
        "citation_relevance",
        "Relevant citations",
        "Share of the passages shown as sources that are judged relevant.",
    ),
    Metric("match", "Answer match", "A reference answer stands in the answer, word for word."),
    Metric(
        "token_f1", "Token F1", "Words shared with the nearest reference answer.", is_share=False
    ),
    Metric(
        "refused_rightly",
        "Refused rightly",
        "Of questions without an answer: share that got none.",
        is_headline=True,
    ),
    Metric(
        "refused_wrongly",
        "Refused wrongly",
        "Of questions with an answer: share that got none.",
        is_high_good=False,
        is_headline=True,
    ),
    Metric(
        "seconds",
        "Seconds",
        "From the question to its end.",
        is_share=False,
        is_high_good=False,
        unit="s",
    ),
    Metric(
        "tokens",
        "Tokens",
        "Read and written by the model.",
        is_share=False,
        is_high_good=False,
        unit="tokens",
    ),
)
METRIC_BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Answered:
    """What a run made of a question, as far as it is measured.

    Attributes:
        sentences: Each with ``support``, ``passages`` and ``claimed``, as ``asdict(Sentence)``.
        read: The passages that the model read; ``[n]`` is ``read[n - 1]``.
    """

    end: str
    text: str
    sentences: Sequence[Mapping[str, Any]] = ()
    read: Sequence[Found] = ()


def retrieval(judged: Judged, found: Sequence[Found]) -> dict[str, float]:
    """The metrics of a ranking; none without a judgement.

    Args:
        found: Passages, best first; a hundred, for the deepest of them.
    """
    wanted = grades(judged)
    if not wanted:
        return {}
    ranked = ranking(judged, found)
    return {
        "ndcg_at_10": metrics.ndcg(ranked, wanted, k=10),
        "mrr_at_10": metrics.reciprocal_rank(ranked, wanted, k=10),
        "recall_at_5": metrics.recall(ranked, wanted, k=5),
        "recall_at_10": metrics.recall(ranked, wanted, k=10),
        "recall_at_100": metrics.recall(ranked, wanted, k=100),
    }


def answer(judged: Judged, answered: Answered) -> dict[str, float]:
    """The metrics of an answer, or of the want of one."""
    is_found = answered.end == AnswerEnd.FOUND
    name = "refused_wrongly" if judged.is_answerable else "refused_rightly"
    values = {name: float(not is_found)}
    if judged.answers:
        # A refusal says nothing right, whatever words it is in.
        said = answered.text if is_found else ""
        values["match"] = float(contains(said, judged.answers))
        values["token_f1"] = token_f1(said, judged.answers)
    if judged.relevant and answered.read:
        values["context_precision"] = _share_relevant(judged, answered.read)
    if is_found and answered.sentences:
        values |= _citations(judged, answered)
    return values


def summed(rows: Iterable[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Each metric over all questions, as JSON: mean, low, high, n; in the order of ``METRICS``."""
    known = list(rows)
    values_by_name = {
        metric.name: [row[metric.name] for row in known if metric.name in row] for metric in METRICS
    }
    return {name: asdict(estimate(values)) for name, values in values_by_name.items() if values}


def differences(
    before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]
) -> dict[str, Difference]:
    """Each metric that both have, compared over the questions that both have.

    Args:
        before: Values by name, by the question's key.
    """
    shared = [key for key in before if key in after]
    found: dict[str, Difference] = {}
    for metric in METRICS:
        pairs = [
            (before[key][metric.name], after[key][metric.name])
            for key in shared
            if metric.name in before[key] and metric.name in after[key]
        ]
        if pairs:
            old, new = zip(*pairs, strict=True)
            found[metric.name] = compare(old, new, is_high_good=metric.is_high_good)
    return found


# What tells whether a question went better; its cost always differs a little.
_TURNING = (
    "ndcg_at_10",
    "recall_at_10",
    "match",
    "token_f1",
    "groundedness",
    "refused_rightly",
    "refused_wrongly",
)


def turn(before: Mapping[str, float], after: Mapping[str, float]) -> Turn:
    """Which way a question went, by the metrics that both have."""
    gains = [
        (after[name] - before[name]) * (1 if METRIC_BY_NAME[name].is_high_good else -1)
        for name in _TURNING
        if name in before and name in after
    ]
    is_better, is_worse = any(gain > 0 for gain in gains), any(gain < 0 for gain in gains)
    if is_better and is_worse:
        return Turn.MIXED
    if is_better:
        return Turn.BETTER
    return Turn.WORSE if is_worse else Turn.SAME


def _share_relevant(judged: Judged, read: Sequence[Found]) -> float:
    wanted = grades(judged)
    return sum(hit.content_hash in wanted or hit.url in wanted for hit in read) / len(read)


def _citations(judged: Judged, answered: Answered) -> dict[str, float]:
    standing = [sentence["support"] != Support.UNSUPPORTED for sentence in answered.sentences]
    values = {"groundedness": sum(standing) / len(standing)}
    claimed = [
        (number, sentence["passages"])
        for sentence in answered.sentences
        for number in sentence.get("claimed", ())
    ]
    if claimed:
        values["citation_precision"] = sum(n in held for n, held in claimed) / len(claimed)
    shown = {number for sentence in answered.sentences for number in sentence["passages"]}
    sources = [answered.read[n - 1] for n in sorted(shown) if n <= len(answered.read)]
    if judged.relevant and sources:
        values["citation_relevance"] = _share_relevant(judged, sources)
    return values
