import os
import pwd
import subprocess
import sys

import pytest

from deploy.local import server_user
from deploy.local.errors import StartError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")


def run_python(prefix, code):
    """What the code prints when it runs as the server's user."""
    return subprocess.run(
        [*prefix, sys.executable, "-c", f"import os; print({code})"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    ).stdout.strip()


@pytest.fixture
def private(tmp_path):
    """A program in a directory that only its owner can enter."""
    directory = tmp_path / "private"
    directory.mkdir(mode=0o700)
    program = directory / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


@pytest.mark.skipif(os.geteuid() == 0, reason="root has to become another user")
def test_ordinary_user_stays_who_they_are(private):
    assert server_user.prefix([private]) == ()


@as_root
def test_root_becomes_another_user_that_reaches_a_private_directory(private):
    prefix = server_user.prefix([private])

    nobody = pwd.getpwnam(server_user.NAME).pw_uid
    assert run_python(prefix, "os.getuid(), os.geteuid()") == f"{nobody} {nobody}"
    assert run_python(prefix, f"os.access({str(private)!r}, os.X_OK)") == "True"


@as_root
def test_help_ends_at_reading_and_walking(private):
    prefix = server_user.prefix([private])

    assert run_python(prefix, "open('/proc/self/status').read().split('CapEff:')[1][1:17]") in {
        "0000000000000002",  # dac_override
        "0000000000000004",  # dac_read_search
    }


@as_root
def test_place_that_nobody_can_reach_is_said_in_one_sentence(tmp_path):
    with pytest.raises(StartError, match=r"^PostgreSQL may not run as root, and the user nobody"):
        server_user.prefix([tmp_path / "absent"])
