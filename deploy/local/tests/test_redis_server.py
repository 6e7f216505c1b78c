import os
import signal

import pytest
import redis

from deploy.local.stack import Stack
from deploy.local.tests.conftest import wait_until


def redis_in(var):
    """A private stack with Redis alone."""
    return Stack(var, services=["redis"])


def connect(stack):
    """A client that gives its sockets back at once."""
    return redis.Redis.from_url(stack.plan.redis_url, decode_responses=True)


def test_data_survives_a_restart(tmp_path):
    with redis_in(tmp_path / "var") as stack, connect(stack) as client:
        client.set("kept", "42")

    with redis_in(tmp_path / "var") as stack, connect(stack) as client:
        assert client.get("kept") == "42"


def test_killed_server_comes_back_with_its_data(tmp_path):
    with redis_in(tmp_path / "var") as stack:
        with connect(stack) as client:
            client.set("kept", "42")
        first = stack.supervisor.pid("redis")

        os.kill(first, signal.SIGKILL)

        wait_until(lambda: stack.supervisor.pid("redis") not in {None, first})
        wait_until(lambda: stack.supervisor.is_ready("redis"))
        with connect(stack) as client:
            assert client.get("kept") == "42"


def test_password_is_asked_for(tmp_path):
    with redis_in(tmp_path / "var") as stack:
        client = redis.Redis(port=stack.plan.redis.port, retry=None)

        with pytest.raises(redis.AuthenticationError), client:
            client.ping()
