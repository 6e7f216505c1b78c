"""What the other apps get to see."""

import base64

import pytest
from django.utils import timezone

from proxyconfig import facade
from proxyconfig.domain.fields import Mode
from proxyconfig.domain.intent import (
    Backend,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Listener,
    Namespace,
    PortRange,
    VirtualAddress,
)
from proxyconfig.tests.factories import ConnectionFactory, PlacementFactory, PlanFactory
from proxyconfig.tests.holding import settle
from tenants.domain.states import ChangeState, Direction, Health, SyncState, Verdict
from tenants.models.scoped import platform_scope
from tenants.tests.factories import ClusterFactory


def test_endpoint_carries_the_tenants_own_credential(acme, globex, settings):
    settings.EGRESS_ADDRESS = "127.0.0.1:3128"

    endpoint = facade.egress_endpoint(acme)

    assert endpoint.proxy_url == "http://127.0.0.1:3128"
    scheme, _, credential = endpoint.headers["Proxy-Authorization"].partition(" ")
    user, _, password = base64.b64decode(credential).decode().partition(":")
    assert (scheme, user, len(password)) == ("Basic", "acme", 64)
    assert endpoint.headers != facade.egress_endpoint(globex).headers
    assert password not in repr(endpoint)


def test_credential_follows_the_secret_key(acme, settings):
    before = facade.egress_endpoint(acme).headers

    settings.SECRET_KEY = "another"

    assert facade.egress_endpoint(acme).headers != before


def test_connections_of_a_trace_come_in_order_and_only_the_tenants(alice, charlie):
    first = ConnectionFactory(tenant=alice.tenant, trace_id="b" * 32, rule_id="one")
    ConnectionFactory(tenant=alice.tenant, trace_id="b" * 32, rule_id="two")
    ConnectionFactory(tenant=alice.tenant)
    ConnectionFactory(tenant=charlie.tenant, trace_id="b" * 32)

    with alice.acting():
        found = facade.connections("b" * 32)

    assert [connection.rule_id for connection in found] == ["one", "two"]
    assert found[0].proxy_id == first.proxy_id.hex


def test_summary_of_a_new_tenant_is_all_zero(alice):
    with alice.acting():
        summary = facade.summary(alice.tenant)

    assert (summary.sync_state, summary.health) == (SyncState.UNKNOWN, Health.MISSING)
    assert (summary.ingress_count, summary.egress_count, summary.waiting_plans) == (0, 0, 0)
    assert (summary.allowed, summary.denied, summary.drifted_at) == (0, 0, None)


def ingress(number: int):
    """A policy on an address of its own."""
    address, name = f"127.110.{number}.1", f"rag-{number}"
    return (
        Namespace(name=name, cluster="local"),
        VirtualAddress(address=address, cluster="local"),
        Listener(name=f"http-{number}", cluster="local", virtual_address=address, port=80),
        IngressPolicy(
            name=f"web-{number}",
            listener=f"http-{number}",
            backend=Backend(namespace=name, service="rag", port=80),
        ),
    )


def egress(name: str, mode: Mode = Mode.ENFORCED) -> EgressPolicy:
    rule = EgressRule(order=1, host="docs.example.org", ports=(PortRange.single(443),))
    return EgressPolicy(name=name, rules=(rule,), mode=mode)


def test_staged_policy_is_not_counted_as_live(alice, cluster):
    settle(alice.tenant, egress("later", Mode.STAGED))

    with alice.acting():
        assert facade.summary(alice.tenant).egress_count == 0


@pytest.mark.parametrize("rows", [1, 3])
def test_summary_tells_the_worst_and_counts(alice, rows, django_assert_num_queries):
    tenant = alice.tenant
    healthy = {"sync_state": SyncState.IN_SYNC.value, "health": Health.HEALTHY.value}
    PlacementFactory(tenant=tenant, **healthy)
    PlacementFactory(
        tenant=tenant,
        cluster=ClusterFactory(name="second"),
        sync_state=SyncState.DRIFTED.value,
        health=Health.DEGRADED.value,
        drifted_at=timezone.now(),
        drift_message="something",
    )
    for number in range(rows):
        settle(tenant, *ingress(number), egress(f"docs-{number}"))
        PlanFactory(tenant=tenant)
        ConnectionFactory(tenant=tenant)
        ConnectionFactory(tenant=tenant, direction=Direction.IN.value)
        ConnectionFactory(tenant=tenant, verdict=Verdict.DENIED.value)

    with alice.acting(), django_assert_num_queries(5):
        summary = facade.summary(tenant)

    assert (summary.sync_state, summary.health) == (SyncState.DRIFTED, Health.DEGRADED)
    assert (summary.ingress_count, summary.egress_count, summary.waiting_plans) == (rows,) * 3
    assert (summary.allowed_in, summary.allowed_out, summary.denied) == (rows,) * 3
    assert len(summary.addresses) == rows
    assert summary.drift_message == "something"
    assert summary.recent_plans[0].state == ChangeState.AWAITING_APPROVAL


@pytest.mark.parametrize("rows", [1, 3])
def test_summaries_keep_the_tenants_apart(rows, ada, django_assert_num_queries):
    ClusterFactory()
    tenants = [ConnectionFactory().tenant for _number in range(rows)]
    for tenant in tenants:
        PlanFactory.create_batch(facade.RECENT_PLANS + 1, tenant=tenant)
        settle(tenant, *ingress(tenant.pk % 250))
    ids = [tenant.pk for tenant in tenants]

    with platform_scope("test"), django_assert_num_queries(5):
        found = facade.summaries(ids)

    assert list(found) == ids
    with platform_scope("test"):
        assert list(found.values()) == [facade.summary(tenant) for tenant in tenants]
    for summary in found.values():
        assert (summary.ingress_count, summary.egress_count) == (1, 0)
        assert (summary.allowed_out, summary.waiting_plans) == (1, facade.RECENT_PLANS + 1)
        numbers = [plan.pk for plan in summary.recent_plans]
        assert len(numbers) == facade.RECENT_PLANS
        assert numbers == sorted(numbers, reverse=True)
