"""Notices a change of the project's code, for `make dev`."""

from pathlib import Path

from deploy.local.layout import REPOSITORY

_WATCHED = ("portal", "workers", "ragapp", "proxyconfig", "tenants")


class CodeWatch:
    """Compares the newest change of any Python file of the apps with the one seen last."""

    def __init__(self, root: Path = REPOSITORY) -> None:
        self._root = root
        self._seen = self._stamp()

    def has_changed(self) -> bool:
        """Whether a file was changed, added or removed since the last call."""
        stamp = self._stamp()
        changed, self._seen = stamp != self._seen, stamp
        return changed

    def _stamp(self) -> tuple[int, int]:
        """(newest modification in nanoseconds, number of files)."""
        times = [
            file.stat().st_mtime_ns for app in _WATCHED for file in (self._root / app).rglob("*.py")
        ]
        return max(times, default=0), len(times)
