"""Fixtures around the real processes."""

from collections.abc import Iterator

import pytest

from proxyconfig.tests.targets.local_processes import (
    CaddyProcess,
    EchoFarSide,
    EgressProcess,
    HttpFarSide,
)


@pytest.fixture
def egress() -> Iterator[EgressProcess]:
    """A fresh egress proxy that knows nobody."""
    with EgressProcess() as process:
        yield process


@pytest.fixture
def echo() -> Iterator[EchoFarSide]:
    """A far side for tunnels."""
    far = EchoFarSide()
    yield far
    far.stop()


@pytest.fixture
def web() -> Iterator[HttpFarSide]:
    """A far side for plain HTTP."""
    far = HttpFarSide()
    yield far
    far.stop()


@pytest.fixture(scope="module")
def caddy() -> Iterator[CaddyProcess]:
    """A Caddy for the tests of one module."""
    process = CaddyProcess()
    process.start()
    yield process
    process.stop()
