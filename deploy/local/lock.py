"""`make lock`: compiles ``requirements*.in`` to the pinned ``requirements*.txt``.

pip's own resolver does it, as a dry run: pip-compile loses the dependencies of extras that only a
dependency asks for. What is pinned stays as it is; ``--upgrade`` looks for newer versions.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from deploy.local.layout import REPOSITORY


def main() -> None:
    """Compile both files; the tools must fit what runs."""
    upgrade = "--upgrade" in sys.argv[1:]
    run, dev = REPOSITORY / "requirements.txt", REPOSITORY / "requirements-dev.txt"
    compile_pins(REPOSITORY / "requirements.in", run, constraints=() if upgrade else (run,))
    compile_pins(
        REPOSITORY / "requirements-dev.in", dev, constraints=(run,) if upgrade else (run, dev)
    )


def compile_pins(source: Path, target: Path, *, constraints: tuple[Path, ...]) -> None:
    """Write every package that ``source`` comes to, one pin a line, in order of names.

    Raises:
        CalledProcessError: pip found no set of versions that fits; it has said why.
    """
    limits = [word for file in constraints for word in ("--constraint", str(file))]
    report = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
            *("--quiet", "--disable-pip-version-check", "--report", "-"),
            *("--requirement", str(source), *limits),
        ],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    packages = [item["metadata"] for item in json.loads(report)["install"]]
    target.write_text("".join(sorted(map(_pin, packages), key=_name)))
    print(f"{target.name}: {len(packages)} packages")


def _pin(package: dict[str, str]) -> str:
    """``name==version``; a local version (+cpu) resolves only where that build is offered."""
    name = re.sub(r"[-_.]+", "-", package["name"]).lower()
    return f"{name}=={package['version'].partition('+')[0]}\n"


def _name(pin: str) -> str:
    return pin.partition("==")[0]


if __name__ == "__main__":
    main()
