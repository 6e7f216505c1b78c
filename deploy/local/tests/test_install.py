import io
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from deploy.local import install
from deploy.local.console import Console
from deploy.local.errors import StartError
from deploy.local.install import Environment, RequirementSet


@pytest.fixture
def console():
    return Console(io.StringIO())


@pytest.fixture
def environment(tmp_path, console):
    """A virtual environment that borrows pip from the one that runs the tests."""
    folder = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site_packages(folder).joinpath("borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return Environment(folder, log=tmp_path / "install.log", console=console)


def site_packages(folder: Path) -> Path:
    return next((folder / "lib").glob("python3.*/site-packages"))


def requirements(tmp_path, text: str) -> RequirementSet:
    """A set of its own in a file."""
    file = tmp_path / "requirements.txt"
    file.write_text(text)
    return RequirementSet("packages", file)


def wheel(tmp_path, name: str) -> str:
    """A requirement line for a small package that pip can install without the network."""
    file = tmp_path / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", "answer = 42\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return f"{name} @ {file.as_uri()}\n"


def test_requirements_are_installed_once(environment, tmp_path):
    wanted = requirements(tmp_path, wheel(tmp_path, "answer"))

    environment.install(wanted)
    installed = site_packages(environment.folder) / "answer.py"
    assert installed.exists()
    installed.unlink()
    environment.install(wanted)

    assert not installed.exists(), "pip ran again though the stamp names these requirements"


def test_changed_requirements_are_installed(environment, tmp_path):
    environment.install(requirements(tmp_path, wheel(tmp_path, "answer")))

    environment.install(requirements(tmp_path, wheel(tmp_path, "question")))

    assert (site_packages(environment.folder) / "question.py").exists()


def test_half_finished_install_is_finished(environment, tmp_path):
    wanted = requirements(tmp_path, wheel(tmp_path, "answer"))
    environment.install(wanted)
    # As after a kill in the middle of pip: a file is missing, the metadata is there, no stamp.
    (site_packages(environment.folder) / "answer.py").unlink()
    (environment.folder / ".installed-packages").unlink()
    (environment.folder / ".unfinished").touch()

    environment.install(wanted)

    assert (site_packages(environment.folder) / "answer.py").exists()
    assert not (environment.folder / ".unfinished").exists()


def test_no_network_is_said_in_one_sentence(environment, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")

    with pytest.raises(StartError, match=r"^No network: pip could not reach the package index"):
        environment.install(requirements(tmp_path, "sluice-has-no-such-dependency==1.0\n"))

    assert not (environment.folder / ".installed-packages").exists()


def test_other_failures_show_the_end_of_pips_log(environment, tmp_path):
    with pytest.raises(StartError, match=r"pip could not install the requirements"):
        environment.install(requirements(tmp_path, "not a requirement !\n"))


def test_broken_environment_is_made_anew(tmp_path, console):
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("#!/nonexistent\n")
    (folder / "bin" / "python").chmod(0o755)

    Environment(folder, log=tmp_path / "install.log", console=console).create()

    subprocess.run([folder / "bin" / "python", "-c", "import pip"], check=True)


def test_every_requirement_is_pinned():
    for requirement_set in (*install.RUN, *install.DEV):
        lines = [
            line
            for line in requirement_set.file.read_text().splitlines()
            if line and not line.startswith("#")
        ]

        assert [line for line in lines if "==" not in line or "+" in line] == []
        assert requirement_set.count() == len(lines)
