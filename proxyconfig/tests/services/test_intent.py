"""Rows to intent and back."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyconfig.domain import manifest
from proxyconfig.domain.intent import (
    Backend,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Intent,
    Listener,
    Mode,
    PortRange,
    Protocol,
    Segment,
    SnatPool,
    Subnet,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.models import IngressPolicy as IngressRow
from proxyconfig.services.intent import build_intent, restore_rows
from proxyconfig.tests.conftest import ADDRESS, SNAT_ADDRESS
from proxyconfig.tests.factories import (
    EgressPolicyFactory,
    EgressRuleFactory,
    IngressPolicyFactory,
    ListenerFactory,
)
from tenants.models import VirtualAddress, platform_scope
from tenants.tests.factories import NamespaceFactory, VirtualAddressFactory

pytestmark = pytest.mark.usefixtures("network")

LISTENER = f"http-{ADDRESS.replace('.', '-')}-8080"


def whole() -> Intent:
    """An intent with every kind of row in it."""
    return Intent(
        tenant="acme",
        namespaces=("acme-rag", "acme-tools"),
        segments=(
            Segment(
                name="front",
                vlan=VlanLink(cluster="local", interface="1.1", tag=101),
                subnets=(Subnet(cidr="10.101.0.0/24", gateway="10.101.0.1"),),
            ),
            Segment(
                name="over",
                vxlan=VxlanLink(cluster="local", vni=5000),
                subnets=(Subnet(cidr="10.101.0.0/25"),),
                vrf="blue",
            ),
            Segment(name="plain", subnets=(Subnet(cidr="2001:db8::/64"),)),
        ),
        snat_pools=(SnatPool(name="default", addresses=(SNAT_ADDRESS, "127.120.1.2")),),
        listeners=(
            Listener(name=LISTENER, virtual_address=ADDRESS, port=8080),
            Listener(name="http-2001-db8--1-80", virtual_address="2001:db8::1", port=80),
        ),
        ingress_policies=(
            IngressPolicy(
                name="web",
                listener=LISTENER,
                backend=Backend(namespace="acme-rag", service="ragapp", port=8080),
                hostnames=("a.example",),
                path_prefix="/a",
                sources=("10.0.0.0/8",),
            ),
            IngressPolicy(
                name="off",
                listener="http-2001-db8--1-80",
                backend=Backend(namespace="acme-tools", service="tools", port=80),
                mode=Mode.STAGED,
            ),
        ),
        egress_policies=(
            EgressPolicy(
                name="docs",
                rules=(
                    EgressRule(order=1, host="*.example.org", ports=(PortRange.single(443),)),
                    EgressRule(
                        order=2,
                        cidr="203.0.113.0/24",
                        ports=(PortRange.single(80), PortRange.single(443)),
                    ),
                ),
            ),
            EgressPolicy(
                name="later",
                rules=(EgressRule(order=1, host="b.example", ports=(PortRange.single(22),)),),
                mode=Mode.STAGED,
            ),
        ),
    )


def test_rows_make_a_valid_intent(alice, network):
    _, address, _ = network
    listener = ListenerFactory(tenant=alice.tenant, virtual_address=address)
    IngressPolicyFactory(
        tenant=alice.tenant, name="web", listener=listener, namespace=network[0], is_enabled=False
    )
    rule = EgressRuleFactory(policy__tenant=alice.tenant, order=1, ports=[8443, 443])

    with alice.acting():
        intent = build_intent(alice.tenant)

    assert blocking(validate(intent)) == []
    assert intent.namespaces == ("acme-rag",)
    assert intent.listeners == (
        Listener(name=LISTENER, virtual_address=ADDRESS, port=8080, protocol=Protocol.HTTP),
    )
    assert intent.ingress_policies[0].mode is Mode.STAGED
    (policy,) = intent.egress_policies
    assert policy.name == rule.policy.name
    assert policy.rules[0].ports == (PortRange.single(443), PortRange.single(8443))
    assert intent.segments[0].vlan == VlanLink(cluster="local", interface="1.1", tag=101)


@pytest.mark.parametrize("rows", [1, 4])
def test_query_count_is_fixed(alice, rows, django_assert_num_queries):
    for number in range(rows):
        IngressPolicyFactory(tenant=alice.tenant, listener__port=9000 + number)
        policy = EgressPolicyFactory(tenant=alice.tenant)
        EgressRuleFactory(policy=policy)

    with alice.acting(), django_assert_num_queries(8):
        build_intent(alice.tenant)


def test_another_tenants_rows_are_no_part_of_it_for_staff_either(alice, charlie):
    IngressPolicyFactory(tenant=charlie.tenant)

    with platform_scope("test"):
        assert build_intent(alice.tenant).ingress_policies == ()


def test_restored_rows_say_the_same(alice):
    with alice.acting() as actor:
        restore_rows(alice.tenant, whole(), actor=actor)

        assert manifest.to_yaml(build_intent(alice.tenant)) == manifest.to_yaml(whole())


def test_restoring_twice_changes_nothing_and_keeps_the_policies_rows(alice):
    with alice.acting() as actor:
        restore_rows(alice.tenant, whole(), actor=actor)
        before = list(IngressRow.objects.values_list("pk", "name", "created_at"))

        restore_rows(alice.tenant, whole(), actor=actor)

        assert list(IngressRow.objects.values_list("pk", "name", "created_at")) == before
        assert build_intent(alice.tenant) == manifest.from_yaml(manifest.to_yaml(whole()))


def test_address_that_no_intent_names_stays(alice, cluster):
    VirtualAddressFactory(tenant=alice.tenant, cluster=cluster, address="127.110.1.200")

    with alice.acting() as actor:
        restore_rows(alice.tenant, Intent(tenant="acme"), actor=actor)

        assert VirtualAddress.objects.count() == 2
        assert build_intent(alice.tenant) == Intent(tenant="acme")


def test_other_tenants_rows_outlive_a_restore_by_staff(alice, charlie):
    policy = IngressPolicyFactory(tenant=charlie.tenant)
    NamespaceFactory(tenant=charlie.tenant)

    with platform_scope("test"):
        restore_rows(alice.tenant, Intent(tenant="acme"), actor=alice.actor)

        assert IngressRow.objects.get() == policy
        assert len(build_intent(charlie.tenant).namespaces) == 2


def some(items):
    """Any part of a tuple, order kept."""
    return st.lists(st.sampled_from(items), unique=True).map(
        lambda chosen: tuple(item for item in items if item in chosen)
    )


@st.composite
def intents(draw):
    """A part of the whole that still fits together."""
    full = whole()
    policies = draw(some(full.ingress_policies))
    used = {policy.listener for policy in policies}
    return Intent(
        tenant="acme",
        namespaces=full.namespaces,
        segments=draw(some(full.segments)),
        snat_pools=draw(some(full.snat_pools)),
        listeners=tuple(entry for entry in full.listeners if entry.name in used),
        ingress_policies=policies,
        egress_policies=draw(some(full.egress_policies)),
    )


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=intents(), after=intents())
def test_from_any_wish_to_any_other(alice, before, after):
    with alice.acting() as actor:
        restore_rows(alice.tenant, before, actor=actor)
        restore_rows(alice.tenant, after, actor=actor)

        assert manifest.intent_hash(build_intent(alice.tenant)) == manifest.intent_hash(after)
