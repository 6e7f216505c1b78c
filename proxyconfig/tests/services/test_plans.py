"""The way of a plan: proposed, decided, superseded, rolled back, or only looked at."""

import dataclasses

import pytest
from django.db import connection

from proxyconfig.domain import manifest
from proxyconfig.models import (
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Placement,
    Plan,
    Revision,
)
from proxyconfig.services import plans, policies, revisions
from proxyconfig.services.intent import build_intent
from proxyconfig.tests.conftest import SNAT_ADDRESS
from proxyconfig.tests.services.drafts import egress, ingress, private
from tenants.domain.roles import Role
from tenants.domain.states import ChangeState, OperationState
from tenants.errors import ConflictError, ForbiddenError, InvalidError
from tenants.models import AuditEntry, Operation, SnatAddress, Tenant
from tenants.services import segments
from tenants.tests.factories import ClusterFactory, MembershipFactory
from tenants.tests.people import person

pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture
def dora(acme):
    """A second NetOps of acme."""
    return person("dora", acme, Role.NETOPS)


@pytest.fixture
def careful(alice):
    """Acme with a second person for every change."""
    with alice.acting():
        Tenant.objects.filter(pk=alice.tenant.pk).update(auto_apply=False)
    return alice


@pytest.fixture
def waiting(careful) -> Plan:
    """A plan of Alice's that a second person has to approve."""
    with careful.acting() as actor:
        return policies.save_ingress(careful.tenant, ingress(), actor=actor, reason="open it")


def test_approved_plan_becomes_a_revision_with_its_operation(alice):
    with alice.acting() as actor:
        plan = policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open it")

        revision = Revision.objects.get()
        operation = Operation.objects.get()
    assert (revision.generation, revision.plan_id) == (1, plan.pk)
    assert revision.intent_hash == plan.intent_hash
    assert manifest.intent_hash(manifest.from_mapping(revision.intent)) == plan.intent_hash
    assert operation.title == "Apply revision 1: 1 added, 0 changed, 0 deleted"
    assert (operation.target_id, operation.state) == (plan.pk, OperationState.QUEUED)


def test_plan_says_what_changes_without_secrets(alice):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open it")
        plan = policies.save_egress(alice.tenant, egress(), actor=actor, reason="docs")

    (entry,) = plan.entries
    assert (entry["action"], entry["kind"], entry["name"]) == ("update", "EgressTenant", "acme")
    assert [change["path"] for change in entry["changes"]] == ["rules[acme/docs/1]"]


def test_first_change_places_the_tenant_where_it_holds_something(alice, cluster):
    with alice.acting() as actor:
        plans.propose(alice.tenant, actor=actor, reason="begin")

        assert [placement.cluster for placement in Placement.objects.all()] == [cluster]


def test_change_of_the_network_makes_a_plan(alice, cluster):
    with alice.acting() as actor:
        segments.add_snat_address(alice.tenant, cluster, "127.120.1.9", actor=actor)

        plan = Plan.objects.get()
    assert (plan.state, plan.reason) == (ChangeState.APPROVED, "Add SNAT address 127.120.1.9")
    assert plan.intent["spec"]["snatPools"][0]["addresses"] == [SNAT_ADDRESS, "127.120.1.9"]


def test_plan_without_a_change_raises_nothing(alice):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open it")

        plan = plans.propose(alice.tenant, actor=actor, reason="again")

        assert Revision.objects.count() == 1
    assert (plan.state, plan.decided_by) == (ChangeState.APPLIED, plans.NO_CHANGE)
    assert alice.tenant.generation == 1


def test_tenant_with_a_second_person_for_everything_waits(waiting):
    assert waiting.state == ChangeState.AWAITING_APPROVAL
    assert [finding["code"] for finding in waiting.findings] == ["approval-required"]


def test_second_person_approves(waiting, dora, broker):
    with broker.taking() as sent, dora.acting() as actor:
        plan = plans.approve(Plan.objects.get(pk=waiting.pk), actor=actor, comment="looks right")

        tenant = Tenant.objects.get(pk=dora.tenant.pk)
    assert (plan.state, plan.decided_by) == (ChangeState.APPROVED, "dora")
    assert plan.decision_comment == "looks right"
    assert tenant.generation == 1
    assert len(sent) == 1


def test_author_cannot_approve_the_own_plan(waiting, alice):
    with alice.acting() as actor, pytest.raises(ForbiddenError, match="proposed plan"):
        plans.approve(waiting, actor=actor, comment="fine")


def test_author_cannot_approve_under_a_tokens_name(waiting, alice):
    disguised = dataclasses.replace(alice.actor, name="token:ci")

    with alice.acting(), pytest.raises(ForbiddenError):
        plans.approve(waiting, actor=disguised, comment="fine")


def test_author_cannot_approve_the_own_part_in_anothers_plan(waiting, alice, dora):
    with dora.acting() as actor:
        both = policies.save_egress(dora.tenant, egress(), actor=actor, reason="and docs")

    for author in (alice, dora):
        with author.acting() as actor, pytest.raises(ForbiddenError, match="a part of it"):
            plans.approve(both, actor=actor, comment="fine")


