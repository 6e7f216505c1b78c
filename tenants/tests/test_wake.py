"""Waking a worker while there is nobody to carry the message."""

import time

import pytest
from celery import current_app
from kombu.exceptions import OperationalError


def test_broker_that_is_away_keeps_no_request_waiting():
    begun = time.monotonic()

    with (
        current_app.connection_for_write(url="redis://127.0.0.1:1/0") as nowhere,
        pytest.raises(OperationalError),
    ):
        nowhere.default_channel  # noqa: B018 - looking at it is what connects

    # A tenth of a second on a quiet machine; six with the library's own patience.
    assert time.monotonic() - begun < 3
