"""Reconciling with the real Caddy and the real egress proxy."""

import socket
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain.conditions import Reason
from proxyconfig.models import Placement, Plan, Revision
from proxyconfig.services.look import BACKOFF_CAP_SECONDS, backoff
from proxyconfig.services.reconcile import reconcile
from proxyconfig.targets.local import LocalTarget
from proxyconfig.tests.conftest import ADDRESS
from proxyconfig.tests.factories import PlacementFactory
from proxyconfig.tests.services.local_proxy import SERVERS, get
from proxyconfig.tests.services.wishes import network, wish, with_egress, with_ingress
from tenants.domain.states import ChangeState, Health, OperationState, SyncState
from tenants.models import AuditEntry, Operation, Tenant, platform_scope
from tenants.tests.factories import ClusterFactory

pytestmark = pytest.mark.django_db

OTHER_ADDRESS = "127.110.2.1"
SERVER = f"sluice-acme.http-{ADDRESS.replace('.', '-')}-8080"


def placement_of(tenant: Tenant) -> Placement:
    """The tenant's only placement as it is now."""
    with platform_scope("test"):
        return Placement.objects.select_related("tenant").get(tenant=tenant)


def conditions_of(placement: Placement) -> dict[str, tuple[str, str]]:
    """Status and reason by type."""
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in placement.conditions}


def message_of(placement: Placement, kind: str) -> str:
    """The message of one condition."""
    return next(entry["message"] for entry in placement.conditions if entry["type"] == kind)


@pytest.fixture
def held(acme, cluster):
    """The intent of acme before any policy."""
    return network(acme, cluster)


@pytest.fixture
def opened(acme, held, local_proxy) -> Revision:
    """Acme with an ingress policy that is on the proxy."""
    revision = wish(acme, with_ingress(held))
    reconcile(placement_of(acme).pk)
    return revision


def test_policy_opens_the_tenants_address_and_no_other(acme, globex, held, cluster, local_proxy):
    wish(globex, network(globex, cluster, address=OTHER_ADDRESS))
    assert get(ADDRESS) == 0

    wish(acme, with_ingress(held))
    reconcile(placement_of(acme).pk)

    answer = get(ADDRESS)
    assert (answer["x-sluice-tenant"], answer["x-sluice-rule"]) == ("acme", "acme/web-0")
    assert get(OTHER_ADDRESS) == 0
    assert local_proxy.tenants() == ["acme"]


def test_source_outside_the_allow_list_is_turned_away_by_the_proxy(acme, held, local_proxy):
    wish(acme, with_ingress(held, sources=("10.0.0.0/8",)))
    reconcile(placement_of(acme).pk)

    assert get(ADDRESS) == 403


def test_conditions_plan_and_operation_tell_the_end(acme, opened):
    placement = placement_of(acme)

    assert conditions_of(placement) == {
        "Accepted": ("True", "Valid"),
        "Programmed": ("True", "Programmed"),
        "Drifted": ("False", "NoDrift"),
        "Reachable": ("True", "Connected"),
        "Serving": ("True", "Answering"),
    }
    assert (placement.observed_generation, placement.attempts) == (1, 0)
    assert (placement.sync_state, placement.health) == (SyncState.IN_SYNC, Health.HEALTHY)
    assert placement.lease_token is None
    assert placement.applied_hash
    with platform_scope("test"):
        assert Plan.objects.get().state == ChangeState.APPLIED
        operation = Operation.objects.get()
        events = set(AuditEntry.objects.values_list("event", flat=True))
    assert operation.state == OperationState.SUCCEEDED
    assert [step["name"] for step in operation.steps] == [
        "plan",
        "create CaddyServer " + SERVER,
        "create EgressTenant acme",
        "check",
    ]
    assert "plan.applied" in events


def test_tenant_without_any_revision_is_denied_by_name(acme, cluster, local_proxy):
    placement = PlacementFactory(tenant=acme, cluster=cluster)

    reconcile(placement.pk)

    assert local_proxy.tenants() == ["acme"]
    assert local_proxy.servers() == {}
    placement = placement_of(acme)
    assert conditions_of(placement)["Serving"] == ("Unknown", "NothingToServe")
    assert placement.health == Health.HEALTHY


@pytest.mark.parametrize("name", ["mine", "sluice-nobody.http"])
def test_address_without_a_policy_stays_silent_whoever_opens_it(acme, held, local_proxy, name):
    wish(acme, held)
    placement = placement_of(acme)
    reconcile(placement.pk)
    local_proxy.change_by_hand("PUT", f"{SERVERS}/{name}", {"listen": [f"{ADDRESS}:8080"]})

    reconcile(placement.pk)

    assert get(ADDRESS) == 0
    assert f"CaddyServer {name} was there" in placement_of(acme).drift_message


def test_deleted_policy_closes_the_address(acme, held, opened):
    wish(acme, held)

    reconcile(placement_of(acme).pk)

    assert get(ADDRESS) == 0


