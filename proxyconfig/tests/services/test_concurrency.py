"""Many writers at once: no deadlock, no 5xx, and each answer says what became of the request."""

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from proxyconfig.domain import holdings, objects
from proxyconfig.domain.intent import Segment, SnatPool, VirtualAddress, VlanLink
from proxyconfig.models import Placement, Plan
from proxyconfig.services import allocate, decisions, plans, reconcile, revisions
from proxyconfig.services.rows import build_intent
from proxyconfig.tests.holding import publish
from proxyconfig.tests.services.rivals import clashing, in_a_thread
from proxyconfig.tests.targets.local_processes import wait_until
from tenants import locks
from tenants.domain.roles import Role
from tenants.domain.states import ChangeState
from tenants.locks import Level, LockOrderError
from tenants.models import (
    AuditEntry,
    Operation,
    Tenant,
    VlanClaim,
    VlanGrant,
    platform_scope,
    tenant_scope,
)
from tenants.services import operations
from tenants.services.claim_kinds import KINDS
from tenants.tests.factories import (
    AddressPoolFactory,
    ApiTokenFactory,
    ClusterFactory,
    NamespaceGrantFactory,
    OperationFactory,
    PrefixGrantFactory,
    TenantFactory,
    VlanGrantFactory,
    VlanRangeFactory,
)
from tenants.tests.people import Person, person

IS_FULL = os.environ.get("FULL") == "1"
SEQUENTIAL = 100 if IS_FULL else 40
PARALLEL = 16
CALLERS = 64 if IS_FULL else 32
# When everything is due and every worker has been silent for too long.
LATER = timedelta(minutes=5)
SLUGS = ("t0", "t1", "t2")


@pytest.fixture
def deadlocks(services) -> Callable[[], int]:
    """How many deadlocks PostgreSQL has logged since the test began."""
    services.start()
    begun = services.postgres_log.stat().st_size

    def count() -> int:
        with services.postgres_log.open("rb") as log:
            log.seek(begun)
            return log.read().count(b"deadlock detected")

    return count


def tenants_that_share(memory_cluster) -> dict[str, list[Client]]:
    """Three tenants, each with the clients of an author and of an approver."""
    vlans = VlanRangeFactory(cluster=memory_cluster, first=100, last=999)
    pool = AddressPoolFactory(prefix="127.110.4.0/24")
    clients: dict[str, list[Client]] = {}
    for slug in SLUGS:
        tenant = TenantFactory(slug=slug)
        VlanGrantFactory(tenant=tenant, vlan_range=vlans)
        PrefixGrantFactory(tenant=tenant, pool=pool)
        NamespaceGrantFactory(tenant=tenant, cluster=memory_cluster, pattern=f"{slug}-*")
        people = (person(f"{name}-{slug}", tenant, Role.NETOPS) for name in ("ann", "eve"))
        clients[slug] = [who.client for who in people]
        own = f"127.110.5.{len(clients)}"
        publish(tenant, SnatPool(name="default", cluster=memory_cluster.name, addresses=(own,)))
    return clients


@pytest.fixture
def memory_cluster(transactional_db, memories):
    return ClusterFactory(name="memory", flavour="memory")


