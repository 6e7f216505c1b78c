"""Runs one benchmark: gives it its context, compares its figures with their goals, prints both.

For people there is a table with the machine's facts. The very last line is for programs: one JSON
object ``{"name", "figures": {key: {"value", "baseline", "ratio", "goal", "unit"}}, "holds"}``.
"""

import importlib
import json
import math
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parent
# What stands in this folder and measures nothing.
_NO_BENCHMARKS = frozenset({"__init__", "__main__", "runner", "datasets"})

Better = Literal["higher", "lower"]


class BenchmarkError(Exception):
    """The benchmark cannot run as asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number.

    Attributes:
        value: What the product reached, in ``unit``.
        baseline: The same for the plain way, measured in the same run; None where there is none.
        goal: Bound for ``ratio`` where there is a baseline, else for ``value``; None only informs.
        better: Which way is good: the goal is a floor for "higher" and a ceiling for "lower".
    """

    key: str
    value: float
    unit: str
    baseline: float | None = None
    goal: float | None = None
    better: Better = "higher"

    @property
    def ratio(self) -> float | None:
        """Value over baseline; None without a baseline, not a number where that is 0."""
        if self.baseline is None:
            return None
        return self.value / self.baseline if self.baseline else math.nan

    @property
    def holds(self) -> bool:
        """True when the goal is met; a number that is none never meets one."""
        measured = self.value if self.ratio is None else self.ratio
        if not math.isfinite(measured) or not math.isfinite(self.value):
            return False
        if self.goal is None:
            return True
        return measured >= self.goal if self.better == "higher" else measured <= self.goal


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a benchmark is given.

    Attributes:
        data: Folder in a layout of ``datasets.py``; None where the user named none.
        full: Measure long and exactly; without it the run takes at most 20 minutes on two cores.
        random_weights: Measure a model's speed on a shape with random weights: no file is needed.
    """

    data: Path | None = None
    full: bool = False
    random_weights: bool = False

    def need_data(self) -> Path:
        """The folder that ``DATA`` names.

        Raises:
            BenchmarkError: None was named.
        """
        if self.data is None:
            raise BenchmarkError(
                "This benchmark needs a dataset: add DATA=<folder> to the command."
            )
        return self.data

    def say(self, progress: str) -> None:
        """Tell the person who waits what is being measured."""
        sys.stderr.write(f"  {progress}\n")
        sys.stderr.flush()


Run = Callable[[Context], Sequence[Figure]]


def names() -> list[str]:
    """The benchmarks that there are, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in _NO_BENCHMARKS)


def load(name: str) -> Run:
    """The ``run`` function of ``benchmarks/<name>.py``.

    Raises:
        BenchmarkError: There is no such benchmark.
    """
    if name not in names():
        raise BenchmarkError(f"There is no benchmark {name!r}. There are: {', '.join(names())}.")
    run: Run = importlib.import_module(f"benchmarks.{name}").run
    return run


def measure(name: str, run: Run, context: Context) -> bool:
    """Run one benchmark and print its table and its JSON line; True when all its goals hold."""
    begun = time.monotonic()
    try:
        figures = list(run(context))
    except BenchmarkError:
        raise
    except Exception:  # noqa: BLE001 - whatever a benchmark runs into, the last line must be JSON
        traceback.print_exc()
        figures = []
    seconds = time.monotonic() - begun
    holds = bool(figures) and all(figure.holds for figure in figures)
    print(table(name, figures, seconds=seconds))
    print(json_line(name, figures, holds=holds), flush=True)
    return holds


def json_line(name: str, figures: Sequence[Figure], *, holds: bool) -> str:
    """The last line; a number that is none becomes null, since JSON has no other word for it."""
    entries = {
        figure.key: {
            "value": _finite(figure.value),
            "baseline": _finite(figure.baseline),
            "ratio": _finite(figure.ratio),
            "goal": figure.goal,
            "unit": figure.unit,
        }
        for figure in figures
    }
    return json.dumps({"name": name, "figures": entries, "holds": holds}, allow_nan=False)


def table(name: str, figures: Sequence[Figure], *, seconds: float) -> str:
    """The table for people, with what the machine was."""
    head = ("figure", "value", "baseline", "ratio", "goal", "unit", "")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in (0, 5) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths[:-1]))
    if not figures:
        lines.append("nothing was measured")
    return "\n".join([f"{name}: {seconds:.0f} s on {machine()}", "", *lines, ""])


def machine() -> str:
    """CPU model, cores that this process may use, load average and Python, in one line."""
    cores = len(os.sched_getaffinity(0))
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    return f"{_cpu()}, {cores} cores, load {load}, Python {platform.python_version()}"


def _cpu() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _row(figure: Figure) -> tuple[str, ...]:
    sign = ">=" if figure.better == "higher" else "<="
    return (
        figure.key,
        _short(figure.value),
        _short(figure.baseline),
        _short(figure.ratio),
        "" if figure.goal is None else f"{sign} {_short(figure.goal)}",
        figure.unit,
        "" if figure.goal is None and figure.holds else "holds" if figure.holds else "MISSED",
    )


def _short(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