def test_author_of_what_was_turned_down_approves_what_came_after(waiting, alice, dora):
    with dora.acting() as actor:
        both = policies.save_egress(dora.tenant, egress(), actor=actor, reason="and docs")
        plans.cancel(both, actor=actor)
        docs = policies.save_egress(dora.tenant, egress(), actor=actor, reason="docs alone")

    with alice.acting() as actor:
        approved = plans.approve(docs, actor=actor, comment="fine")

    assert approved.state == ChangeState.APPROVED


def test_reader_cannot_decide(waiting, bob):
    with bob.acting() as actor:
        with pytest.raises(ForbiddenError):
            plans.approve(waiting, actor=actor, comment="fine")
        with pytest.raises(ForbiddenError):
            plans.refuse(waiting, actor=actor, comment="no")
        with pytest.raises(ForbiddenError):
            plans.cancel(waiting, actor=actor)


@pytest.mark.parametrize("decide", [plans.approve, plans.refuse])
def test_decision_needs_a_comment(waiting, dora, decide):
    with dora.acting() as actor, pytest.raises(InvalidError) as refused:
        decide(waiting, actor=actor, comment=" ")

    assert list(refused.value.fields) == ["comment"]


@pytest.mark.parametrize(
    ("decide", "state"),
    [(plans.refuse, ChangeState.REFUSED), (plans.cancel, ChangeState.CANCELLED)],
)
def test_plan_turned_down_leaves_the_rows_as_they_were(waiting, dora, decide, state):
    with dora.acting() as actor:
        plan = decide(waiting, actor=actor, comment="not now")

        assert plan.state == state
        assert not IngressPolicy.objects.exists()
        with pytest.raises(ConflictError, match="nothing to decide"):
            plans.approve(waiting, actor=actor, comment="after all")


def test_author_may_cancel(waiting, alice):
    with alice.acting() as actor:
        assert plans.cancel(waiting, actor=actor).state == ChangeState.CANCELLED


def test_newer_plan_supersedes_the_one_that_waits(waiting, careful, dora):
    with careful.acting() as actor:
        newer = policies.save_egress(careful.tenant, egress(), actor=actor, reason="and docs")

    with dora.acting() as actor:
        older = Plan.objects.get(pk=waiting.pk)
        assert older.state == ChangeState.SUPERSEDED
        with pytest.raises(ConflictError):
            plans.approve(older, actor=actor, comment="this one")
        plans.approve(newer, actor=actor, comment="both")
        names = [policy.name for policy in revisions.current_intent(dora.tenant).egress_policies]
    assert names == ["docs"]


def test_newer_revision_supersedes_the_one_that_is_not_applied_yet(alice):
    with alice.acting() as actor:
        first = policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open it")
        policies.save_egress(alice.tenant, egress(), actor=actor, reason="docs")

        states = list(Plan.objects.order_by("pk").values_list("state", flat=True))
        operation = Operation.objects.get(target_id=first.pk)
    assert states == [ChangeState.SUPERSEDED, ChangeState.APPROVED]
    assert operation.state == OperationState.CANCELLED


def test_stale_plan_is_refused_and_says_to_plan_again(waiting, dora):
    with dora.acting() as actor:
        Tenant.objects.get(pk=dora.tenant.pk).raise_generation()

        with pytest.raises(ConflictError, match="Plan again") as refused:
            plans.approve(waiting, actor=actor, comment="fine")
    assert refused.value.code == "plan-stale"


def test_approval_is_bound_to_what_was_read(waiting, dora):
    with dora.acting() as actor:
        changed = Plan.objects.get(pk=waiting.pk)
        changed.intent["spec"]["ingressPolicies"][0]["pathPrefix"] = "/other"
        changed.save()

        with pytest.raises(ConflictError, match="not what you read"):
            plans.approve(waiting, actor=actor, comment="fine")


def test_rows_that_changed_past_the_plan_make_it_stale(waiting, dora):
    with dora.acting() as actor:
        IngressPolicy.objects.update(path_prefix="/other")

        with pytest.raises(ConflictError, match="Plan again"):
            plans.approve(waiting, actor=actor, comment="fine")


def test_private_network_is_granted_by_the_administrators_approval_only(alice, dora, ada):
    with alice.acting() as actor:
        plan = policies.save_egress(alice.tenant, egress(private()), actor=actor, reason="search")
    with dora.acting() as actor, pytest.raises(ForbiddenError, match="platform administrator"):
        plans.approve(plan, actor=actor, comment="fine")

    with ada.acting() as actor:
        plans.approve(plan, actor=actor, comment="checked")

        rule = EgressRule.objects.get()
        (policy,) = revisions.current_intent(ada.tenant).egress_policies
        entry = AuditEntry.objects.get(event="plan.approved")
    assert rule.granted_by == ada.user
    assert policy.rules[0].granted
    assert entry.detail == {"granted": 1}


