import json
import os
import signal
import subprocess
import sys

import pytest

from deploy.local import leftovers, processes
from deploy.local.layout import REPOSITORY
from deploy.local.tests.conftest import is_running, sleeper, wait_until

# A supervisor in a process of its own, to be killed.
SUPERVISOR = """
import sys, time
from pathlib import Path
from deploy.local import layout as layouts
from deploy.local.console import Console
from deploy.local.supervisor import Supervisor
from deploy.local.tests.conftest import sleeper

directory = Path(sys.argv[1])
before = sys.argv[2]
layout = layouts.of(directory / "var")
layout.create()
unit = sleeper("service", directory, before=before)
Supervisor([unit], layout=layout, stack="killed", console=Console()).run(lambda: None)
"""


@pytest.fixture
def killed_supervisor(tmp_path):
    """Runs a supervisor with one service and kills it with SIGKILL; gives the service's pid."""

    def run(before: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, str(tmp_path), before],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )
        record = tmp_path / "var" / "children.json"
        wait_until(lambda: (tmp_path / "service.ready").exists() and record.exists())
        child = json.loads(record.read_text())["children"]["service"]
        process.kill()
        process.wait()
        return child["pid"]

    return run


def test_service_dies_with_its_killed_supervisor(killed_supervisor):
    pid = killed_supervisor("")

    wait_until(lambda: not is_running(pid))


def test_stubborn_leftover_is_ended_by_the_next_start(killed_supervisor, tmp_path):
    pid = killed_supervisor("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    assert is_running(pid)

    assert leftovers.clear(tmp_path / "var" / "children.json") == 1

    assert not is_running(pid)
    assert not (tmp_path / "var" / "children.json").exists()


def test_process_that_got_the_number_later_is_left_alone(tmp_path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    record = tmp_path / "children.json"
    earlier = processes.start_ticks(stranger.pid) - 1
    leftovers.record(record, "stack", {"service": leftovers.Child(stranger.pid, earlier)})

    assert leftovers.clear(record) == 0

    assert is_running(stranger.pid)
    os.kill(stranger.pid, signal.SIGKILL)
    stranger.wait()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stack": "s", "children": {"a": {}}}'])
def test_damaged_record_counts_as_none(tmp_path, content):
    record = tmp_path / "children.json"
    record.write_text(content)

    assert leftovers.clear(record) == 0


def test_record_of_a_clean_stop_is_gone(start, tmp_path, layout):
    run = start(sleeper("service", tmp_path))
    run.wait_ready()
    assert (layout.var / "children.json").exists()

    run.stop()

    assert not (layout.var / "children.json").exists()
