"""When a corpus is trained anew by itself."""

from datetime import datetime, timedelta

_EVERY = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
}


def next_at(schedule: str, now: datetime) -> datetime | None:
    """The next time after ``now``; None for a corpus that nobody scheduled."""
    every = _EVERY.get(schedule)
    return now + every if every else None