def test_withdrawn_grant_does_not_come_back_by_rolling_back(alice, ada):
    with ada.acting() as actor:
        policies.save_egress(ada.tenant, egress(private()), actor=actor, reason="search")
        granted = Revision.objects.get()
        policy = EgressPolicy.objects.get()
        policies.delete_egress(policy, actor=actor, reason="no longer")

    with alice.acting() as actor:
        plan = plans.rollback(granted, actor=actor, reason="back")

        assert not EgressRule.objects.get().is_granted
    assert [finding["code"] for finding in plan.findings] == ["private-destination"]


def test_roll_back_makes_the_older_intent_current_again(alice):
    with alice.acting() as actor:
        policies.save_ingress(
            alice.tenant, ingress(allowed_sources=("10.0.0.0/8",)), actor=actor, reason="open"
        )
        first = Revision.objects.get()
        policy = IngressPolicy.objects.get()
        second = policies.delete_ingress(policy, actor=actor, reason="close")
        Plan.objects.filter(pk=second.pk).update(state=ChangeState.APPLIED.value)

        plan = plans.rollback(first, actor=actor, reason="was a mistake")

        assert manifest.intent_hash(build_intent(alice.tenant)) == first.intent_hash
        assert IngressPolicy.objects.get().allowed_sources == ["10.0.0.0/8"]
        second.refresh_from_db()
        assert plan.revision.generation == 3
    assert plan.state == ChangeState.APPROVED
    assert second.state == ChangeState.ROLLED_BACK


def test_roll_back_takes_a_policy_out_of_a_namespace_that_came_later(alice, cluster):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open")
        first = Revision.objects.get()
        segments.add_namespace(alice.tenant, cluster, "later", actor=actor)
        policy = IngressPolicy.objects.get()
        moved = ingress(namespace="later")
        policies.save_ingress(alice.tenant, moved, actor=actor, reason="move", policy=policy)

        plans.rollback(first, actor=actor, reason="was a mistake")

        assert manifest.intent_hash(build_intent(alice.tenant)) == first.intent_hash
        assert IngressPolicy.objects.get().namespace.name == "acme-rag"


def test_roll_back_to_the_current_revision_is_refused(alice):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open")

        with pytest.raises(ConflictError, match="is the current one"):
            plans.rollback(Revision.objects.get(), actor=actor, reason="back")


def test_roll_back_names_what_has_another_owner_by_now(alice, charlie, cluster):
    with alice.acting() as actor:
        policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="open")
        first = Revision.objects.get()
        segments.remove(SnatAddress.objects.get(), actor=actor)
    with charlie.acting() as actor:
        segments.add_snat_address(charlie.tenant, cluster, SNAT_ADDRESS, actor=actor)

    with alice.acting() as actor, pytest.raises(ConflictError) as refused:
        plans.rollback(first, actor=actor, reason="back")

    assert f"SNAT address {SNAT_ADDRESS} has another owner" in refused.value.message
    assert "globex" not in refused.value.message


def test_preview_tells_the_plan_and_leaves_nothing(alice, broker):
    with broker.taking() as sent, alice.acting() as actor:
        plan = plans.preview(
            alice.tenant,
            lambda: policies.save_ingress(alice.tenant, ingress(), actor=actor, reason="x"),
        )

        assert not IngressPolicy.objects.exists()
        assert not Plan.objects.exists()
        assert not AuditEntry.objects.exists()
        assert connection.needs_rollback is False
    assert plan.pk is None
    assert (plan.state, plan.summary) == (ChangeState.PLANNED, "1 added, 0 changed, 0 deleted")
    assert sent == []


def test_preview_shows_why_it_would_wait(alice):
    with alice.acting() as actor:
        plan = plans.preview(
            alice.tenant,
            lambda: policies.save_egress(alice.tenant, egress(private()), actor=actor, reason="x"),
        )

    assert plan.state == ChangeState.AWAITING_APPROVAL
    assert [finding["code"] for finding in plan.findings] == ["private-destination"]


def test_preview_of_a_refused_change_raises_and_leaves_nothing(alice):
    with alice.acting() as actor:
        with pytest.raises(InvalidError):
            plans.preview(
                alice.tenant,
                lambda: policies.save_ingress(
                    alice.tenant, ingress(namespace="no"), actor=actor, reason="x"
                ),
            )

        assert not IngressPolicy.objects.exists()


def test_tenants_of_two_clusters_are_placed_on_both(alice, cluster):
    other = ClusterFactory(name="second")
    with alice.acting() as actor:
        segments.add_snat_address(alice.tenant, other, "127.120.1.7", actor=actor)

        placed = list(Placement.objects.order_by("pk").values_list("cluster__name", flat=True))
    assert sorted(placed) == [cluster.name, "second"]


def test_strangers_plan_is_not_there(alice, charlie):
    MembershipFactory(tenant=charlie.tenant)
    with charlie.acting() as actor:
        plan = plans.propose(charlie.tenant, actor=actor, reason="begin")

    with alice.acting():
        assert not Plan.objects.filter(pk=plan.pk).exists()
