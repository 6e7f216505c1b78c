"""What holds for all of the code: names of rooms, sizes, task names, and no path of one machine."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from celery.schedules import schedule
from django.conf import settings

from tenants import wake
from workers.celery import app

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("deploy", "portal", "workers", "ragapp", "proxyconfig", "tenants", "benchmarks")
FORBIDDEN_ROOMS = {"utils", "util", "helpers", "helper", "common", "core", "misc"}
LONGEST_MODULE = 600
LONGEST_FUNCTION = 60
# Written so that the pattern does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|Users|root|work)/[A-Za-z.]")


def tracked(*suffixes: str) -> list[Path]:
    """The project's own files: what git would put into a commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = (ROOT / name for name in listed.split("\0") if name)
    return [file for file in files if file.suffix in suffixes and file.is_file()]


def product_modules() -> list[Path]:
    return [
        file
        for file in tracked(".py")
        if file.relative_to(ROOT).parts[0] in PRODUCT
        and not {"tests", "migrations"} & set(file.relative_to(ROOT).parts)
    ]


def test_no_room_has_a_name_that_says_nothing():
    named = {file.relative_to(ROOT).with_suffix("") for file in tracked(".py")}

    assert [str(path) for path in sorted(named) if FORBIDDEN_ROOMS & set(path.parts)] == []


def test_no_module_is_too_long():
    long = {
        str(file.relative_to(ROOT)): count
        for file in tracked(".py")
        if "migrations" not in file.parts
        and (count := len(file.read_text().splitlines())) > LONGEST_MODULE
    }

    assert long == {}


def test_no_function_is_too_long():
    long = [
        f"{file.relative_to(ROOT)}:{node.name}"
        for file in product_modules()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]

    assert long == []


def test_each_module_says_what_it_owns():
    silent = [
        str(file.relative_to(ROOT))
        for file in product_modules()
        if file.read_text().strip() and ast.get_docstring(ast.parse(file.read_text())) is None
    ]

    assert silent == []


@pytest.fixture(scope="module")
def registered() -> set[str]:
    app.loader.import_default_modules()
    return {name for name in app.tasks if not name.startswith("celery.")}


def names_sent() -> set[str]:
    """Task names in ``tenants/wake.py``, and literals that are sent by name elsewhere."""
    constants = {
        value for name, value in vars(wake).items() if name.isupper() and isinstance(value, str)
    }
    called = re.compile(r"\b(?:send_task|wake\.send|send)\(\s*\"([a-z]+\.[a-z_]+)\"")
    literals = {name for file in product_modules() for name in called.findall(file.read_text())}
    return constants | literals


def test_each_task_that_is_sent_by_name_is_registered(registered):
    assert names_sent() != set()
    assert names_sent() - registered == set()


def test_each_task_that_beat_sends_is_registered(registered):
    entries = app.conf.beat_schedule

    assert entries
    assert {entry["task"] for entry in entries.values()} - registered == set()
    assert all(isinstance(entry["schedule"], int | float | schedule) for entry in entries.values())


def test_each_route_is_of_a_registered_task(registered):
    assert set(settings.CELERY_TASK_ROUTES) - registered == set()


def test_tasks_are_named_for_their_app(registered):
    own = {name for name in registered if name.partition(".")[0] in PRODUCT}

    assert [name for name in sorted(own) if not re.fullmatch(r"[a-z]+\.[a-z_]+", name)] == []


def test_no_file_holds_a_path_of_one_machine():
    suffixes = (
        ".py",
        ".md",
        ".toml",
        ".html",
        ".css",
        ".js",
        ".txt",
        ".in",
        ".yaml",
        ".yml",
        ".sh",
    )
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in [*tracked(*suffixes), ROOT / "Makefile"]
        if file.exists()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]

    assert found == []
