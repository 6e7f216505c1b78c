"""What every test stands on: real PostgreSQL and Redis of the session's own, and the application
role.

The addresses are decided while this file is imported, before Django reads its settings and before
any other conftest imports a model; the servers start with the first test that needs them. Tests run
as ``sluice_app``, which owns nothing: as the owner or a superuser they would prove nothing about
row-level security.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
from django.core.management import call_command
from django.db import connections

from deploy.local import convert_model
from deploy.local.install import BROWSERS
from deploy.local.private_services import PrivateServices
from tests.envtest import kube_namespace, kube_server

__all__ = ["kube_namespace", "kube_server"]

_SERVICES = PrivateServices()
os.environ.update(_SERVICES.env)
os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings_test"
django.setup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless FULL=1 asks for it."""
    if os.environ.get("FULL") == "1":
        return
    skip = pytest.mark.skip(reason="takes minutes; run `make test FULL=1`")
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(skip)


def pytest_unconfigure() -> None:
    """The end of the session, however it ends."""
    _SERVICES.stop()


@pytest.fixture(scope="session")
def services() -> PrivateServices:
    """PostgreSQL and Redis, started: what a test that needs only Redis asks for."""
    _SERVICES.start()
    return _SERVICES


@pytest.fixture(scope="session")
def django_db_setup(services, django_test_environment, django_db_blocker) -> Iterator[None]:
    """The schema in the session's own database, made by the owner as in production."""
    with django_db_blocker.unblock():
        call_command("migrate", database="owner", interactive=False, verbosity=0)
        connections["owner"].close()
        # Transactional tests empty the tables afterwards, which the application role may not.
        # On the class, since Django opens other connections under Playwright's event loop.
        operations = type(connections["default"].ops)
        operations.execute_sql_flush = lambda self, statements: _empty(services)
    yield
    with django_db_blocker.unblock():
        connections.close_all()


def _empty(services: PrivateServices) -> None:
    """Every table as the migrations leave it."""
    services.empty_tables()
    with connections["default"].cursor() as cursor:
        cursor.execute("INSERT INTO tenants_vrf (name, description) VALUES ('default', '')")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; a test that needs one is skipped where there is none."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip(
        "no Chromium on this machine: install the package `chromium`, or run `make test` as root"
    )


@pytest.fixture(scope="session")
def generator_model() -> Path:
    """The folder of SmolLM2-135M-Instruct; converted on first use, in a process of its own, and
    kept.
    """
    target = Path(os.environ["SLUICE_GENERATOR"])
    if not convert_model.is_converted(target):
        subprocess.run(
            [sys.executable, "-m", "deploy.local.convert_model", str(target)], check=True
        )
    return target
