"""Plans as an attacker, an unlucky one, or a late one meets them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from proxyconfig.domain import edits
from proxyconfig.domain.intent import (
    AddressList,
    EgressPolicy,
    EgressRule,
    PortList,
    PortRange,
    Segment,
    VlanLink,
)
from proxyconfig.domain.objects import Key
from proxyconfig.models import Placement, Plan, Revision
from proxyconfig.services import change_sets, decisions, plans
from proxyconfig.tests.holding import grant, publish, settle
from proxyconfig.tests.services.test_plans import (
    approve_everything,
    decide,
    egress,
    open_wide,
    propose,
    rows,
    to,
)
from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole, Role
from tenants.domain.states import ChangeState
from tenants.errors import ConflictError, ForbiddenError, InvalidError, NotVisibleError
from tenants.models import Cluster, User, VlanClaim, platform_scope, tenant_scope
from tenants.tests.factories import ClusterFactory
from tenants.tests.people import Person, person


@pytest.fixture
def erin(acme) -> Person:
    """A second NetOps of acme."""
    return person("erin", acme, Role.NETOPS)


def held(tenant) -> int:
    with platform_scope("test"):
        return VlanClaim.objects.filter(tenant=tenant, plan__isnull=False).count()


def segment(tag: int) -> Segment:
    return Segment(name="lab", cluster="local", vlan=VlanLink(interface="1.1", tag=tag))


def holding(who: Person, tag: int = 300) -> Plan:
    """A waiting plan that holds a tag."""
    grant(who.tenant, replace(rows(who.tenant), segments=(segment(tag),)))
    approve_everything(who.tenant)
    plan = propose(who, edits.create(segment(tag)))
    assert held(who.tenant) == 1
    return plan


def delete(user: User) -> None:
    with platform_scope("test"):
        user.delete()


def test_change_set_that_is_emptied_gives_back_what_it_held(alice, network):
    waiting = holding(alice)

    emptied = propose(alice, edits.delete(Key("segments", "lab")), into=waiting)

    assert (emptied.pk, emptied.state) == (waiting.pk, ChangeState.APPLIED)
    assert held(alice.tenant) == 0


def test_plans_of_several_tenants_expire_in_one_sweep(alice, charlie, network, settings):
    holding(alice)
    publish(charlie.tenant, AddressList(name="one", addresses=("10.0.0.0/8",)))
    approve_everything(charlie.tenant)
    propose(charlie, edits.create(AddressList(name="two", addresses=("10.0.0.0/8",))))

    later = timezone.now() + timedelta(days=settings.CHANGE_SET_DAYS, seconds=1)

    assert decisions.expire(later) == 2
    assert held(alice.tenant) == 0


def test_plan_of_a_deleted_account_is_approved_by_nobody(alice, erin, network):
    waiting = open_wide(alice)
    delete(alice.user)

    with pytest.raises(ConflictError, match="no account any more") as caught:
        decide(erin, waiting)
    decide(erin, waiting, decisions.refuse)

    assert caught.value.code == "plan-stale"


def test_namesake_of_a_deleted_author_is_somebody_else(alice, erin, network):
    waiting = open_wide(alice)
    delete(alice.user)
    namesake = person("alice", erin.tenant, Role.DEVOPS)

    with pytest.raises(ForbiddenError):
        propose(namesake, edits.create(egress()), into=waiting)
    with pytest.raises(ForbiddenError):
        decide(namesake, waiting, decisions.cancel)
    with namesake.acting() as actor:
        assert not change_sets.open_change_sets(namesake.tenant, actor).exists()


def test_own_plan_is_not_approved_by_a_token_of_its_author(alice, network):
    waiting = open_wide(alice)
    token = Actor(name="token:ci", user_id=alice.user.pk, role=Role.NETOPS, token_id=1)

    with alice.acting(), pytest.raises(ForbiddenError, match="authored"):
        decisions.approve(waiting, actor=token, comment="me again")


def test_nobody_without_account_and_role_passes_for_sluice(acme, network):
    stranger = Actor(name="stranger")

    with tenant_scope(acme.pk), pytest.raises(ForbiddenError):
        plans.propose(acme, edits.create(egress()), actor=stranger, reason="x")


def test_preview_joins_no_change_set_of_somebody_else(alice, erin, network):
    waiting = open_wide(alice)

    with erin.acting() as actor, pytest.raises(ForbiddenError, match="alice's"):
        plans.preview(erin.tenant, edits.create(egress()), actor=actor, into=waiting)


def test_preview_joins_no_change_set_that_was_decided(alice, erin, network):
    waiting = open_wide(alice)
    decide(erin, waiting)

    with alice.acting() as actor, pytest.raises(ConflictError) as caught:
        plans.preview(alice.tenant, edits.create(egress()), actor=actor, into=waiting)

    assert caught.value.code == "plan-decided"


def test_edit_joins_no_change_set_of_another_tenant(alice, charlie, network):
    waiting = open_wide(alice)
    staff = replace(alice.actor, platform_role=PlatformRole.NETOPS)

    for scope in (tenant_scope(charlie.tenant.pk), platform_scope("test")):
        with scope, pytest.raises(NotVisibleError):
            plans.propose(
                charlie.tenant, edits.create(egress()), actor=staff, reason="x", into=waiting
            )


def test_plan_that_changed_after_it_was_read_is_not_approved(alice, erin, network):
    read = open_wide(alice)
    joined = propose(alice, edits.create(egress()), into=read)

    with pytest.raises(ConflictError) as caught:
        decide(erin, joined, read=read.intent_hash)
    decide(erin, joined, read=joined.intent_hash)

    assert caught.value.code == "plan-changed"


def test_plan_that_cannot_be_read_can_be_refused(alice, erin, network):
    waiting = holding(alice)
    with tenant_scope(alice.tenant.pk):
        Plan.objects.filter(pk=waiting.pk).update(intent={"apiVersion": "of another time"})
        waiting.refresh_from_db()

    with pytest.raises((ConflictError, InvalidError)):
        decide(erin, waiting)
    assert decide(erin, waiting, decisions.refuse).state == ChangeState.REFUSED
    assert held(alice.tenant) == 0


def test_approval_rule_that_came_later_does_not_stop_an_approval(alice, erin, network):
    waiting = open_wide(alice)
    approve_everything(alice.tenant)

    assert decide(erin, waiting).state == ChangeState.APPROVED


def test_plan_for_a_cluster_that_is_gone_is_stale(alice, erin, network):
    cluster = ClusterFactory(name="brief")
    approve_everything(alice.tenant)
    there_only = Segment(name="brief", cluster="brief")
    waiting = propose(alice, edits.create(there_only))
    cluster.delete()

    with pytest.raises(ConflictError, match="no cluster brief") as caught:
        decide(erin, waiting)
    with alice.acting() as actor, pytest.raises(InvalidError, match="no cluster brief"):
        plans.rebase(waiting, actor=actor, reason="again")

    assert caught.value.code == "plan-stale"
    assert decide(erin, waiting, decisions.refuse).state == ChangeState.REFUSED


def test_roll_back_to_a_cluster_that_is_gone_is_refused(alice, network):
    ClusterFactory(name="brief")
    there_only = Segment(name="brief", cluster="brief")
    publish(alice.tenant, there_only)
    with tenant_scope(alice.tenant.pk):
        there = Revision.objects.latest("generation")
    propose(alice, edits.delete(Key("segments", "brief")))
    with platform_scope("test"):
        Placement.objects.filter(cluster__name="brief").delete()
        Cluster.objects.get(name="brief").delete()

    with alice.acting() as actor, pytest.raises(InvalidError, match="no cluster brief"):
        plans.rollback(there, actor=actor, reason="undo")


def test_roll_back_planned_again_keeps_and_counts_what_came_meanwhile(alice, erin, network):
    with tenant_scope(alice.tenant.pk):
        first = Revision.objects.latest("generation")
    undone = propose(alice, edits.create(egress()))
    approve_everything(alice.tenant)
    with alice.acting() as actor:
        waiting = plans.rollback(first, actor=actor, reason="undo")
    kept = decide(erin, propose(alice, edits.create(egress("kept"))))
    with tenant_scope(alice.tenant.pk):
        Plan.objects.filter(pk__in=[undone.pk, kept.pk]).update(state=ChangeState.APPLIED.value)

    with alice.acting() as actor:
        again = plans.rebase(waiting, actor=actor, reason="again")
    decide(erin, again)

    assert [policy.name for policy in rows(alice.tenant).egress_policies] == ["kept"]
    with tenant_scope(alice.tenant.pk):
        assert Plan.objects.get(pk=kept.pk).state == ChangeState.APPLIED


def test_grant_of_a_waiting_plan_does_not_grow_by_a_merge(alice, erin, ada, network):
    settle(alice.tenant, PortList(name="web", ports=(PortRange.single(443),)))
    approve_everything(alice.tenant)
    rule = EgressRule(order=1, cidr="10.9.0.0/24", port_lists=("web",))
    policy = EgressPolicy(name="inside", rules=(rule,))
    waiting = propose(ada, edits.create(policy), grant=True)
    wider = PortList(name="web", ports=(PortRange(first=1, last=65535),))
    decide(erin, propose(alice, edits.change(Key("port-lists", "web"), wider)))
    zoe = person("zoe", alice.tenant, None, is_superuser=True)

    with pytest.raises(ConflictError, match="inside reaches private networks") as caught:
        decide(zoe, waiting)

    assert caught.value.code == "plan-stale"


def test_joining_asks_for_the_grant_again(alice, ada, network):
    approve_everything(alice.tenant)
    private = egress("inside", to(cidr="10.9.0.0/24"))
    waiting = propose(ada, edits.create(private), grant=True)
    assert not change_sets.needs_grant(waiting)

    joined = propose(ada, edits.create(egress()), into=waiting)

    assert change_sets.needs_grant(joined)


def test_nul_in_a_reason_is_refused(alice, network):
    with alice.acting() as actor, pytest.raises(InvalidError, match="NUL"):
        plans.propose(alice.tenant, edits.create(egress()), actor=actor, reason="a\0b")


@pytest.mark.parametrize(
    "name",
    ["", "/", "segments", "nothing/web", "segments/a/b/c", "segments/\0", "egress-policies/"],
)
def test_hostile_keys_of_what_was_seen_do_no_harm(alice, network, name):
    with alice.acting() as actor:
        plans.preview(alice.tenant, edits.create(egress()), actor=actor, seen={name: ""})


def test_two_plans_do_not_hold_the_same_tag(alice, network):
    holding(alice)
    other = replace(segment(300), name="other")

    with pytest.raises(ConflictError, match="is held for plan") as caught:
        propose(alice, edits.create(other))

    assert caught.value.code == "taken"
