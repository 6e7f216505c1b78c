"""One supervisor per ``var/``: a lock that the kernel releases however its holder ends."""

import fcntl
import json
import os
from pathlib import Path
from typing import TextIO

from deploy.local.errors import StartError


class InstanceLock:
    """The right to run the services of one ``var/``; held until ``release`` or the end of the
    process.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stream: TextIO | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StartError: another supervisor holds it; the message says where it is.
        """
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        stream = os.fdopen(descriptor, "r+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _read(stream)
            stream.close()
            where = f"at {holder['url']} " if holder.get("url") else "(it is still starting) "
            raise StartError(
                f"Sluice is already running {where}as process {holder.get('pid', 'unknown')}: "
                "use it, or stop it with Ctrl-C in its terminal."
            ) from error
        self._stream = stream
        self.announce(url=None)

    def announce(self, *, url: str | None) -> None:
        """Tell a second start where this one is."""
        if self._stream is None:
            return
        self._stream.seek(0)
        self._stream.truncate()
        json.dump({"pid": os.getpid(), "url": url}, self._stream)
        self._stream.flush()

    def release(self) -> None:
        """Give the lock back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _read(stream: TextIO) -> dict[str, object]:
    try:
        content = json.load(stream)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