@contextmanager
def busy() -> Iterator[list[BaseException]]:
    """Workers that sweep and reconcile for as long as the block runs; what they raised."""
    has_ended, raised = threading.Event(), []

    def work() -> None:
        while not has_ended.is_set():
            try:
                for placement in reconcile.due_placements(timezone.now() + LATER, 50):
                    reconcile.reconcile(placement)
                operations.sweep_stale(timezone.now() + LATER)
                decisions.expire(timezone.now())
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test has to know
                raised.append(error)
                return

    threads = [threading.Thread(target=in_a_thread, args=(work,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield raised
    finally:
        has_ended.set()
        for thread in threads:
            thread.join()


def send(client: Client, method: str, path: str, body: dict) -> tuple[int, object]:
    answer = getattr(client, method)(path, body, content_type="application/json")
    return answer.status_code, answer.json() if answer.content else None


class Writer:
    """One of several who write whatever comes to their mind, by REST."""

    def __init__(self, clients: dict[str, list[Client]], number: int) -> None:
        self._random = random.Random(number)
        self._number = number
        self._clients = clients

    def write(self) -> tuple[int, object]:
        slug = self._random.choice(SLUGS)
        self._base = f"/api/v1/tenants/{slug}"
        self._author, self._approver = self._clients[slug]
        kinds = (self.segment, self.segment, self.policy, self.open_wide, self.snat, self.decide)
        return self._random.choice(kinds)()

    def segment(self) -> tuple[int, object]:
        return self._post(
            "segments", {"name": f"s{self._number}", "cluster": "memory", "vlan_tag": "next"}
        )

    def snat(self) -> tuple[int, object]:
        return self._post(
            "snat-pools",
            {"name": f"p{self._number}", "cluster": "memory", "addresses": ["next"]},
        )

    def policy(self) -> tuple[int, object]:
        rules = [{"host": "docs.example.org", "ports": [443]}]
        return self._policy(f"e{self._number}", rules)

    def open_wide(self) -> tuple[int, object]:
        rules = [{"network": "0.0.0.0/0", "ports": [443]}]
        return self._policy(f"w{self._number}", rules)

    def decide(self) -> tuple[int, object]:
        found = self._author.get(f"{self._base}/plans?state=AwaitingApproval").json()["results"]
        if not found:
            return self.open_wide()
        plan = self._random.choice(found)["id"]
        how = self._random.choice(("approve", "refuse", "cancel"))
        return send(
            self._approver, "post", f"{self._base}/plans/{plan}/{how}", {"comment": "looked"}
        )

    def _policy(self, name: str, rules: list[dict]) -> tuple[int, object]:
        return self._post("egress-policies", {"name": name, "rules": rules, "snat_pool": "default"})

    def _post(self, collection: str, body: dict) -> tuple[int, object]:
        return send(self._author, "post", f"{self._base}/{collection}", {**body, "reason": "x"})


def check_answers(answers: list[tuple[int, object]]) -> None:
    for status, body in answers:
        assert status < 500, body
        assert status < 400 or body["detail"], (status, body)
    statuses = Counter(status for status, _ in answers)
    assert statuses[201] > len(answers) / 3, statuses
    assert statuses[202] > 3, statuses


def check_rows() -> None:
    """Rows say what the revisions say, and claims what the rows say."""
    with platform_scope("test"):
        tenants = list(Tenant.objects.all())
    for tenant in tenants:
        with tenant_scope(tenant.pk):
            rows = build_intent(tenant)
            assert rows == revisions.current(tenant).intent
            claims = {kind.read(row) for kind in KINDS for row in kind.own(tenant, None)}
            assert claims == holdings.claims(rows)


@pytest.mark.django_db(transaction=True)
def test_mixed_writes_beside_busy_workers(memory_cluster, deadlocks):
    clients = tenants_that_share(memory_cluster)

    with busy() as raised:
        one_by_one = [Writer(clients, number).write() for number in range(SEQUENTIAL)]
        writers = [Writer(clients, 1000 + number) for number in range(PARALLEL)]
        with ThreadPoolExecutor(PARALLEL) as pool:
            at_once = list(pool.map(in_a_thread, [writer.write for writer in writers]))

    assert raised == []
    check_answers([*one_by_one, *at_once])
    check_rows()
    assert deadlocks() == 0


@pytest.mark.django_db(transaction=True)
def test_parallel_callers_of_one_tenant_get_distinct_tags(memory_cluster, deadlocks):
    """``next`` by the services, each claimed by a plan of its own; half of them wait."""
    tenant = TenantFactory(slug="t0")
    VlanGrantFactory(
        tenant=tenant, vlan_range=VlanRangeFactory(cluster=memory_cluster, first=100, last=999)
    )
    ann = person("ann", tenant, Role.NETOPS)

    def take(number: int) -> int:
        values = {"cluster": "memory", "trunk": "1.1", "vlan_tag": "next", "subnets": []}
        with ann.acting() as actor, allocate.locked(tenant):
            tag = allocate.fill(tenant, "segments", values)["vlan_tag"]
            segment = Segment(
                name=f"s{number}", cluster="memory", vlan=VlanLink(interface="1.1", tag=tag)
            )
            mine = Tenant.objects.get(pk=tenant.pk)
            plans.propose(
                mine, lambda intent: objects.put(intent, segment), actor=actor, reason="x"
            )
        return tag

    with ThreadPoolExecutor(16) as pool:
        tags = list(pool.map(lambda number: in_a_thread(lambda: take(number)), range(CALLERS)))

    assert len(set(tags)) == CALLERS
    with platform_scope("test"):
        assert {claim.tag for claim in VlanClaim.objects.all()} == set(tags)
    check_rows()
    assert deadlocks() == 0


@pytest.mark.django_db(transaction=True)
def test_parallel_edits_that_wait_hold_distinct_tags(memory_cluster, settings, deadlocks):
    settings.QUOTA_DEFAULTS = {**settings.QUOTA_DEFAULTS, "change-sets": None}
    tenant = TenantFactory(slug="t0", auto_apply=False)
    VlanGrantFactory(
        tenant=tenant, vlan_range=VlanRangeFactory(cluster=memory_cluster, first=100, last=999)
    )
    token = ApiTokenFactory(tenant=tenant, key="slc_t0")
    assert token.pk

    def take(number: int) -> tuple[int, object]:
        answer = Client().post(
            "/api/v1/tenants/t0/segments",
            {"name": f"s{number}", "cluster": "memory", "vlan_tag": "next", "reason": "x"},
            content_type="application/json",
            headers={"Authorization": "Bearer slc_t0"},
        )
        return answer.status_code, answer.json()

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda number: in_a_thread(lambda: take(number)), range(PARALLEL)))

    assert {status for status, _ in answers} == {202}, answers
    with platform_scope("test"):
        held = list(VlanClaim.objects.exclude(plan=None))
    assert len({claim.tag for claim in held}) == PARALLEL
    assert len({claim.plan_id for claim in held}) == PARALLEL
    assert deadlocks() == 0


# Deadlocks with somebody who locks in the wrong order.


@pytest.fixture
def waiting(memory_cluster) -> tuple[Person, Person, Plan]:
    """An author, an approver, and a plan of the author's that waits."""
    tenant = TenantFactory(slug="t0")
    address = VirtualAddress(address="127.110.4.1", cluster="memory")
    publish(tenant, address)
    with platform_scope("test"):
        Tenant.objects.filter(pk=tenant.pk).update(auto_apply=False)
    ann, eve = (person(name, tenant, Role.NETOPS) for name in ("ann", "eve"))
    with ann.acting() as actor:
        wider = VirtualAddress(address="127.110.4.1", cluster="memory", description="wider")
        plan = plans.propose(
            tenant, lambda intent: objects.put(intent, wider), actor=actor, reason="x"
        )
    assert plan.state == ChangeState.AWAITING_APPROVAL
    return ann, eve, plan


def wrong_order(tenant: Tenant) -> dict[str, tuple[str, int]]:
    """A placement first, then its tenant."""
    with platform_scope("test"):
        placement = Placement.objects.get(tenant=tenant)
    return {
        "first": (Placement._meta.db_table, placement.pk),
        "then": (Tenant._meta.db_table, tenant.pk),
    }


def audited(event: str, who: Person) -> int:
    with platform_scope("test"):
        return AuditEntry.objects.filter(event=event, actor=who.user.username).count()


@pytest.mark.django_db(transaction=True)
def test_rest_request_that_loses_a_deadlock_succeeds(services, waiting, deadlocks):
    _, eve, plan = waiting
    path = f"/api/v1/tenants/t0/plans/{plan.pk}/approve"

    with clashing(services.superuser_url, 1, **wrong_order(eve.tenant)) as rival:
        status, body = send(eve.client, "post", path, {"comment": "looked at it"})

    assert (status, body["state"]) == (202, "Approved"), body
    assert rival.deadlocks == deadlocks() == 1
    assert audited("plan.approved", eve) == 1
    check_rows()


@pytest.mark.django_db(transaction=True)
def test_page_that_loses_two_deadlocks_succeeds_and_says_so_once(services, waiting, deadlocks):
    ann, _, plan = waiting
    path = reverse("proxyconfig:plan-cancel", args=["t0", plan.pk])

    with clashing(services.superuser_url, 2, **wrong_order(ann.tenant)):
        answer = ann.client.post(path, "", content_type="application/x-www-form-urlencoded")

    assert answer.status_code == 302
    assert deadlocks() == 2
    assert audited("plan.cancelled", ann) == 1
    with tenant_scope(ann.tenant.pk):
        assert Plan.objects.get(pk=plan.pk).state == ChangeState.CANCELLED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_adopted", [False, True])
def test_platform_page_that_loses_two_deadlocks_succeeds(services, acme, deadlocks, is_adopted):
    """Adopted, the range's own update is ended: inside of what puts refusals into words."""
    ada = person("ada", acme, None, is_superuser=True)
    row = VlanRangeFactory(cluster=ClusterFactory(), first=100, last=199)
    grant = VlanGrantFactory(
        cluster=row.cluster, first=100, last=199, vlan_range=row if is_adopted else None
    )
    tables = {"first": (VlanGrant._meta.db_table, grant.pk), "then": (row._meta.db_table, row.pk)}
    said = {"name": "wider", "cluster": row.cluster.name, "trunk": "1.1", "first": 100, "last": 299}
    path = reverse("tenants:space-edit", args=["vlan-ranges", row.pk])

    with clashing(services.superuser_url, 2, **tables):
        answer = ada.client.post(
            path, urlencode(said), content_type="application/x-www-form-urlencoded"
        )

    assert answer.status_code == 302, answer.context["form"].errors
    assert deadlocks() == 2
    assert audited("vlan-range.changed", ada) == 1
    row.refresh_from_db()
    assert (row.name, row.last) == ("wider", 299)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("door", ["rest", "page"])
def test_third_deadlock_in_a_row_is_a_503(services, waiting, deadlocks, door):
    ann, _, plan = waiting
    paths = {
        "rest": f"/api/v1/tenants/t0/plans/{plan.pk}/cancel",
        "page": reverse("proxyconfig:plan-cancel", args=["t0", plan.pk]),
    }
    kinds = {"rest": ("{}", "application/json"), "page": ("", "application/x-www-form-urlencoded")}
    body, kind = kinds[door]

    with clashing(services.superuser_url, 3, **wrong_order(ann.tenant)):
        answer = ann.client.post(paths[door], body, content_type=kind)

    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert b"nothing was saved" in answer.content
    assert deadlocks() == 3
    assert audited("plan.cancelled", ann) == 0


@pytest.mark.django_db(transaction=True)
def test_upload_is_not_kept_for_another_try(services, waiting, deadlocks):
    ann, _, plan = waiting
    path = reverse("proxyconfig:plan-cancel", args=["t0", plan.pk])

    with clashing(services.superuser_url, 1, **wrong_order(ann.tenant)):
        answer = ann.client.post(path, {"any": "field"})  # multipart/form-data

    assert answer.status_code == 503
    assert deadlocks() == 1


# The order itself.


def test_placement_before_its_tenant_is_a_defect(acme, network):
    with platform_scope("test"):
        locks.rows(Level.PLACEMENT, Placement.objects.filter(tenant=acme))
        with pytest.raises(LockOrderError):
            locks.tenant(acme.pk)


def test_plan_after_an_operation_is_a_defect(acme, network):
    operation = OperationFactory(tenant=acme)

    with platform_scope("test"):
        locks.rows(Level.OPERATION, Operation.objects.filter(pk=operation.pk))
        with pytest.raises(LockOrderError):
            locks.rows(Level.PLAN, Plan.objects.filter(tenant=acme))


def test_edit_of_a_second_tenant_in_one_transaction_is_a_defect(alice, charlie, network):
    publish(charlie.tenant, VirtualAddress(address="127.110.9.9", cluster="local"))
    nothing = {"actor": alice.actor, "reason": "x"}

    with platform_scope("test"):
        plans.propose(charlie.tenant, lambda intent: intent, **nothing)
        with pytest.raises(LockOrderError):
            plans.propose(alice.tenant, lambda intent: intent, **nothing)


@pytest.mark.django_db(transaction=True)
def test_sweep_leaves_an_operation_that_somebody_holds(acme):
    old = timezone.now() - timedelta(hours=1)
    rows = [OperationFactory(tenant=acme, state="Running", heartbeat_at=old) for _ in range(2)]
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with platform_scope("test"):
            locks.rows(Level.OPERATION, Operation.objects.filter(pk=rows[0].pk))
            is_held.set()
            may_end.wait(30)

    thread = threading.Thread(target=in_a_thread, args=(hold,))
    thread.start()
    wait_until(is_held.is_set)
    swept = operations.sweep_stale(timezone.now())
    may_end.set()
    thread.join()

    assert swept.requeued == 1
