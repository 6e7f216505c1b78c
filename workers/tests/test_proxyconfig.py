"""The front door's tasks, through the real broker and a real worker."""

import threading

import pytest
import redis
from celery.contrib.testing.worker import start_worker
from django.conf import settings
from django.utils import timezone

from proxyconfig.models import Placement
from proxyconfig.tests.factories import PlacementFactory
from tenants.models import platform_scope
from tenants.tests.factories import ClusterFactory, TenantFactory
from workers.celery import app
from workers.tasks import proxyconfig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("services")]


@pytest.fixture
def queue():
    """The broker, empty before and after."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


def waiting(queue) -> int:
    """How many messages wait, at any priority."""
    return sum(queue.llen(key) for key in queue.keys("default*"))


def test_sweep_sends_one_message_for_each_due_placement_and_no_more(queue):
    for _ in range(3):
        PlacementFactory(tenant=TenantFactory(generation=1))

    assert proxyconfig.sweep() == 3
    assert proxyconfig.sweep() == 0

    assert waiting(queue) == 3


def test_routine_checks_let_a_change_overtake_them(queue):
    PlacementFactory()
    proxyconfig.sweep()
    proxyconfig.reconcile_tenant.delay(1)

    keys = sorted(key.decode() for key in queue.keys("default*"))
    assert [key.partition("\x06")[0] for key in keys] == ["default", "default"]
    assert keys[0] == "default"


def test_worker_does_what_the_sweep_sends(queue):
    # No proxy of this flavour can be kept, which a worker finds out and writes down.
    cluster = ClusterFactory(name="far", flavour="spk")
    placement = PlacementFactory(cluster=cluster, tenant=TenantFactory(generation=1))

    with start_worker(app, perform_ping_check=False, pool="solo", shutdown_timeout=60):
        proxyconfig.sweep.delay()
        checked = wait_for_check(placement.pk)

    assert checked.conditions[0]["reason"] == "Unsupported"


def wait_for_check(pk: int) -> Placement:
    """The placement, once it was looked at."""
    waiting_for = threading.Event()
    until = timezone.now().timestamp() + 60
    while timezone.now().timestamp() < until:
        with platform_scope("test"):
            placement = Placement.objects.get(pk=pk)
        if placement.checked_at:
            return placement
        waiting_for.wait(0.05)
    raise AssertionError("nobody looked at it")
