"""Many clusters: each proxy gets its own part, and lets go of a tenant that left."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from proxyconfig.domain import inventory
from proxyconfig.models import Placement, Plan, Revision
from proxyconfig.services import placements, rollout
from proxyconfig.services.reconcile import reconcile
from proxyconfig.targets.local import LocalTarget
from proxyconfig.tests.services.conftest import register
from proxyconfig.tests.services.memory_proxy import record_of
from proxyconfig.tests.services.wishes import both, network, wish, with_egress, with_ingress
from proxyconfig.tests.targets.local_processes import PATIENCE_SECONDS, wait_until
from tenants.domain.states import ChangeState, Health, OperationState, SyncState
from tenants.errors import PermanentError, TransientError
from tenants.models import AuditEntry, Operation, Tenant, platform_scope
from tenants.tests.factories import ClusterFactory

pytestmark = pytest.mark.django_db

ON_B = "127.110.2.1"


@pytest.fixture
def a(memories):
    return ClusterFactory(name="a", flavour="memory")


@pytest.fixture
def b(memories):
    return ClusterFactory(name="b", flavour="memory")


@pytest.fixture
def on_a(acme, a):
    return with_egress(with_ingress(network(acme, a)))


@pytest.fixture
def on_b(acme, b):
    return with_egress(with_ingress(network(acme, b, address=ON_B)))


def look_at(*clusters):
    """One look at the placement on each of the clusters."""
    with platform_scope("test"):
        rows = dict(Placement.objects.values_list("cluster__name", "pk"))
    for cluster in clusters:
        reconcile(rows[cluster.name])


def placed_on():
    with platform_scope("test"):
        return sorted(Placement.objects.values_list("cluster__name", flat=True))


def the(model):
    """The newest row."""
    with platform_scope("test"):
        return model.objects.order_by("-pk").first()


def pause(tenant):
    with platform_scope("test"):
        Tenant.objects.filter(pk=tenant.pk).update(is_paused=True)


def state_of_plan():
    return the(Plan).state


def test_two_clusters_of_one_flavour_get_objects_of_their_own(acme, a, b, memories):
    wish(acme, with_ingress(both(network(acme, a), network(acme, b, address=ON_B))))

    look_at(a)
    assert state_of_plan() == ChangeState.APPLYING
    look_at(b)

    assert memories["a"].names == ["acme", "sluice-acme.http-127-110-1-1-8080"]
    assert memories["b"].names == ["acme", "sluice-acme.http-127-110-2-1-8080"]
    assert state_of_plan() == ChangeState.APPLIED
    operation = the(Operation)
    assert operation.state == OperationState.SUCCEEDED
    assert [step["name"] for step in operation.steps] == [
        "plan",
        "create CaddyServer sluice-acme.http-127-110-1-1-8080 on a",
        "create EgressTenant acme on a",
        "check",
        "plan",
        "create CaddyServer sluice-acme.http-127-110-2-1-8080 on b",
        "create EgressTenant acme on b",
        "check",
    ]


def test_tenant_that_moves_is_removed_where_it_was(acme, a, b, on_a, on_b, memories):
    wish(acme, on_a)
    look_at(a)

    wish(acme, on_b)
    look_at(b)
    assert state_of_plan() == ChangeState.APPLYING
    assert placed_on() == ["a", "b"]
    look_at(a)

    assert memories["a"].names == []
    assert memories["b"].names == ["acme", "sluice-acme.http-127-110-2-1-8080"]
    assert placed_on() == ["b"]
    assert state_of_plan() == ChangeState.APPLIED
    assert the(Operation).state == OperationState.SUCCEEDED
    with platform_scope("test"):
        ended = AuditEntry.objects.get(event="placement.ended")
    assert (ended.tenant_id, ended.object_name) == (acme.pk, "acme on a")


def test_neighbour_on_the_cluster_that_a_tenant_leaves_stays(acme, globex, a, on_a, on_b, memories):
    wish(globex, network(globex, a, address=ON_B))
    wish(acme, on_a)
    with platform_scope("test"):
        pks = list(Placement.objects.values_list("pk", flat=True))
    for pk in pks:
        reconcile(pk)

    wish(acme, on_b)
    with platform_scope("test"):
        leaving = Placement.objects.get(tenant=acme, cluster=a)
    reconcile(leaving.pk)

    assert memories["a"].names == ["globex"]


def test_placement_ends_only_once_the_proxy_has_confirmed(acme, a, on_a, on_b, memories):
    wish(acme, on_a)
    look_at(a)
    wish(acme, on_b)
    foreign = dict(memories["a"].held)
    calls = []

    def put_back(name):
        calls.append(name)
        if calls == ["upkeep", "plan", "apply", "apply", "plan"]:
            memories["a"].held.update(foreign)

    memories["a"].before = put_back
    look_at(a)
    assert placed_on() == ["a", "b"]
    assert state_of_plan() == ChangeState.APPLYING

    look_at(a)
    assert placed_on() == ["b"]
    assert memories["a"].names == []


class KilledError(BaseException):
    """The worker is gone, as after SIGKILL."""


@pytest.mark.parametrize("at", range(1, 7))
def test_worker_killed_while_a_tenant_leaves_is_made_up_for(acme, a, on_a, on_b, memories, at):
    wish(acme, on_a)
    look_at(a)
    wish(acme, on_b)
    calls = []

    def die(name):
        calls.append(name)
        if len(calls) == at:
            raise KilledError

    memories["a"].before = die
    with pytest.raises(KilledError):
        look_at(a)
    memories["a"].before = lambda name: None
    with platform_scope("test"):
        Placement.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert placed_on() == ["a", "b"]

    for pk in placements.due_placements(timezone.now(), 10):
        reconcile(pk)

    assert placed_on() == ["b"]
    assert memories["a"].names == []
    assert state_of_plan() == ChangeState.APPLIED


def test_dead_cluster_keeps_the_placement_that_ends_there(acme, a, b, on_a, on_b, memories):
    wish(acme, on_a)
    look_at(a)
    wish(acme, on_b)

    def be_away(name):
        raise TransientError("gone")

    memories["a"].before = be_away
    look_at(a, b)

    assert placed_on() == ["a", "b"]
    assert memories["b"].names == ["acme", "sluice-acme.http-127-110-2-1-8080"]
    assert state_of_plan() == ChangeState.APPLYING


def test_tenant_that_comes_back_while_its_placement_ends_is_kept(acme, a, b, on_a, on_b, memories):
    wish(acme, on_a)
    look_at(a)
    wish(acme, on_b)
    memories["a"].before = lambda name: name == "probe" and wish(acme, on_a)

    look_at(a)
    memories["a"].before = lambda name: None

    assert placed_on() == ["a", "b"]
    look_at(a, b)
    assert placed_on() == ["a"]
    assert memories["a"].names == ["acme", "sluice-acme.http-127-110-1-1-8080"]
    assert memories["b"].names == []
    assert state_of_plan() == ChangeState.APPLIED


def test_paused_tenant_is_not_removed_and_says_what_it_still_serves(acme, a, on_a, on_b, memories):
    wish(acme, on_a)
    look_at(a)
    pause(acme)
    wish(acme, on_b)

    look_at(a)

    with platform_scope("test"):
        placement = Placement.objects.get(cluster=a)
    assert placement.sync_state == SyncState.PAUSED
    assert [entry["message"] for entry in placement.conditions if entry["type"] == "Paused"] == [
        "Paused: still serving revision 1."
    ]
    assert memories["a"].names == ["acme", "sluice-acme.http-127-110-1-1-8080"]
    assert (placement.observed_generation, placement.attempts) == (1, 0)


def test_paused_before_anything_was_applied(acme, a, on_a, memories):
    pause(acme)
    wish(acme, on_a)

    look_at(a)

    conditions = {entry["type"]: entry["message"] for entry in the(Placement).conditions}
    assert conditions["Paused"] == "Paused: no revision applied yet."
    assert memories["a"].names == []


@pytest.mark.parametrize("document", [{}, {"apiVersion": "sluice/v0"}, [], {"spec": 1}])
def test_revision_that_cannot_be_read_is_a_condition_and_an_attempt(
    acme, a, on_a, memories, document
):
    wish(acme, on_a)
    look_at(a)
    wish(acme, with_ingress(on_a, port=9090))
    with platform_scope("test"):
        Revision.objects.filter(generation=2).update(intent=document)

    look_at(a)

    placement = the(Placement)
    conditions = {entry["type"]: entry for entry in placement.conditions}
    assert conditions["Accepted"]["reason"] == "Invalid"
    assert conditions["Accepted"]["message"].startswith("The current revision cannot be read: ")
    assert (placement.attempts, placement.observed_generation) == (1, 1)
    assert placement.lease_token is None
    assert placement.next_attempt_at > timezone.now()
    assert memories["a"].names == ["acme", "sluice-acme.http-127-110-1-1-8080"]
    assert state_of_plan() == ChangeState.FAILED
    assert the(Operation).state == OperationState.FAILED


def test_long_apply_shows_its_steps_while_it_runs(acme, a, on_a, memories, monkeypatch):
    monkeypatch.setattr(rollout, "WRITE_EVERY_SECONDS", 0.0)
    wish(acme, on_a)
    seen = []

    def remember(name):
        if name == "apply":
            operation = the(Operation)
            steps = [step["name"].partition(" ")[0] for step in operation.steps]
            seen.append((state_of_plan(), operation.state, operation.done, steps))

    memories["a"].before = remember
    look_at(a)

    assert seen == [
        (ChangeState.APPLYING, OperationState.RUNNING, 0, ["plan", "create"]),
        (ChangeState.APPLYING, OperationState.RUNNING, 1, ["plan", "create", "create"]),
    ]
    operation = the(Operation)
    assert (operation.done, operation.attempts) == (2, 1)
    assert {step["state"] for step in operation.steps} == {OperationState.SUCCEEDED}
    assert len(operation.steps) == 4


@pytest.mark.django_db(transaction=True)
def test_ten_updates_cost_few_statements(acme, a, memories):
    held = network(acme, a)
    narrow, wide = held, held
    for port in range(8001, 8011):
        narrow = with_ingress(narrow, port=port, sources=("10.0.0.0/8",))
        wide = with_ingress(wide, port=port)
    wish(acme, narrow)
    look_at(a)
    wish(acme, wide)
    (pk,) = placements.placements_of(acme.pk)
    applied = []
    memories["a"].before = applied.append

    with CaptureQueriesContext(
        connection,
    ) as statements:
        reconcile(pk)

    assert applied.count("apply") == 10
    assert state_of_plan() == ChangeState.APPLIED
    assert len(statements) <= 17, [query["sql"] for query in statements]


@pytest.mark.django_db(transaction=True)
def test_plan_is_applied_when_both_clusters_settle_at_once(acme, a, b, on_a, on_b, memories):
    wish(acme, with_ingress(both(network(acme, a), network(acme, b, address=ON_B))))
    together = threading.Barrier(2)

    def work(pk):
        try:
            reconcile(pk)
        finally:
            connection.close()

    for cluster in (a, b):
        memories[cluster.name].before = lambda name: (
            name == "probe" and together.wait(PATIENCE_SECONDS)
        )
    workers = [
        threading.Thread(target=work, args=(pk,)) for pk in placements.placements_of(acme.pk)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_SECONDS)

    assert state_of_plan() == ChangeState.APPLIED
    operation = the(Operation)
    assert (operation.state, len(operation.steps)) == (OperationState.SUCCEEDED, 8)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("slow", ["upkeep", "plan", "apply", "probe"])
def test_lease_is_kept_through_each_slow_call(acme, on_a, memories, monkeypatch, slow):
    cadence = replace(LocalTarget.cadence, lease_seconds=0.3)
    register(monkeypatch, "memory", memories.__getitem__, cadence=cadence)
    wish(acme, on_a)

    def last_longer_than_the_lease(name):
        if name == slow:
            claimed_until = the(Placement).lease_until
            wait_until(lambda: timezone.now() > claimed_until)
            reconcile(the(Placement).pk)
            calls.append(name)

    calls = []
    memories["a"].before = last_longer_than_the_lease
    reconcile(the(Placement).pk)

    assert calls[0] == slow
    assert len(calls) <= 2
    assert the(Placement).observed_generation == 1
    assert state_of_plan() == ChangeState.APPLIED


def test_inventory_is_kept_with_the_ending_and_handed_back(acme, a, on_a, memories):
    wish(acme, on_a)
    look_at(a)

    held = memories["a"].held
    assert inventory.parse(the(Placement).inventory) == {
        identity: record_of(resource) for identity, resource in held.items()
    }
    look_at(a)
    assert len(memories["a"].inventories[-1]) == len(held) == 2


def test_inventory_of_an_apply_that_broke_off_is_kept(acme, a, on_a, memories):
    wish(acme, on_a)
    calls = []

    def break_off(name):
        calls.append(name)
        if calls == ["upkeep", "plan", "apply", "apply"]:
            raise TransientError("the cluster went away", retry_after_seconds=20)

    memories["a"].before = break_off
    look_at(a)

    placement = the(Placement)
    assert len(placement.inventory) == len(memories["a"].held) == 1
    assert placement.next_attempt_at > timezone.now() + timedelta(seconds=15)


def test_inventory_forgets_what_is_on_neither_side(acme, a, on_a, memories):
    wish(acme, on_a)
    look_at(a)
    gone = ["", "EgressTenant", "", "other", "uid", "sent", "owned", 1]
    with platform_scope("test"):
        Placement.objects.update(inventory=[*the(Placement).inventory, gone])

    look_at(a)

    assert len(the(Placement).inventory) == 2


@pytest.mark.parametrize(
    ("error", "condition"),
    [
        (
            PermanentError("expired", data={"reason": "CredentialRefused"}),
            ("Reachable", "CredentialRefused"),
        ),
        (TransientError("busy", data={"reason": "Throttled"}), ("Reachable", "Throttled")),
        (PermanentError("too old", data={"reason": "KindMissing"}), ("Accepted", "KindMissing")),
    ],
)
def test_reason_that_a_target_gives_is_the_conditions_reason(
    acme, a, on_a, memories, error, condition
):
    wish(acme, on_a)

    def fail(name):
        raise error

    memories["a"].before = fail
    look_at(a)

    found = {(entry["type"], entry["reason"]): entry for entry in the(Placement).conditions}
    assert found[condition]["status"] == "False"


def test_proxy_without_a_verdict_yet_is_progressing_and_asked_again(acme, a, on_a, memories):
    wish(acme, on_a)
    memories["a"].is_pending = True
    look_at(a)

    placement = the(Placement)
    serving = next(entry for entry in placement.conditions if entry["type"] == "Serving")
    assert (serving["status"], serving["reason"]) == ("Unknown", "Pending")
    assert (placement.sync_state, placement.health) == (SyncState.IN_SYNC, Health.PROGRESSING)

    memories["a"].is_pending = False
    look_at(a)

    assert the(Placement).health == Health.HEALTHY
