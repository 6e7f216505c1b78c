"""Saving and deleting policies: rows, grants, refusals, and the plan of each."""

import pytest

from proxyconfig.models import EgressPolicy, EgressRule, IngressPolicy, Listener, Plan, Protocol
from proxyconfig.services import plans, policies
from proxyconfig.services.policies import RuleDraft
from proxyconfig.tests.conftest import ADDRESS
from proxyconfig.tests.factories import IngressPolicyFactory, ListenerFactory
from proxyconfig.tests.services.drafts import egress, ingress, private
from tenants import wake
from tenants.domain.states import ChangeState
from tenants.errors import ConflictError, ForbiddenError, InvalidError
from tenants.models import AuditEntry, tenant_scope

pytestmark = pytest.mark.usefixtures("network")


def test_ingress_inside_the_guardrails_is_approved_at_once_and_wakes_a_worker(alice, broker):
    with broker.taking() as sent, alice.acting() as actor:
        plan = policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open it")

    assert plan.state == ChangeState.APPROVED
    assert plan.decided_by == plans.RULE
    assert plan.summary == "1 added, 0 changed, 0 deleted"
    assert alice.tenant.generation == 1
    assert sent == [(wake.RECONCILE_TENANT, alice.tenant.pk)]


def test_policy_listener_and_audit_entries_are_written_together(alice):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open it")

        policy = IngressPolicy.objects.get()
        assert (policy.listener.virtual_address.address, policy.listener.port) == (ADDRESS, 8080)
        events = list(AuditEntry.objects.order_by("pk").values_list("event", "actor"))
    assert events == [
        ("ingress-policy.created", "alice"),
        ("plan.proposed", "alice"),
        ("plan.approved", "system:auto-apply"),
        ("operation.started", "alice"),
    ]


def test_deleted_ingress_takes_its_listener_along(alice):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open")
        policy = IngressPolicy.objects.get()

        plan = policies.delete_ingress(policy, actor=actor, reason="close")

        assert not Listener.objects.exists()
        assert plan.summary == "0 added, 0 changed, 1 deleted"
        assert plan.state == ChangeState.APPROVED


def test_moved_ingress_leaves_no_listener_behind(alice):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open")
        policy = IngressPolicy.objects.get()

        policies.save_ingress(
            alice.tenant, ingress(port=8081), actor=actor, reason="move", policy=policy
        )

        assert [listener.port for listener in Listener.objects.all()] == [8081]


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
def test_listener_that_the_proxy_cannot_serve_is_refused_by_name(alice, protocol):
    with alice.acting() as actor, pytest.raises(InvalidError) as refused:
        policies.save_ingress(
            alice.tenant, ingress(protocol=protocol), actor=actor, reason="open it"
        )

    assert f"{protocol.label} listeners need a cluster's proxy" in refused.value.message
    assert list(refused.value.fields) == ["protocol"]
    with alice.acting():
        assert not IngressPolicy.objects.exists()
        assert not Plan.objects.exists()


def test_address_of_nobody_is_refused_with_those_that_there_are(alice):
    with alice.acting() as actor, pytest.raises(InvalidError) as refused:
        policies.save_ingress(
            alice.tenant, ingress(virtual_address="127.110.9.9"), actor=actor, reason="open"
        )

    assert refused.value.fields == {
        "virtual_address": [
            f"127.110.9.9 is no address of this tenant. It has: {ADDRESS}.",
        ]
    }


def test_another_tenants_namespace_is_refused_without_a_word_about_it(alice, charlie):
    IngressPolicyFactory(tenant=charlie.tenant, namespace__name="globex-secret")

    with alice.acting() as actor, pytest.raises(InvalidError) as refused:
        policies.save_ingress(
            alice.tenant, ingress(namespace="globex-secret"), actor=actor, reason="open"
        )

    assert "globex-secret is no namespace of this tenant" in refused.value.message
    assert "globex " not in refused.value.message.replace("globex-secret", "")


def test_name_that_the_tenant_has_is_refused_by_name(alice):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open")

        with pytest.raises(ConflictError, match="ingress policy name web is already taken"):
            policies.save_ingress(alice.tenant, ingress(port=81), actor=actor, reason="again")


def test_two_policies_for_the_same_requests_are_refused(alice):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open")

        with pytest.raises(InvalidError, match="policy web already matches the same requests"):
            policies.save_ingress(alice.tenant, ingress(name="web2"), actor=actor, reason="again")


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (RuleDraft(), "name a host or a network"),
        (RuleDraft(host="a.example", network="10.0.0.0/8"), "name a host or a network"),
        (RuleDraft(network="10.0.0.1/8"), "host bits set"),
        (RuleDraft(host="a.example", ports=(70_000,)), "less than or equal to 65535"),
        (RuleDraft(host="127.1"), "looks like an address"),
        (RuleDraft(host="a.example", ports=()), "name at least one port"),
    ],
)
def test_rule_that_makes_no_sense_is_refused(alice, rule, complaint):
    with alice.acting() as actor, pytest.raises(InvalidError) as refused:
        policies.save_egress(alice.tenant, egress(rule), actor=actor, reason="out")

    assert complaint in refused.value.fields["rules"][0]


