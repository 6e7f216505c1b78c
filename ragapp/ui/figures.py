"""Figures as people read them, and the small charts around them.

Charts are SVG with attributes and classes only, since the content security policy forbids inline
styles. Each says nothing that does not stand beside it in words, so screen readers pass it by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ragapp.domain.scores import METRICS, Metric
from ragapp.domain.significance import Difference

MINUS = "\N{MINUS SIGN}"
_WIDTH, _HEIGHT = 640, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 28


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric over the questions of an evaluation."""

    metric: Metric
    mean: float
    low: float
    high: float
    n: int

    @property
    def text(self) -> str:
        """The mean."""
        return written(self.metric, self.mean)

    @property
    def range(self) -> str:
        """The 95 % interval."""
        return f"{written(self.metric, self.low)} to {written(self.metric, self.high)}"

    @property
    def chart(self) -> SafeString:
        """The interval and its mean on an axis from 0 to 1; nothing for what has no such bounds."""
        return "" if self.metric.unit else interval(self.low, self.mean, self.high)  # type: ignore[return-value]  # nothing is safe


def figures(metrics: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    """The stored metrics, in the order of their definition."""
    return [
        Figure(metric, stored["mean"], stored["low"], stored["high"], int(stored["n"]))
        for metric in METRICS
        if (stored := metrics.get(metric.name))
    ]


def written(metric: Metric, value: float | None) -> str:
    """A value of the metric with its unit; a dash for none."""
    if value is None:
        return "\N{EN DASH}"
    if metric.is_share:
        return f"{value * 100:.1f} %"
    if metric.unit == "tokens":
        return f"{value:,.0f}"
    return f"{value:.1f} s" if metric.unit else f"{value:.3f}"


def changed(metric: Metric, value: float) -> str:
    """A difference with its sign; of shares in percentage points."""
    if metric.is_share:
        shown = f"{value * 100:+.1f} pp"
    elif metric.unit == "tokens":
        shown = f"{value:+,.0f}"
    else:
        shown = f"{value:+.1f} s" if metric.unit else f"{value:+.3f}"
    return shown.replace("-", MINUS)


def interval(low: float, mean: float, high: float) -> SafeString:
    """From ``low`` to ``high`` with a dot at ``mean``, on an axis from 0 to 1."""
    left, dot, right = (min(max(value, 0.0), 1.0) * 200 for value in (low, mean, high))
    return format_html(
        '<svg class="interval" viewBox="0 0 200 12" aria-hidden="true">'
        '<rect class="bar-track" y="5" width="200" height="2"></rect>'
        '<rect class="interval-range" x="{}" y="3.5" width="{}" height="5" rx="2.5"></rect>'
        '<circle class="interval-mean" cx="{}" cy="6" r="4"></circle></svg>',
        f"{left:.1f}",
        f"{max(right - left, 1):.1f}",
        f"{min(max(dot, 4), 196):.1f}",
    )


def difference_chart(difference: Difference, *, reach: float) -> SafeString:
    """The interval of a difference around 0, on an axis from -``reach`` to ``reach``."""
    scale = 100 / reach if reach else 0.0
    left, dot, right = (
        100 + min(max(value * scale, -100.0), 100.0)
        for value in (difference.low, difference.mean, difference.high)
    )
    return format_html(
        '<svg class="interval" viewBox="0 0 200 12" aria-hidden="true">'
        '<rect class="bar-track" y="5" width="200" height="2"></rect>'
        '<rect class="interval-zero" x="99.5" width="1" height="12"></rect>'
        '<rect class="interval-range interval-{}" x="{}" y="3.5" width="{}" height="5" rx="2.5">'
        '</rect><circle class="interval-mean interval-{}" cx="{}" cy="6" r="4"></circle></svg>',
        difference.change.value.lower(),
        f"{left:.1f}",
        f"{max(right - left, 1):.1f}",
        difference.change.value.lower(),
        f"{min(max(dot, 4), 196):.1f}",
    )


def sweep_chart(
    weights: Sequence[float], means: Sequence[float], *, base: float, best: float
) -> SafeString:
    """nDCG@10 by dense weight: a line, with the weight in use and the best one marked."""
    low, high = min(means), max(means)
    margin = max((high - low) * 0.15, 0.005)
    low, high = max(low - margin, 0.0), min(high + margin, 1.0)

    def x(weight: float) -> float:
        return _LEFT + weight * (_WIDTH - _LEFT - _RIGHT)

    def y(mean: float) -> float:
        return _TOP + (high - mean) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    points = " ".join(f"{x(w):.1f},{y(m):.1f}" for w, m in zip(weights, means, strict=True))
    ticks = [low + (high - low) * part / 3 for part in range(4)]
    lines = format_html_join(
        "",
        '<line class="chart-grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"></line>'
        '<text class="chart-label" x="{3}" y="{4}" text-anchor="end">{5}</text>',
        (
            (_LEFT, _WIDTH - _RIGHT, f"{y(t):.1f}", _LEFT - 6, f"{y(t) + 4:.1f}", f"{t:.3f}")
            for t in ticks
        ),
    )
    labels = format_html_join(
        "",
        '<text class="chart-label" x="{}" y="{}" text-anchor="middle">{}</text>',
        ((f"{x(w):.1f}", _HEIGHT - 8, f"{w:.1f}") for w in weights[::2]),
    )
    mean_at = dict(zip(weights, means, strict=True))
    dots = format_html_join(
        "",
        '<circle class="chart-dot {}" cx="{}" cy="{}" r="{}"></circle>',
        (
            (_tone(w, base, best), f"{x(w):.1f}", f"{y(m):.1f}", 6 if w == best else 4)
            for w, m in mean_at.items()
        ),
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="nDCG@10 by dense weight">'
        '{}{}<polyline class="chart-line" points="{}"></polyline>{}</svg>',
        _WIDTH,
        _HEIGHT,
        lines,
        labels,
        points,
        dots,
    )


def reliability_chart(bins: Sequence[Mapping[str, float]]) -> SafeString:
    """Share that was so by the probability that was told; on the diagonal is right."""
    most = max((entry["count"] for entry in bins), default=0) or 1
    dots = format_html_join(
        "",
        '<circle class="chart-dot" cx="{}" cy="{}" r="{}"></circle>',
        (
            (
                f"{10 + entry['probability'] * 100:.1f}",
                f"{110 - entry['share'] * 100:.1f}",
                f"{2 + 5 * (entry['count'] / most) ** 0.5:.1f}",
            )
            for entry in bins
            if entry["count"]
        ),
    )
    return format_html(
        '<svg class="reliability" viewBox="0 0 120 120" aria-hidden="true">'
        '<rect class="chart-frame" x="10" y="10" width="100" height="100"></rect>'
        '<line class="chart-grid" x1="10" y1="110" x2="110" y2="10"></line>{}</svg>',
        dots,
    )


def _tone(weight: float, base: float, best: float) -> str:
    if weight == best:
        return "chart-best"
    return "chart-base" if abs(weight - base) < 0.05 else ""
