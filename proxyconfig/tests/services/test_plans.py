"""Rows hold only what is approved: what waits, what merges, what is refused, and what it leaves."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from proxyconfig.domain import edits, objects
from proxyconfig.domain.edits import IngressDraft
from proxyconfig.domain.intent import (
    AddressList,
    EgressPolicy,
    EgressRule,
    Intent,
    PortRange,
    Segment,
    SnatPool,
    Subnet,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.limits import Limits
from proxyconfig.domain.objects import Key
from proxyconfig.models import IntentObject, Placement, Plan, Revision
from proxyconfig.services import change_sets, decisions, plans, revisions
from proxyconfig.services.limits import set_limits
from proxyconfig.services.rows import build_intent
from proxyconfig.tests.conftest import ADDRESS, SNAT_ADDRESS
from proxyconfig.tests.holding import grant, publish, settle
from tenants.domain.roles import PlatformRole, Role
from tenants.domain.states import ChangeState
from tenants.errors import ConflictError, ForbiddenError, InvalidError, QuotaError
from tenants.models import AuditEntry, Tenant, VlanClaim, VniClaim, platform_scope, tenant_scope
from tenants.models.member import Membership
from tenants.tests.people import Person, person

PUBLIC_PORT = 80


@pytest.fixture
def erin(acme) -> Person:
    """A second NetOps of acme."""
    return person("erin", acme, Role.NETOPS)


@pytest.fixture
def dora(acme) -> Person:
    """DevOps of acme."""
    return person("dora", acme, Role.DEVOPS)


def ingress(**fields) -> IngressDraft:
    values = {"name": "web", "virtual_address": ADDRESS, "port": 8080, "namespace": "acme-rag"}
    return IngressDraft(**{**values, **fields})


def egress(name: str = "docs", *rules: EgressRule) -> EgressPolicy:
    return EgressPolicy(name=name, rules=rules or (to("docs.example.org"),))


def to(host: str | None = None, *, cidr: str | None = None, order: int = 1) -> EgressRule:
    return EgressRule(order=order, host=host, cidr=cidr, ports=(PortRange.single(443),))


def propose(who: Person, edit, **terms) -> Plan:
    with who.acting() as actor:
        return plans.propose(who.tenant, edit, actor=actor, reason="because", **terms)


def open_wide(who: Person, name: str = "open", port: int = PUBLIC_PORT) -> Plan:
    """A plan that has to wait: anybody may come in on a privileged port."""
    plan = propose(who, edits.save_ingress(ingress(name=name, port=port)))
    assert plan.state == ChangeState.AWAITING_APPROVAL
    return plan


def decide(who: Person, plan: Plan, how=decisions.approve, **terms) -> Plan:
    with who.acting() as actor:
        return how(plan, actor=actor, comment="looked at it", **terms)


def again(who: Person, plan: Plan) -> Plan:
    with who.acting() as actor:
        return plans.rebase(plan, actor=actor, reason="anew")


def approve_everything(tenant) -> None:
    """Have a second person approve every change of the tenant."""
    with platform_scope("test"):
        Tenant.objects.filter(pk=tenant.pk).update(auto_apply=False)


def rows(tenant) -> Intent:
    with tenant_scope(tenant.pk):
        return build_intent(tenant)


def current(tenant) -> Intent:
    with tenant_scope(tenant.pk):
        return revisions.current(tenant).intent


def states(tenant) -> list[str]:
    with tenant_scope(tenant.pk):
        return list(Plan.objects.order_by("pk").values_list("state", flat=True))


def test_harmless_edit_is_in_force_at_once(alice, network):
    plan = propose(alice, edits.save_ingress(ingress()))

    assert plan.state == ChangeState.APPROVED
    assert [policy.name for policy in rows(alice.tenant).ingress_policies] == ["web"]
    assert rows(alice.tenant) == current(alice.tenant)
    assert plan.summary == "1 policy added, 1 listener added"
    assert f"Any client can reach {ADDRESS}:8080" in plan.effects


def test_edit_that_changes_nothing_makes_no_revision(alice, network):
    propose(alice, edits.save_ingress(ingress()))
    before = alice.tenant.generation

    plan = propose(alice, edits.save_ingress(ingress(), name="web"))

    assert (plan.state, plan.summary) == (ChangeState.APPLIED, "No changes")
    with tenant_scope(alice.tenant.pk):
        assert Revision.objects.latest("generation").generation == before


def test_plan_whose_author_asks_for_approval_waits_also_when_edited_or_made_again(
    alice, erin, network
):
    plan = propose(alice, edits.create(egress()), waits=True)
    joined = propose(alice, edits.create(egress("more")), into=plan)
    fresh = again(alice, joined)

    assert [found["code"] for found in fresh.findings] == ["approval-requested"]
    assert states(alice.tenant)[1:] == ["Superseded", "AwaitingApproval"]
    with pytest.raises(ForbiddenError):
        decide(alice, fresh)
    assert decide(erin, fresh).state == ChangeState.APPROVED
    assert [policy.name for policy in rows(alice.tenant).egress_policies] == ["docs", "more"]


def test_nothing_to_approve_does_not_wait(alice, network):
    plan = propose(alice, lambda intent: intent, waits=True)

    assert plan.state == ChangeState.APPLIED


def test_plan_that_waits_leaves_the_rows_and_stops_nobody(alice, erin, network):
    before = rows(alice.tenant)
    waiting = open_wide(alice)

    assert rows(alice.tenant) == before == current(alice.tenant)
    harmless = propose(erin, edits.create(egress()))

    assert harmless.state == ChangeState.APPROVED
    with tenant_scope(alice.tenant.pk):
        assert Plan.objects.get(pk=waiting.pk).state == ChangeState.AWAITING_APPROVAL
        assert set(change_sets.pending(alice.tenant)) == {
            Key("ingress-policies", "open"),
            Key("listeners", "http-127-110-1-1-80"),
        }


@pytest.mark.parametrize("how", [decisions.refuse, decisions.cancel])
def test_turning_a_plan_down_undoes_nothing(alice, erin, network, how):
    waiting = open_wide(alice)
    propose(erin, edits.create(egress()))
    before = rows(alice.tenant)

    decide(erin, waiting, how)

    assert rows(alice.tenant) == before == current(alice.tenant)
    assert [policy.name for policy in before.egress_policies] == ["docs"]


def test_approval_merges_with_what_became_current_meanwhile(alice, erin, network):
    waiting = open_wide(alice)
    propose(erin, edits.create(egress()))

    decide(erin, waiting)

    merged = rows(alice.tenant)
    assert [policy.name for policy in merged.ingress_policies] == ["open"]
    assert [policy.name for policy in merged.egress_policies] == ["docs"]
    assert merged == current(alice.tenant)


def test_same_object_on_both_sides_is_stale_and_both_are_named(alice, erin, network):
    propose(alice, edits.save_ingress(ingress()))
    waiting = propose(alice, edits.save_ingress(ingress(port=PUBLIC_PORT), name="web"))
    propose(erin, edits.save_ingress(ingress(description="front door"), name="web"))

    with pytest.raises(ConflictError, match="ingress policy web") as caught:
        decide(erin, waiting)

    assert caught.value.code == "plan-stale"
    assert caught.value.data["objects"] == ["ingress-policies/web"]
    assert rows(alice.tenant) == current(alice.tenant)


def test_author_plans_again_after_a_conflict(alice, erin, network):
    propose(alice, edits.save_ingress(ingress()))
    waiting = propose(alice, edits.save_ingress(ingress(port=PUBLIC_PORT), name="web"))
    propose(erin, edits.save_ingress(ingress(description="front door"), name="web"))

    with alice.acting() as actor:
        again = plans.rebase(waiting, actor=actor, reason="once more")
    decide(erin, again)

    (policy,) = rows(alice.tenant).ingress_policies
    assert policy.listener == "http-127-110-1-1-80"


def test_two_harmless_halves_of_the_internet_are_found_when_they_meet(alice, erin, network):
    first = [f"{n}.0.0.0/9" for n in range(11, 12)]
    second = [f"{n}.0.0.0/9" for n in range(12, 13)]
    waiting = propose(
        alice,
        lambda intent: edits.create(
            egress("half", *(to(cidr=cidr, order=n) for n, cidr in enumerate(first)))
        )(edits.save_ingress(ingress(name="open", port=PUBLIC_PORT))(intent)),
    )
    propose(
        erin,
        edits.create(
            egress(
                "other",
                *(to(cidr=cidr, order=n) for n, cidr in enumerate((*second, "13.0.0.0/16"))),
            )
        ),
    )

    with pytest.raises(ConflictError) as caught:
        decide(erin, waiting)

    assert caught.value.code == "plan-stale"
    assert "can also reach 11.0.0.0/9 (0.2% of" in caught.value.message
    assert "together with what is open, 0.5% of" in caught.value.message


def test_merge_that_makes_no_valid_intent_is_stale(alice, erin, network):
    waiting = open_wide(alice)
    propose(erin, edits.delete(Key("virtual-addresses", f"local:{ADDRESS}")))

    with pytest.raises(ConflictError) as caught:
        decide(erin, waiting)

    assert caught.value.code == "plan-stale"
    assert ADDRESS in caught.value.message


def test_author_does_not_approve(alice, network):
    with pytest.raises(ForbiddenError, match="another person must approve"):
        decide(alice, open_wide(alice))


def test_author_who_lost_the_right_makes_the_plan_stale(dora, erin, network):
    waiting = open_wide(dora)
    with platform_scope("test"):
        Membership.objects.filter(user=dora.user).update(role="reader")

    with pytest.raises(ConflictError, match="author dora") as caught:
        decide(erin, waiting)

    assert caught.value.code == "plan-stale"


def test_approval_needs_the_rights_of_all_parts(dora, alice, network):
    """A platform auditor sees all and approves nothing; DevOps approve nothing."""
    waiting = open_wide(alice)

    with pytest.raises(ForbiddenError):
        decide(dora, waiting)


def test_devops_cannot_delete_a_vlan_by_rolling_back(alice, dora, network):
    propose(alice, edits.delete(Key("segments", "front")))
    with tenant_scope(alice.tenant.pk):
        first = Revision.objects.earliest("generation")
    settle_back = Segment(name="late", cluster="local", vlan=VlanLink(interface="1.1", tag=102))
    grant(alice.tenant, objects.put(rows(alice.tenant), settle_back))
    propose(alice, edits.create(settle_back))

    with dora.acting() as actor, pytest.raises(ForbiddenError, match="segment"):
        plans.rollback(first, actor=actor, reason="undo")

    assert [segment.name for segment in rows(alice.tenant).segments] == ["late"]


def test_devops_change_policies_and_no_network(dora, network):
    assert propose(dora, edits.create(egress())).state == ChangeState.APPROVED

    with pytest.raises(ForbiddenError, match="edit-network"):
        propose(dora, edits.delete(Key("segments", "front")))


def test_more_changes_in_an_hour_than_allowed_wait(alice, network):
    first = propose(alice, edits.create(egress()))
    with alice.acting() as actor:
        most = alice.tenant.generation
        set_limits(
            alice.tenant,
            Limits(changes_per_hour=most),
            auto_apply=True,
            actor=actor,
            reason="slowly",
        )

    waits = propose(alice, edits.create(egress("more")))
    with platform_scope("test"):
        past = timezone.now() - timedelta(minutes=61)
        Revision.objects.filter(tenant=alice.tenant, generation=1).update(created_at=past)
    later = propose(alice, edits.create(egress("later")))

    assert [plan.state for plan in (first, waits, later)] == [
        ChangeState.APPROVED,
        ChangeState.AWAITING_APPROVAL,
        ChangeState.APPROVED,
    ]
    assert [found["code"] for found in waits.findings] == ["change-rate"]


def test_edit_joins_the_authors_own_open_change_set(alice, erin, network):
    waiting = open_wide(alice)

    joined = propose(alice, edits.create(egress()), into=waiting)

    assert joined.pk == waiting.pk
    assert {change["name"] for change in joined.changes} == {
        "open",
        "http-127-110-1-1-80",
        "docs",
    }
    assert rows(alice.tenant).egress_policies == ()
    with pytest.raises(ForbiddenError, match="alice's"):
        propose(erin, edits.create(egress("mine")), into=joined)


def test_apply_of_what_was_reviewed_in_another_version_is_refused(alice, erin, network):
    propose(alice, edits.save_ingress(ingress()))
    edit = edits.save_ingress(ingress(allowed_sources=("10.0.0.0/8",)), name="web")
    with alice.acting() as actor:
        seen = plans.preview(alice.tenant, edit, actor=actor).seen
    propose(erin, edits.save_ingress(ingress(description="meanwhile"), name="web"))

    with pytest.raises(ConflictError, match="Review again") as caught:
        propose(alice, edit, seen=seen)

    assert caught.value.code == "changed-meanwhile"
    assert caught.value.data["moved"] == ["ingress-policies/web"]
    assert rows(alice.tenant).ingress_policies[0].description == "meanwhile"


def test_waiting_plan_holds_what_it_allocates_until_it_ends(alice, erin, charlie, network):
    vlan = Segment(name="new", cluster="local", vlan=VlanLink(interface="1.1", tag=150))
    approve_everything(alice.tenant)
    for tenant in (alice.tenant, charlie.tenant):
        grant(tenant, Intent(tenant=tenant.slug, segments=(vlan,)))
    waiting = propose(alice, edits.create(vlan))
    with platform_scope("test"):
        held = VlanClaim.objects.get(tag=150)
        assert (held.tenant_id, held.plan_id) == (alice.tenant.pk, waiting.pk)

    with pytest.raises(ConflictError, match="another tenant") as caught:
        propose(charlie, edits.create(vlan))
    assert "acme" not in caught.value.message

    decide(erin, waiting, decisions.refuse)
    assert propose(charlie, edits.create(vlan)).state == ChangeState.APPROVED


def test_approved_plan_takes_over_what_it_held(alice, erin, network):
    vlan = Segment(name="new", cluster="local", vlan=VlanLink(interface="1.1", tag=150))
    approve_everything(alice.tenant)
    grant(alice.tenant, Intent(tenant="acme", segments=(vlan,)))

    decide(erin, propose(alice, edits.create(vlan)))

    with tenant_scope(alice.tenant.pk):
        assert VlanClaim.objects.get(tag=150).plan_id is None


def test_segments_that_swapped_tags_roll_back(alice, network):
    first = Segment(name="one", cluster="local", vlan=VlanLink(interface="1.1", tag=201))
    second = Segment(name="two", cluster="local", vlan=VlanLink(interface="1.1", tag=202))
    publish(alice.tenant, first, second)
    with tenant_scope(alice.tenant.pk):
        before = Revision.objects.latest("generation")
    swapped = (replace(first, vlan=second.vlan), replace(second, vlan=first.vlan))
    propose(alice, lambda intent: objects.put(intent, *swapped))

    with alice.acting() as actor:
        plans.rollback(before, actor=actor, reason="undo")

    assert objects.find(rows(alice.tenant), Key("segments", "one")) == first
    assert rows(alice.tenant) == current(alice.tenant)


def test_roll_back_to_what_another_tenant_took_is_a_conflict(alice, charlie, network):
    overlay = Segment(name="overlay", cluster="local", vxlan=VxlanLink(vni=7000))
    publish(alice.tenant, overlay)
    with tenant_scope(alice.tenant.pk):
        before = Revision.objects.latest("generation")
    propose(alice, edits.delete(Key("segments", "overlay")))
    publish(charlie.tenant, overlay)

    with alice.acting() as actor, pytest.raises(ConflictError) as caught:
        plans.rollback(before, actor=actor, reason="undo")

    assert caught.value.code == "taken"
    assert "globex" not in caught.value.message
    assert rows(alice.tenant) == current(alice.tenant)
    with tenant_scope(alice.tenant.pk):
        assert not VniClaim.objects.exists()


def test_roll_back_keeps_the_order_of_snat_addresses(alice, network):
    pool = SnatPool(name="many", cluster="local", addresses=("127.120.9.3", "127.120.9.1"))
    publish(alice.tenant, pool)
    with tenant_scope(alice.tenant.pk):
        before = Revision.objects.latest("generation")
    turned = replace(pool, addresses=("127.120.9.1", "127.120.9.3"))
    propose(alice, edits.change(Key("snat-pools", "many"), turned))

    with alice.acting() as actor:
        plans.rollback(before, actor=actor, reason="undo")

    assert objects.find(rows(alice.tenant), Key("snat-pools", "many")) == pool


def test_roll_back_that_is_approved_later_marks_its_plans(alice, erin, network):
    with tenant_scope(alice.tenant.pk):
        first = Revision.objects.latest("generation")
    decide(erin, open_wide(alice))
    with tenant_scope(alice.tenant.pk):
        undone = Plan.objects.latest("pk")
        Plan.objects.filter(pk=undone.pk).update(state="Applied")
    approve_everything(alice.tenant)

    with alice.acting() as actor:
        plan = plans.rollback(first, actor=actor, reason="undo")
    assert plan.state == ChangeState.AWAITING_APPROVAL
    decide(erin, plan)

    with tenant_scope(alice.tenant.pk):
        assert Plan.objects.get(pk=undone.pk).state == ChangeState.ROLLED_BACK
    assert rows(alice.tenant).ingress_policies == ()


@pytest.mark.parametrize(
    ("key", "user"),
    [
        (Key("snat-pools", "default"), "egress policy docs"),
        (Key("virtual-addresses", f"local:{ADDRESS}"), "listener http-127-110-1-1-8080"),
        (Key("namespaces", "local:acme-rag"), "ingress policy web"),
    ],
)
def test_what_is_in_use_is_not_deleted(alice, network, key, user):
    propose(alice, edits.save_ingress(ingress()))
    propose(alice, edits.create(egress()))

    with pytest.raises(ConflictError, match=user) as caught:
        propose(alice, edits.delete(key))

    assert caught.value.code == "in-use"


@pytest.mark.parametrize("address", ["127.110.7.7", "8.8.8.8", SNAT_ADDRESS])
def test_nobody_takes_an_address_without_a_grant(alice, network, address):
    wanted = VirtualAddress(address=address, cluster="local")

    with pytest.raises((InvalidError, ConflictError)):
        propose(alice, edits.create(wanted))

    assert rows(alice.tenant) == current(alice.tenant)


def test_one_address_has_one_owner_in_whatever_role(alice, charlie, network):
    pool = SnatPool(name="theirs", cluster="local", addresses=(ADDRESS,))
    grant(charlie.tenant, Intent(tenant="globex", snat_pools=(pool,)))

    with pytest.raises(ConflictError, match="another tenant"):
        propose(charlie, edits.create(pool))


def test_plans_that_wait_are_capped(alice, network, settings):
    settings.QUOTA_DEFAULTS = {**settings.QUOTA_DEFAULTS, "change-sets": 2}
    open_wide(alice, "one", 81)
    open_wide(alice, "two", 82)

    with pytest.raises(QuotaError, match="wait"):
        propose(alice, edits.save_ingress(ingress(name="three", port=83)))

    assert states(alice.tenant).count("AwaitingApproval") == 2


def test_decided_plan_is_not_decided_again(alice, erin, network):
    waiting = open_wide(alice)
    decide(erin, waiting)

    with pytest.raises(ConflictError) as caught:
        decide(erin, waiting)

    assert caught.value.code == "plan-decided"


def test_every_change_needs_a_reason(alice, network):
    with alice.acting() as actor, pytest.raises(InvalidError, match="Say why"):
        plans.propose(alice.tenant, edits.create(egress()), actor=actor, reason=" ")


def test_audit_is_written_from_the_difference(alice, network):
    propose(alice, edits.save_ingress(ingress()))
    propose(alice, edits.save_ingress(ingress(allowed_sources=("10.0.0.0/8",)), name="web"))

    with tenant_scope(alice.tenant.pk):
        entry = AuditEntry.objects.filter(event="ingress-policy.changed").get()
    assert (entry.actor, entry.object_name, entry.reason) == ("alice", "web", "because")
    assert [field["path"] for field in entry.detail["fields"]] == ["sources[10.0.0.0/8]"]


def test_address_list_reaches_every_policy_that_names_it(alice, network):
    """Opening a list opens the listener: the guardrail sees through the name."""
    publish(alice.tenant, AddressList(name="office", addresses=("10.0.0.0/8",)))
    propose(
        alice,
        edits.save_ingress(ingress(name="low", port=PUBLIC_PORT, source_lists=("office",))),
    )

    plan = propose(
        alice,
        edits.change(
            Key("address-lists", "office"),
            AddressList(name="office", addresses=("0.0.0.0/1", "128.0.0.0/1")),
        ),
    )

    assert plan.state == ChangeState.AWAITING_APPROVAL


def test_tenant_is_placed_where_its_intent_says(alice, network):
    with tenant_scope(alice.tenant.pk):
        assert list(Placement.objects.values_list("cluster__name", flat=True)) == ["local"]


def test_subnets_of_one_segment_change_in_one_edit(alice, network):
    (front,) = network.segments
    wider = replace(front, subnets=(Subnet(cidr="10.101.0.0/23", gateway="10.101.0.1"),))
    grant(alice.tenant, replace(network, segments=(wider,)))

    plan = propose(alice, edits.change(Key("segments", "front"), wider))

    assert plan.state == ChangeState.APPROVED
    assert rows(alice.tenant).segments == (wider,)


def test_platform_netops_approves_across_tenants(alice, network):
    netops = person("pat", alice.tenant, None)
    netops.user.platform_role = PlatformRole.NETOPS.value
    with platform_scope("test"):
        netops.user.save()

    decide(netops, open_wide(alice))

    assert [policy.name for policy in rows(alice.tenant).ingress_policies] == ["open"]


def test_rows_survive_a_plan_made_of_them(alice, network):
    assert settle(alice.tenant) == rows(alice.tenant)
    with tenant_scope(alice.tenant.pk):
        assert IntentObject.objects.count() == len(objects.objects(network))
