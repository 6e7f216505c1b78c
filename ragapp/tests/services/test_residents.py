"""Few engines at once, and none goes while it is used."""

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragapp.engines.local import LocalEngine
from ragapp.services.residents import Residents
from ragapp.tests.engines.conftest import model_folder
from ragapp.tests.engines.contract import CHAT
from tenants.errors import PermanentError, TransientError

__all__ = ["model_folder"]


@pytest.fixture
def residents():
    made = Residents(lambda: 2)
    yield made
    made.close()


@pytest.fixture
def load(model_folder):
    return lambda: LocalEngine.from_source(str(model_folder), dtype="float32")


def test_an_engine_is_loaded_once_for_all_who_ask_at_once(residents, load):
    loads: list[int] = []

    def counted():
        loads.append(1)
        return load()

    with ThreadPoolExecutor(4) as pool:
        leases = list(pool.map(lambda _: residents.lease("one", counted), range(4)))

    assert len(loads) == 1
    assert leases[0].open(CHAT).generate("", max_new_tokens=3).tokens == 3


def test_the_one_that_was_asked_for_longest_ago_goes(residents, load):
    for name in ("one", "two", "one", "three"):
        residents.lease(name, load)
        gc.collect()

    assert residents.names == ["one", "three"]


def test_one_that_is_used_stays_and_the_newcomer_waits(residents, load):
    held = [residents.lease(name, load) for name in ("one", "two")]

    with pytest.raises(TransientError, match="in use"):
        residents.lease("three", load)

    assert residents.names == ["one", "two"]
    assert held[0].open(CHAT).generate("", max_new_tokens=3).tokens == 3


def test_one_that_cannot_be_loaded_takes_no_room(residents, load):
    def fail():
        raise PermanentError("no weights", code="model-unusable")

    for _ in range(3):
        with pytest.raises(PermanentError):
            residents.lease("bad", fail)

    held = [residents.lease(name, load) for name in ("one", "two")]
    assert residents.names == ["one", "two"]
    assert held


def test_one_that_died_is_loaded_anew_for_the_next(residents, load):
    engines = []

    def kept():
        engines.append(load())
        return engines[-1]

    residents.lease("one", kept)
    engines[0].close()

    lease = residents.lease("one", kept)

    assert len(engines) == 2
    assert lease.open(CHAT).generate("", max_new_tokens=3).tokens == 3
