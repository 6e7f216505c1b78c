from datetime import UTC, datetime, timedelta

import pytest

from tenants.domain.quota import KINDS, Resource, Standing, resets_at, window_start

NOON = datetime(2026, 11, 24, 12, 34, 56, 789, tzinfo=UTC)


def test_every_resource_has_its_kind():
    assert set(KINDS) == set(Resource)


def test_windows_begin_at_whole_minutes_and_days():
    assert window_start(Resource.REQUESTS_PER_MINUTE, NOON) == datetime(
        2026, 11, 24, 12, 34, tzinfo=UTC
    )
    assert window_start(Resource.TOKENS_PER_DAY, NOON) == datetime(2026, 11, 24, tzinfo=UTC)
    assert resets_at(Resource.TOKENS_PER_DAY, NOON) == datetime(2026, 11, 25, tzinfo=UTC)


def test_window_holds_its_first_moment_and_not_its_last():
    start = window_start(Resource.REQUESTS_PER_MINUTE, NOON)

    assert window_start(Resource.REQUESTS_PER_MINUTE, start) == start
    assert window_start(Resource.REQUESTS_PER_MINUTE, start + timedelta(minutes=1)) != start


def test_stock_never_resets():
    assert resets_at(Resource.CORPUS_BYTES, NOON) is None
    assert window_start(Resource.CORPUS_BYTES, NOON) == window_start(
        Resource.CORPUS_BYTES, NOON + timedelta(days=900)
    )


@pytest.mark.parametrize(
    ("used", "limit", "remaining", "ratio"),
    [(3, 4, 1, 0.75), (5, 4, 0, 1.0), (0, 0, 0, 1.0), (7, None, None, 0.0)],
)
def test_standing_says_what_is_left(used, limit, remaining, ratio):
    standing = Standing(Resource.CORPUS_BYTES, used, limit, is_default=True, resets_at=None)

    assert (standing.remaining, standing.ratio) == (remaining, ratio)
