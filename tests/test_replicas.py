"""Limits with three portal processes behind one database, under more load than they allow."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

from ragapp.models import Run
from ragapp.tests.api.test_runs import keys
from tenants.domain.quota import Resource
from tenants.models import platform_scope, tenant_scope
from tenants.models.quota import QuotaUse
from tenants.tests.factories import QuotaFactory
from tenants.tests.people import acme, alice, charlie, cluster, globex
from tests.e2e.conftest import free_port

__all__ = ["acme", "alice", "charlie", "cluster", "globex", "keys"]

REPLICAS = 3
A_SECOND = 100
LIMIT = 90


@contextmanager
def replica() -> Iterator[str]:
    """A portal process of its own, as it is deployed; its base URL."""
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "uvicorn", "portal.asgi:application", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], env=os.environ)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(30)


def ready(url: str) -> None:
    for _ in range(300):
        try:
            if httpx2.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    pytest.fail(f"{url} did not come up within 30 s")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("seconds", [2, pytest.param(90, marks=pytest.mark.full)])
def test_requests_are_never_admitted_beyond_the_limit(acme, keys, seconds):
    QuotaFactory(tenant=acme, resource=Resource.REQUESTS_PER_MINUTE, limit=LIMIT)
    # No worker takes the questions from the queue.
    QuotaFactory(tenant=acme, resource=Resource.CONCURRENT_RUNS, limit=None)
    QuotaFactory(tenant=acme, resource=Resource.TOKENS_PER_DAY, limit=None)
    headers = {"Authorization": f"Bearer {keys['acme']}"}

    with ExitStack() as stack:
        urls = [stack.enter_context(replica()) for _ in range(REPLICAS)]
        for url in urls:
            ready(url)
        client = stack.enter_context(httpx2.Client(headers=headers, timeout=60))
        begun = time.monotonic()

        def ask(number: int) -> int:
            time.sleep(max(0.0, begun + number / A_SECOND - time.monotonic()))
            url = f"{urls[number % REPLICAS]}/api/v1/tenants/acme/runs"
            return client.post(url, json={"question": f"What is {number}?"}).status_code

        with ThreadPoolExecutor(24) as users:
            told = Counter(users.map(ask, range(seconds * A_SECOND)))

    counted = Resource.REQUESTS_PER_MINUTE.value
    with platform_scope("test"):
        windows = QuotaUse.objects.filter(tenant=acme, token=None, resource=counted)
        used = list(windows.values_list("used", flat=True))
    with tenant_scope(acme.pk):
        runs = Run.objects.count()
    assert set(told) == {202, 429}
    assert told[202] == runs == sum(used)
    assert max(used) == LIMIT
