"""What the usage pages draw: the period and a bar for each of its days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ragapp.services.ledger import Sums

CHOICES = (7, 30, 90)
_HEIGHT = 100


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days up to today."""

    first: date
    last: date

    @classmethod
    def read(cls, days: str, today: date) -> "Period":
        """The period that a page's address names; 30 days where it names none that is offered."""
        count = next((choice for choice in CHOICES if str(choice) == days), 30)
        return cls(today - timedelta(days=count - 1), today)

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def choices(self) -> tuple[int, ...]:
        """What the page offers."""
        return CHOICES


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the drawing, in units of a hundredth of the highest."""

    day: date
    x: int
    height: int
    sums: Sums

    @property
    def y(self) -> int:
        """Where it begins, from above."""
        return _HEIGHT - self.height


def day_bars(by_day: Sequence[Sums], period: Period) -> list[Bar]:
    """A bar for each day, empty ones too; a day with any use has at least a line."""
    sums_by_day = {sums.word: sums for sums in by_day}
    highest = max((sums.tokens for sums in by_day), default=0)
    bars = []
    for number in range(period.days):
        day = period.first + timedelta(days=number)
        sums = sums_by_day.get(day.isoformat(), Sums(day.isoformat()))
        height = max(2, round(sums.tokens * _HEIGHT / highest)) if sums.tokens else 0
        bars.append(Bar(day, number, height, sums))
    return bars
