"""The whole of `make up`, as a person runs it: every process is real."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.local.layout import REPOSITORY
from deploy.local.stack import inherited
from deploy.local.tests.conftest import is_running

pytestmark = [pytest.mark.e2e, pytest.mark.model]

START_SECONDS = 300.0
HEAL_SECONDS = 120.0
# A store, a proxy and a worker; the others take the same way to come back.
KINDS = ("postgres", "egress", "engine")
OTHERS = ("redis", "caddy", "portal", "ingress", "default", "ingest", "beat")


class Sluice:
    """One running `python -m deploy.local.up`."""

    def __init__(self, var: Path, models: Path) -> None:
        self.var = var
        self._environment = {**inherited(), "SLUICE_VAR": str(var), "SLUICE_MODELS": str(models)}
        self._terminal = var.with_name(f"{var.name}.terminal")
        self.process = self._run(self._terminal)
        self.wait_for("Sluice is up")

    def _run(self, terminal: Path) -> "subprocess.Popen[bytes]":
        with terminal.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "deploy.local.up"],
                cwd=REPOSITORY,
                env=self._environment,
                stdout=output,
                stderr=output,
            )

    @property
    def output(self) -> str:
        """What a person would have seen so far."""
        return self._terminal.read_text()

    @property
    def url(self) -> str:
        """The URL that was printed."""
        return re.search(r"up after .*:  (http://\S+)", self.output)[1]

    def second_start(self) -> str:
        """What a second start in the same place says."""
        terminal = self.var.with_name("second.terminal")
        assert self._run(terminal).wait(HEAL_SECONDS) == 1
        return terminal.read_text()

    def wait_for(self, text: str, *, count: int = 1) -> None:
        """Until ``text`` was printed ``count`` times."""
        deadline = time.monotonic() + START_SECONDS
        while self.output.count(text) < count:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.1)

    def pids(self) -> dict[str, int]:
        """Every running service."""
        record = json.loads((self.var / "children.json").read_text())
        return {name: child["pid"] for name, child in record["children"].items()}

    def status_of(self, path: str) -> int:
        """The portal's answer."""
        return httpx2.get(self.url + path, timeout=30, follow_redirects=True).status_code

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        self.process.wait(HEAL_SECONDS)


@pytest.fixture(scope="module")
def sluice(tmp_path_factory, generator_model) -> Iterator[Sluice]:
    """One instance for all tests; the last of them ends it."""
    running = Sluice(tmp_path_factory.mktemp("up") / "var", generator_model.parent)
    yield running
    running.end(signal.SIGTERM)


def test_first_start_prints_the_portal_and_a_generated_login(sluice):
    password = json.loads((sluice.var / "secrets.json").read_text())["admin_password"]

    assert f"First login:  admin  {password}" in sluice.output
    assert sluice.status_of("/") == 200


def test_second_start_says_that_it_is_running(sluice):
    assert (
        f"already running at {sluice.url} as process {sluice.process.pid}" in sluice.second_start()
    )


@pytest.mark.parametrize(
    "service", [*KINDS, *(pytest.param(name, marks=pytest.mark.full) for name in OTHERS)]
)
def test_killed_service_heals(sluice, service):
    first = sluice.pids()[service]
    ready_before = sluice.output.count(f"  ok  {service} ")

    os.kill(first, signal.SIGKILL)

    sluice.wait_for(f"  ok  {service} ", count=ready_before + 1)
    assert sluice.pids()[service] != first
    assert sluice.status_of("/") == 200


def test_instance_stops_starts_and_survives_being_killed(sluice, generator_model):
    var, url, pids = sluice.var, sluice.url, sluice.pids()

    sluice.end(signal.SIGTERM)

    assert sluice.process.returncode == 0
    assert "Sluice has stopped." in sluice.output
    assert {name: pid for name, pid in pids.items() if is_running(pid)} == {}

    second = Sluice(var, generator_model.parent)

    assert second.url == url
    assert "First login" not in second.output

    second.end(signal.SIGKILL)
    third = Sluice(var, generator_model.parent)

    assert third.status_of("/") == 200
    third.end(signal.SIGINT)
