import os
import subprocess
import sys

import pytest

from deploy.local.errors import StartError
from deploy.local.instance import InstanceLock
from deploy.local.layout import REPOSITORY


def start_sluice(var):
    """What `make up` runs, in a directory of its own."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.local.up"],
        cwd=REPOSITORY,
        env={**os.environ, "SLUICE_VAR": str(var)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_second_start_says_where_the_first_is(layout):
    lock = InstanceLock(layout.var / "up.lock")
    lock.acquire()
    lock.announce(url="http://127.0.0.1:8123")

    second = start_sluice(layout.var)

    lock.release()
    assert second.returncode == 1
    assert second.stderr == (
        "Sluice did not start. Sluice is already running at http://127.0.0.1:8123 as process "
        f"{os.getpid()}: use it, or stop it with Ctrl-C in its terminal.\n"
    )


def test_second_start_during_the_first_says_so(layout):
    lock = InstanceLock(layout.var / "up.lock")
    lock.acquire()

    with pytest.raises(StartError, match="still starting"):
        InstanceLock(layout.var / "up.lock").acquire()

    lock.release()


def test_lock_is_free_after_its_holder_was_killed(layout):
    code = (
        "import os, sys, pathlib; from deploy.local.instance import InstanceLock\n"
        "InstanceLock(pathlib.Path(sys.argv[1])).acquire(); os.kill(os.getpid(), 9)"
    )
    file = layout.var / "up.lock"
    subprocess.run([sys.executable, "-c", code, str(file)], cwd=REPOSITORY, check=False)
    assert file.exists()

    lock = InstanceLock(file)
    lock.acquire()
    lock.release()
