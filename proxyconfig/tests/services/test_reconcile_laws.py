"""Whatever happens to rows, proxy and workers, in any order: the next looks bring it together."""

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyconfig.domain.target import Footprint
from proxyconfig.models import EgressPolicy, IngressPolicy, Placement, Plan
from proxyconfig.services import environment, policies, revisions
from proxyconfig.services.reconcile import reconcile
from proxyconfig.tests.services.drafts import egress, ingress
from proxyconfig.tests.services.local_proxy import SERVERS
from tenants.domain.actor import Actor
from tenants.domain.states import ChangeState, SyncState
from tenants.models import Operation, platform_scope, tenant_scope
from tenants.tests.factories import (
    NamespaceFactory,
    SnatAddressFactory,
    TenantFactory,
    VirtualAddressFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = Actor(name="alice")
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
        self.tenant = TenantFactory(slug=self.slug)
        here = {"tenant": self.tenant, "cluster": cluster}
        NamespaceFactory(**here, name=f"{self.slug}-rag")
        VirtualAddressFactory(**here, address=self.address)
        SnatAddressFactory(**here, address=f"127.121.1.{self.number}")
        self.wish_out()

    def wish_in(self) -> None:
        with tenant_scope(self.tenant.pk):
            if IngressPolicy.objects.exists():
                return
            draft = ingress(virtual_address=self.address, namespace=f"{self.slug}-rag")
            policies.save_ingress(self.tenant, draft, actor=ACTOR, reason="in")

    def unwish_in(self) -> None:
        with tenant_scope(self.tenant.pk):
            if policy := IngressPolicy.objects.first():
                policies.delete_ingress(policy, actor=ACTOR, reason="no in")

    def wish_out(self) -> None:
        with tenant_scope(self.tenant.pk):
            if not EgressPolicy.objects.exists():
                policies.save_egress(self.tenant, egress(), actor=ACTOR, reason="out")

    def unwish_out(self) -> None:
        with tenant_scope(self.tenant.pk):
            if policy := EgressPolicy.objects.first():
                policies.delete_egress(policy, actor=ACTOR, reason="no out")

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
        intent = revisions.current_intent(world.tenant)
        states = set(Plan.objects.values_list("state", flat=True))
        open_work = list(Operation.objects.filter(ended_at__isnull=True))
    wanted = environment.compile_for("interrupted", intent, tenant_id=world.tenant.pk)
    footprint = Footprint(world.slug, (world.address,))
    assert interrupted.observe(footprint) == wanted, events
    assert placement.sync_state == SyncState.IN_SYNC
    assert placement.observed_generation == placement.tenant.generation
    assert placement.lease_token is None
    assert (placement.drift_count > 0) is (placement.drift_healed_at is not None)
    assert states <= {ChangeState.APPLIED, ChangeState.SUPERSEDED}
    assert open_work == []