@pytest.mark.django_db(transaction=True)
def test_second_look_changes_nothing_and_costs_a_fixed_few_queries(
    acme, opened, local_proxy, django_assert_num_queries
):
    before = placement_of(acme)

    # Begin, settings, placement, lease, revision, end; begin, settings, the one update, end.
    with django_assert_num_queries(10):
        reconcile(before.pk)

    after = placement_of(acme)
    assert after.conditions == before.conditions
    assert after.checked_at > before.checked_at
    assert after.next_check_at - after.checked_at == LocalTarget.cadence.check_every


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("DELETE", f"{SERVERS}/{SERVER}", None, f"CaddyServer {SERVER} was missing"),
        (
            "PATCH",
            f"{SERVERS}/{SERVER}/idle_timeout",
            "1h",
            "idle_timeout was 1h instead of 2m",
        ),
        (
            "PUT",
            f"{SERVERS}/mine",
            {"listen": [f"{ADDRESS}:9090"]},
            "CaddyServer mine was there, and no policy of the tenant asks for it",
        ),
        ("DELETE", "/tenants/acme", None, "EgressTenant acme was missing"),
    ],
)
def test_change_by_hand_is_seen_told_and_healed(
    acme, opened, local_proxy, method, path, body, said
):
    wanted = (local_proxy.servers(), local_proxy.tenants())
    local_proxy.change_by_hand(method, path, body)

    reconcile(placement_of(acme).pk)

    placement = placement_of(acme)
    assert (local_proxy.servers(), local_proxy.tenants()) == wanted
    assert said in placement.drift_message
    assert placement.drift_count == 1
    assert placement.drifted_at <= placement.drift_healed_at
    assert placement.sync_state == SyncState.IN_SYNC
    assert conditions_of(placement)["Drifted"] == ("False", "Healed")
    assert message_of(placement, "Drifted").startswith("Healed drift at 20")
    with platform_scope("test"):
        entry = AuditEntry.objects.get(event="placement.drift-healed")
    assert said in entry.detail["drift"]
    assert entry.tenant_id == acme.pk


def test_word_of_the_last_healing_stays_until_the_next_change(acme, held, opened, local_proxy):
    local_proxy.change_by_hand("DELETE", f"{SERVERS}/{SERVER}")
    reconcile(placement_of(acme).pk)
    reconcile(placement_of(acme).pk)
    assert conditions_of(placement_of(acme))["Drifted"] == ("False", "Healed")

    wish(acme, with_egress(with_ingress(held)))
    reconcile(placement_of(acme).pk)

    assert conditions_of(placement_of(acme))["Drifted"] == ("False", "NoDrift")


def test_emptied_caddy_is_filled_again(acme, opened, local_proxy):
    local_proxy.change_by_hand("DELETE", "/config/")

    reconcile(placement_of(acme).pk)

    assert get(ADDRESS)["x-sluice-tenant"] == "acme"
    assert conditions_of(placement_of(acme))["Drifted"] == ("False", "Restarted")


def test_paused_tenant_is_watched_and_not_changed(acme, opened, local_proxy):
    with platform_scope("test"):
        Tenant.objects.update(is_paused=True)
    local_proxy.change_by_hand("DELETE", f"{SERVERS}/{SERVER}")

    reconcile(placement_of(acme).pk)
    reconcile(placement_of(acme).pk)

    placement = placement_of(acme)
    assert local_proxy.servers() == {}
    assert placement.sync_state == SyncState.PAUSED
    assert conditions_of(placement)["Drifted"] == ("True", "ChangedOutside")
    assert placement.drift_count == 1

    with platform_scope("test"):
        Tenant.objects.update(is_paused=False)
    reconcile(placement.pk)

    assert get(ADDRESS)["x-sluice-tenant"] == "acme"
    placement = placement_of(acme)
    assert placement.sync_state == SyncState.IN_SYNC
    assert "Paused" not in conditions_of(placement)
    assert (placement.drift_count, placement.drift_healed_at is not None) == (1, True)


def suspend(tenant, **values):
    with platform_scope("test"):
        Tenant.objects.filter(pk=tenant.pk).update(is_paused=True, is_suspended=True, **values)


def test_suspended_tenant_is_taken_off_the_proxy_and_comes_back(acme, opened, local_proxy):
    suspend(acme)
    reconcile(placement_of(acme).pk)

    placement = placement_of(acme)
    assert local_proxy.servers() == {}
    assert (placement.sync_state, placement.health) == (SyncState.SUSPENDED, Health.MISSING)
    assert conditions_of(placement)["Programmed"] == ("Unknown", "SuspendedByOperator")
    assert conditions_of(placement)["Serving"] == ("Unknown", "SuspendedByOperator")

    with platform_scope("test"):
        Tenant.objects.update(is_paused=False, is_suspended=False)
    reconcile(placement.pk)

    assert get(ADDRESS)["x-sluice-tenant"] == "acme"
    placement = placement_of(acme)
    assert placement.sync_state == SyncState.IN_SYNC
    assert conditions_of(placement)["Serving"] == ("True", "Answering")
    assert placement.drift_count == 0, "nobody else changed the proxy"


