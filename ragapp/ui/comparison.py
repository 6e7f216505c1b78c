"""Two evaluations side by side: what changed, whether that is more than chance, and where.

They are paired by the text of the question, so versions of a set and different sets can be
compared as far as they ask the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ragapp.domain import scores
from ragapp.domain.scores import METRIC_BY_NAME, Metric, Turn
from ragapp.domain.significance import Change, Difference
from ragapp.models import Evaluation, EvaluationAnswer
from ragapp.ui.figures import changed, difference_chart, written

# What a table of questions shows of each.
SHOWN = ("ndcg_at_10", "recall_at_10", "match", "groundedness")


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of both."""

    metric: Metric
    difference: Difference
    chart: SafeString

    @property
    def before(self) -> str:
        """The first one's mean, over the shared questions."""
        return written(self.metric, self.difference.before)

    @property
    def after(self) -> str:
        """The second one's."""
        return written(self.metric, self.difference.after)

    @property
    def change(self) -> str:
        """After minus before."""
        return changed(self.metric, self.difference.mean)

    @property
    def words(self) -> str:
        """What it is worth, in a sentence."""
        low = changed(self.metric, self.difference.low)
        high = changed(self.metric, self.difference.high)
        return _(_WORDS[self.difference.change]) % {
            "low": low,
            "high": high,
            "p": f"{self.difference.p:.3f}",
            "n": self.difference.n,
        }


_WORDS = {
    Change.BETTER: "A gain, between %(low)s and %(high)s (p %(p)s).",
    Change.WORSE: "A loss, between %(low)s and %(high)s (p %(p)s).",
    Change.UNCLEAR: "May be chance: between %(low)s and %(high)s (p %(p)s).",
    Change.EQUAL: "No question differs.",
    Change.TOO_FEW: "Too few of the %(n)s questions differ to tell it from chance.",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One question in both."""

    question: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    turn: Turn

    @property
    def cells(self) -> list[tuple[str, str, bool]]:
        """Before, after and whether they differ, of the metrics that a table shows."""
        return [
            (
                written(METRIC_BY_NAME[name], self.before["metrics"].get(name)),
                written(METRIC_BY_NAME[name], self.after["metrics"].get(name)),
                self.before["metrics"].get(name) != self.after["metrics"].get(name),
            )
            for name in SHOWN
        ]


class Comparison:
    """Everything that the page of two evaluations shows."""

    def __init__(self, before: Evaluation, after: Evaluation) -> None:
        self.before, self.after = before, after
        self._first, self._second = _rows(before), _rows(after)

    @cached_property
    def lines(self) -> list[Line]:
        """Each metric that both have."""
        found = scores.differences(
            {key: row["metrics"] for key, row in self._first.items()},
            {key: row["metrics"] for key, row in self._second.items()},
        )
        return [
            Line(
                METRIC_BY_NAME[name],
                difference,
                difference_chart(difference, reach=_reach(difference)),
            )
            for name, difference in found.items()
        ]

    @cached_property
    def pairs(self) -> list[Pair]:
        """Each question that both asked, in the first one's order."""
        return [
            Pair(row["question"], row, other, scores.turn(row["metrics"], other["metrics"]))
            for key, row in self._first.items()
            if (other := self._second.get(key))
        ]

    def turned(self, turn: str) -> list[Pair]:
        """The pairs that went that way; those that differ at all for ``differs``."""
        if turn == "differs":
            return [pair for pair in self.pairs if _differs(pair)]
        return [pair for pair in self.pairs if not turn or pair.turn == turn]

    @property
    def counts(self) -> dict[str, int]:
        """How many questions went which way."""
        ways = [pair.turn.value for pair in self.pairs]
        found = {turn.value: ways.count(turn.value) for turn in Turn}
        return found | {"differs": len(self.turned("differs")), "": len(self.pairs)}

    @property
    def unpaired(self) -> int:
        """Questions that only one of them asked."""
        return len(self._first.keys() ^ self._second.keys())

    @property
    def gains(self) -> list[Line]:
        """The metrics whose gain is more than chance."""
        return [line for line in self.lines if line.difference.change is Change.BETTER]

    @property
    def losses(self) -> list[Line]:
        """Those whose loss is."""
        return [line for line in self.lines if line.difference.change is Change.WORSE]


def _rows(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """What a comparison needs of each measured question, by its text's hash."""
    rows = EvaluationAnswer.objects.filter(evaluation=evaluation, answered_at__isnull=False)
    fields = ("text_hash", "position", "question", "end", "answer", "metrics")
    return {row["text_hash"]: row for row in rows.values(*fields)}


def _differs(pair: Pair) -> bool:
    # Its seconds always do.
    said = ("end", "answer")
    return pair.turn is not Turn.SAME or any(pair.before[k] != pair.after[k] for k in said)


def _reach(difference: Difference) -> float:
    """Half the axis: as far as the interval goes, and never so little that noise looks large."""
    return max(abs(difference.low), abs(difference.high), 0.02) * 1.1
