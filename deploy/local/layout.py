"""Where a running Sluice keeps its state: everything below ``var/``, sockets in a run directory.

A unix socket's path may not exceed about 107 bytes, so a checkout that lies deep gets its run
directory under the system's temporary directory instead.
"""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StartError

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_RUN_DIR_BYTES = 90
LOG_ROTATE_BYTES = 5_000_000
LOGS_KEPT = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of one instance; ``create`` makes them."""

    var: Path
    run: Path
    models: Path

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data directory."""
        return self.var / "postgres"

    @property
    def redis(self) -> Path:
        """Redis's append-only file and its configuration."""
        return self.var / "redis"

    @property
    def log(self) -> Path:
        """One log file per service."""
        return self.var / "log"

    def log_of(self, service: str) -> Path:
        """The log file of ``service``."""
        return self.log / f"{service}.log"

    def socket(self, name: str) -> Path:
        """The unix socket called ``name``."""
        return self.run / f"{name}.sock"

    def create(self) -> None:
        """Make the directories, private to this user except for the way to them.

        Raises:
            StartError: a directory cannot be made, or the run directory is another user's.
        """
        try:
            # 0711: as root, PostgreSQL runs as another user that must be able to walk through.
            self.var.mkdir(mode=0o711, parents=True, exist_ok=True)
            for directory in (self.redis, self.log, self.run, self.var / "static"):
                directory.mkdir(mode=0o700, exist_ok=True)
            self.models.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"Sluice cannot create {error.filename}: {error.strerror}. "
                f"Make {self.var} writable, or set SLUICE_VAR to a directory that is."
            ) from error
        _refuse_foreign(self.run)

    def rotate_logs(self) -> None:
        """Set aside each log that has grown large; called before the services start to write."""
        for log in self.log.glob("*.log"):
            if log.stat().st_size < LOG_ROTATE_BYTES:
                continue
            for number in range(LOGS_KEPT - 1, 0, -1):
                older = log.with_name(f"{log.name}.{number}")
                if older.exists():
                    older.rename(log.with_name(f"{log.name}.{number + 1}"))
            log.rename(log.with_name(f"{log.name}.1"))


def of(var: Path, *, models: Path | None = None) -> Layout:
    """The layout of the instance that lives in ``var``; ``models`` may be shared by several."""
    var = var.resolve()
    run = var / "run"
    if len(os.fsencode(run)) > LONGEST_RUN_DIR_BYTES:
        digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:12]
        run = Path(tempfile.gettempdir()) / f"sluice-{os.getuid()}-{digest}"
    return Layout(var=var, run=run, models=(models or var / "models").resolve())


def from_environment() -> Layout:
    """The layout that ``SLUICE_VAR`` and ``SLUICE_MODELS`` ask for; ``var/`` of the checkout by
    default.
    """
    models = os.environ.get("SLUICE_MODELS")
    return of(
        Path(os.environ.get("SLUICE_VAR") or REPOSITORY / "var"),
        models=Path(models) if models else None,
    )


def _refuse_foreign(run: Path) -> None:
    """A shared temporary directory lets another user put a directory of that name there first."""
    status = run.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise StartError(
            f"{run} belongs to somebody else; remove it, or set SLUICE_VAR to a shorter path."
        )
    run.chmod(0o700)