def test_suspension_ends_by_itself_at_its_end(acme, opened, local_proxy):
    suspend(acme, paused_until=timezone.now() - timedelta(seconds=1))

    reconcile(placement_of(acme).pk)

    assert get(ADDRESS)["x-sluice-tenant"] == "acme"


def test_change_of_a_suspended_tenant_is_applied_when_it_resumes(acme, held, opened, local_proxy):
    suspend(acme)
    wish(acme, with_egress(with_ingress(held)))
    reconcile(placement_of(acme).pk)

    assert local_proxy.servers() == {}
    with platform_scope("test"):
        assert Plan.objects.latest("pk").state == ChangeState.APPROVED
        Tenant.objects.update(is_paused=False, is_suspended=False)
    reconcile(placement_of(acme).pk)

    with platform_scope("test"):
        assert Plan.objects.latest("pk").state == ChangeState.APPLIED
    assert get(ADDRESS)["x-sluice-tenant"] == "acme"


def test_what_another_hand_gives_a_suspended_tenant_is_taken_away(acme, opened, local_proxy):
    before = local_proxy.servers()
    suspend(acme)
    reconcile(placement_of(acme).pk)
    local_proxy.change_by_hand("PUT", f"{SERVERS}/{SERVER}", before[SERVER])

    reconcile(placement_of(acme).pk)

    placement = placement_of(acme)
    assert local_proxy.servers() == {}
    assert (placement.drift_count, placement.sync_state) == (1, SyncState.SUSPENDED)


def test_silent_proxy_is_a_condition_and_a_later_attempt(acme, held, local_proxy, settings):
    settings.CADDY_ADMIN_SOCKET = f"{settings.CADDY_ADMIN_SOCKET}.gone"
    wish(acme, with_ingress(held))

    reconcile(placement_of(acme).pk)
    reconcile(placement_of(acme).pk)

    placement = placement_of(acme)
    assert conditions_of(placement)["Reachable"] == ("False", "ProxyUnreachable")
    assert placement.sync_state == SyncState.UNKNOWN
    assert (placement.attempts, placement.observed_generation) == (2, 0)
    assert placement.next_attempt_at > timezone.now()
    with platform_scope("test"):
        assert Plan.objects.get().state == ChangeState.APPLYING
        operation = Operation.objects.get()
    assert operation.state == OperationState.RUNNING
    assert [step["name"] for step in operation.steps] == ["wait"]

    wish(acme, with_egress(with_ingress(held)))

    placement = placement_of(acme)
    assert placement.attempts == 0
    assert placement.next_attempt_at <= timezone.now()


def test_taken_address_is_told_and_tried_again(acme, held, local_proxy):
    with socket.create_server((ADDRESS, 8080)):
        wish(acme, with_ingress(held))
        reconcile(placement_of(acme).pk)
        placement = placement_of(acme)
        assert conditions_of(placement)["Programmed"] == ("False", Reason.ADDRESS_IN_USE)
        assert placement.sync_state == SyncState.OUT_OF_SYNC

    reconcile(placement.pk)

    assert get(ADDRESS)["x-sluice-tenant"] == "acme"
    with platform_scope("test"):
        assert Plan.objects.get().state == ChangeState.APPLIED
        assert Operation.objects.get().state == OperationState.SUCCEEDED


def test_flavour_that_nobody_can_keep_needs_a_person(acme):
    cluster = ClusterFactory(name="far", flavour="spk")
    placement = PlacementFactory(tenant=acme, cluster=cluster)

    reconcile(placement.pk)

    placement = placement_of(acme)
    assert conditions_of(placement)["Accepted"] == ("False", "Unsupported")
    assert placement.health == Health.DEGRADED
    assert placement.next_attempt_at > timezone.now() + timedelta(seconds=30)


def test_plan_that_no_retry_can_apply_fails_with_its_operation(acme, held, cluster):
    cluster.flavour = "spk"
    cluster.save()
    wish(acme, with_egress(held))

    reconcile(placement_of(acme).pk)
    reconcile(placement_of(acme).pk)

    with platform_scope("test"):
        assert Plan.objects.get().state == ChangeState.FAILED
        operation = Operation.objects.get()
        assert AuditEntry.objects.filter(event="plan.failed").count() == 1
    assert operation.state == OperationState.FAILED
    assert "cannot keep a proxy of flavour spk" in operation.error


def test_placement_that_is_gone_is_a_normal_end(acme, cluster):
    placement = PlacementFactory(tenant=acme, cluster=cluster)
    with platform_scope("test"):
        Placement.objects.all().delete()

    reconcile(placement.pk)


def test_egress_policy_reaches_the_egress_proxy(acme, held, local_proxy):
    wish(acme, with_egress(held))
    reconcile(placement_of(acme).pk)

    body = local_proxy.egress.admin.call("GET", "/tenants/acme").body
    assert [rule["id"] for rule in body["rules"]] == ["acme/docs-0/1"]


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_wait_grows_within_its_bounds(attempts, jitter):
    wait = backoff(attempts, jitter=jitter).total_seconds()

    middle = min(BACKOFF_CAP_SECONDS, 2.0 ** min(attempts, 30))
    assert 0.5 * middle - 1e-6 <= wait <= 1.5 * middle + 1e-6