def test_complaints_about_an_intent_stand_at_fields_and_name_the_rule_but_no_path(alice):
    draft = egress(RuleDraft(host="a.example"), RuleDraft(host="127.1"))
    with alice.acting() as actor, pytest.raises(InvalidError) as refused:
        policies.save_egress(alice.tenant, draft, actor=actor, reason="out")

    (complaint,) = refused.value.fields["rules"]
    assert complaint.startswith("rule 2: '127.1' looks like an address")
    assert refused.value.message == f"The change cannot be taken: {complaint}."
    assert "spec" not in refused.value.message


def test_private_network_of_a_member_awaits_a_platform_administrator(alice):
    with alice.acting() as actor:
        plan = policies.save_egress(alice.tenant, egress(private()), actor=actor, reason="search")

    assert plan.state == ChangeState.AWAITING_APPROVAL
    assert [finding["code"] for finding in plan.findings] == ["private-destination"]
    assert alice.tenant.generation == 0


def test_private_network_of_a_platform_administrator_is_granted_at_once(ada):
    with ada.acting() as actor:
        plan = policies.save_egress(ada.tenant, egress(private()), actor=actor, reason="search")

        rule = EgressRule.objects.get()
    assert plan.state == ChangeState.APPROVED
    assert rule.granted_by == ada.user
    assert plan.intent["spec"]["egressPolicies"][0]["rules"][0]["granted"] is True


@pytest.mark.parametrize(
    ("changed", "is_kept"),
    [
        (private(), True),
        (private(ports=(8081, 8082)), False),
        (private(network="127.130.0.11/32"), False),
    ],
)
def test_grant_outlives_a_members_save_only_where_it_names_the_same(alice, ada, changed, is_kept):
    with ada.acting() as actor:
        policies.save_egress(ada.tenant, egress(private()), actor=actor, reason="search")

    with alice.acting() as actor:
        policy = EgressPolicy.objects.get()
        draft = egress(RuleDraft(host="new.example.org"), changed)
        plan = policies.save_egress(alice.tenant, draft, actor=actor, reason="more", policy=policy)

        rules = list(EgressRule.objects.order_by("order"))
    assert [rule.is_granted for rule in rules] == [False, is_kept]
    assert (plan.state == ChangeState.APPROVED) is is_kept


def test_grant_follows_a_renamed_policy(alice, ada):
    with ada.acting() as actor:
        policies.save_egress(ada.tenant, egress(private()), actor=actor, reason="search")

    with alice.acting() as actor:
        policy = EgressPolicy.objects.get()
        draft = egress(private(), name="search")
        policies.save_egress(alice.tenant, draft, actor=actor, reason="rename", policy=policy)

        assert EgressRule.objects.get().is_granted


def test_only_a_platform_administrator_grants(alice, ada):
    with alice.acting() as actor:
        policies.save_egress(alice.tenant, egress(private()), actor=actor, reason="search")
        rule = EgressRule.objects.get()
        with pytest.raises(ForbiddenError, match="Only a platform administrator"):
            policies.grant_rule(rule, actor=actor, reason="please")

    with ada.acting() as actor:
        plan = policies.grant_rule(EgressRule.objects.get(), actor=actor, reason="checked")

    assert plan.state == ChangeState.APPROVED


def test_public_destination_needs_no_grant(ada):
    with ada.acting() as actor:
        policies.save_egress(ada.tenant, egress(), actor=actor, reason="docs")
        rule = EgressRule.objects.get()

        with pytest.raises(InvalidError, match="needs no grant"):
            policies.grant_rule(rule, actor=actor, reason="why not")


def test_reason_is_required(alice):
    with alice.acting() as actor, pytest.raises(InvalidError) as refused:
        policies.save_egress(alice.tenant, egress(), actor=actor, reason="  ")

    assert list(refused.value.fields) == ["reason"]


@pytest.mark.parametrize("others", [1, 6])
def test_query_count_of_a_save_does_not_grow_with_the_tenants_policies(
    alice, others, django_assert_num_queries
):
    for number in range(others):
        listener = ListenerFactory(tenant=alice.tenant, port=9000 + number)
        IngressPolicyFactory(tenant=alice.tenant, listener=listener)
    with tenant_scope(alice.tenant.pk), django_assert_num_queries(48):
        policies.save_ingress(alice.tenant, ingress(), actor=alice.actor, reason="open")
