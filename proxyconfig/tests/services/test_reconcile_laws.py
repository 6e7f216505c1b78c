"""Whatever happens to rows, proxy and workers, in any order: the next looks bring it together."""

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyconfig.domain.target import Footprint
from proxyconfig.models import Placement, Plan
from proxyconfig.services import environment, revisions
from proxyconfig.services.reconcile import reconcile
from proxyconfig.tests.services.local_proxy import SERVERS
from proxyconfig.tests.services.wishes import network, wish, with_egress, with_ingress
from tenants.domain.states import ChangeState, SyncState
from tenants.models import Operation, platform_scope, tenant_scope
from tenants.tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

_numbers = itertools.count(1)


class KilledError(BaseException):
    """The worker is gone, as after SIGKILL."""


class World:
    """A tenant of its own on the shared proxy, and everything that can happen to it."""

    def __init__(self, cluster, proxy, target) -> None:
        self.number = next(_numbers)
        self.proxy, self.target = proxy, target
        self.slug = f"law-{self.number}"
        self.address = f"127.111.1.{self.number}"
        self.tenant, self.cluster = TenantFactory(slug=self.slug), cluster
        self.is_in, self.is_out = False, False
        self.wish_out()

    def wish_in(self) -> None:
        self._wish(is_in=True, is_out=self.is_out)

    def unwish_in(self) -> None:
        self._wish(is_in=False, is_out=self.is_out)

    def wish_out(self) -> None:
        self._wish(is_in=self.is_in, is_out=True)

    def unwish_out(self) -> None:
        self._wish(is_in=self.is_in, is_out=False)

    def _wish(self, *, is_in: bool, is_out: bool) -> None:
        if (is_in, is_out) == (self.is_in, self.is_out):
            return
        self.is_in, self.is_out = is_in, is_out
        snat = f"127.121.1.{self.number}"
        intent = network(self.tenant, self.cluster, address=self.address, snat=snat)
        intent = with_ingress(intent) if is_in else intent
        wish(self.tenant, with_egress(intent) if is_out else intent)

    def remove_server(self) -> None:
        for name in self.proxy.servers():
            if name.startswith(f"sluice-{self.slug}."):
                self.proxy.change_by_hand("DELETE", f"{SERVERS}/{name}")

    def add_server(self) -> None:
        if "foreign" not in self.proxy.servers() and not self.proxy.is_emptied:
            body = {"listen": [f"{self.address}:9090"]}
            self.proxy.change_by_hand("PUT", f"{SERVERS}/foreign", body)

    def empty_caddy(self) -> None:
        if not self.proxy.is_emptied:
            self.proxy.change_by_hand("DELETE", "/config/")

    def forget_egress(self) -> None:
        if self.slug in self.proxy.tenants():
            self.proxy.change_by_hand("DELETE", f"/tenants/{self.slug}")

    def look(self) -> None:
        reconcile(self.placement().pk)

    def look_and_die(self) -> None:
        self.target.calls.clear()

        def die(number: int, name: str) -> None:
            if number == 4:
                raise KilledError

        self.target.before = die
        try:
            self.look()
        except KilledError:
            with platform_scope("test"):
                Placement.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        finally:
            self.target.before = lambda number, name: None

    def placement(self) -> Placement:
        with platform_scope("test"):
            return Placement.objects.select_related("tenant").get(tenant=self.tenant)


EVENTS = sorted(name for name in vars(World) if not name.startswith("_") and name != "placement")


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=st.lists(st.sampled_from(EVENTS), max_size=8))
def test_two_quiet_looks_bring_proxy_and_rows_together(cluster, interrupted, local_proxy, events):
    world = World(cluster, local_proxy, interrupted)
    for event in events:
        getattr(world, event)()

    world.look()
    world.look()

    placement = world.placement()
    with tenant_scope(world.tenant.pk):
        intent = revisions.current(world.tenant).intent
        states = set(Plan.objects.values_list("state", flat=True))
        open_work = list(Operation.objects.filter(ended_at__isnull=True))
    wanted = environment.compile_for(cluster, intent, tenant=world.tenant)
    footprint = Footprint(world.slug, (world.address,))
    assert interrupted.observe(footprint) == wanted, events
    assert placement.sync_state == SyncState.IN_SYNC
    assert placement.observed_generation == placement.tenant.generation
    assert placement.lease_token is None
    assert (placement.drift_count > 0) is (placement.drift_healed_at is not None)
    assert states <= {ChangeState.APPLIED, ChangeState.SUPERSEDED}
    assert open_work == []
