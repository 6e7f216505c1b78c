"""The user that PostgreSQL runs as: whoever starts Sluice, except root, which PostgreSQL refuses.

As root it runs as ``nobody``. Where that user cannot walk to the data or to the binaries (a
checkout below a 0700 directory), it is given the one capability that lets it walk there.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.local import processes
from deploy.local.errors import StartError

NAME = "nobody"
_DEATH_SIGNAL = signal.SIGINT
# Walking and reading is all that is needed, but containers often grant only the second.
_CAPABILITIES = ("dac_read_search", "dac_override")


def prefix(reach: Sequence[Path]) -> tuple[str, ...]:
    """The words before a command that make it run as that user; none unless we are root.

    Args:
        reach: what the user must be able to walk to.

    Raises:
        StartError: as root, where ``nobody`` cannot reach it and cannot be helped to.
    """
    if os.geteuid() != 0:
        return ()
    listing = shutil.which("ls") or "/bin/ls"
    for words in _ways():
        command = [*words, listing, "-d", *map(str, reach)]
        if subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0:
            return words
    raise StartError(
        f"PostgreSQL may not run as root, and the user {NAME} cannot reach {reach[0]}: run Sluice "
        "as an ordinary user, move it out of the private directory, or set DATABASE_URL."
    )


def own(*paths: Path) -> None:
    """Give ``paths`` to that user."""
    if os.geteuid() != 0:
        return
    entry = pwd.getpwnam(NAME)
    for path in paths:
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _ways() -> Iterator[tuple[str, ...]]:
    """How to become ``nobody``, the least powerful first."""
    yield processes.tether(_DEATH_SIGNAL, user=NAME)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return
    entry = pwd.getpwnam(NAME)
    for capability in _CAPABILITIES:
        yield (
            *(setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"),
            *(f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"),
            # access(2), with which PostgreSQL looks for its own programs, drops capabilities else.
            "--securebits=+no_setuid_fixup",
            # The change of user clears what the tether before it asked for.
            *("--pdeathsig", _DEATH_SIGNAL.name.removeprefix("SIG")),
        )
