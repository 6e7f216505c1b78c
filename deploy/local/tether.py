"""Turns into a service that dies with its supervisor: ``tether.py PARENT SIGNAL USER COMMAND...``.

Asks the kernel to send SIGNAL to this process when the supervisor ends, however it ends, then
becomes COMMAND. It is a program and not a ``preexec_fn`` because running Python between fork and
exec of a process with threads can deadlock. The standard library only: it runs without site-
packages to start within milliseconds.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, user, *command = sys.argv[1:]
    if user != "-":
        become(user)
    # After the change of user, which would clear it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("The supervisor ended before the service began.")
    # By its path: nothing more can be imported where the new user cannot read Python's library.
    os.execv(command[0], command)  # noqa: S606 - there is no shell


def become(user: str) -> None:
    """Give up root for ``user``, for good."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    main()
