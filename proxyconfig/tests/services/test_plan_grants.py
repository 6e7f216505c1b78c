"""Grants of private networks: asked for by plans, given by platform administrators alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from proxyconfig.domain import edits
from proxyconfig.domain.objects import Key
from proxyconfig.models import Revision
from proxyconfig.services import change_sets, plans
from proxyconfig.tests.services.test_plans import decide, dora, egress, erin, propose, rows, to
from tenants.domain.roles import Role
from tenants.domain.states import ChangeState
from tenants.errors import ForbiddenError, InvalidError
from tenants.models import tenant_scope
from tenants.tests.people import person

__all__ = ["dora", "erin"]

pytestmark = pytest.mark.django_db


def test_private_network_waits_for_an_explicit_grant(alice, erin, ada, network):
    private = egress("inside", to(cidr="10.9.0.0/24"))
    waiting = propose(alice, edits.create(private))

    assert change_sets.needs_grant(waiting)
    with pytest.raises(ForbiddenError, match="platform administrator"):
        decide(erin, waiting)
    with pytest.raises(InvalidError, match="Tick the grant"):
        decide(ada, waiting)
    decide(ada, waiting, grant=True)

    (policy,) = rows(alice.tenant).egress_policies
    assert policy.rules[0].granted is not None
    assert policy.rules[0].granted.by == "ada"
    assert policy.rules[0].granted.at is not None


def test_platform_administrator_grants_only_when_asking_for_it(ada, network):
    private = egress("inside", to(cidr="10.9.0.0/24"))

    assert propose(ada, edits.create(private)).state == ChangeState.AWAITING_APPROVAL
    granted = propose(ada, edits.create(replace(private, name="again")), grant=True)

    assert granted.state == ChangeState.APPROVED
    with pytest.raises(ForbiddenError):
        propose(person("paul", ada.tenant, Role.NETOPS), edits.create(private), grant=True)


def test_roll_back_brings_no_withdrawn_grant_back(alice, ada, network):
    propose(ada, edits.create(egress("inside", to(cidr="10.9.0.0/24"))), grant=True)
    with tenant_scope(alice.tenant.pk):
        granted = Revision.objects.latest("generation")
    propose(alice, edits.delete(Key("egress-policies", "inside")))

    with alice.acting() as actor:
        plan = plans.rollback(granted, actor=actor, reason="undo")

    assert plan.state == ChangeState.AWAITING_APPROVAL
    assert change_sets.needs_grant(plan)


def test_editing_the_rest_of_a_policy_keeps_its_grant(dora, ada, network):
    policy = egress("inside", to(cidr="10.9.0.0/24"))
    propose(ada, edits.create(policy), grant=True)

    plan = propose(dora, edits.save_egress(replace(policy, owner="data team"), name="inside"))

    assert plan.state == ChangeState.APPROVED
    assert rows(dora.tenant).egress_policies[0].rules[0].granted.by == "ada"


def test_narrower_rule_keeps_its_grant(dora, ada, network):
    propose(ada, edits.create(egress("inside", to(cidr="10.9.0.0/24"))), grant=True)

    halves = egress("inside", to(cidr="10.9.0.0/25"), replace(to(cidr="10.9.0.128/25"), order=20))
    plan = propose(dora, edits.save_egress(halves, name="inside"))

    assert plan.state == ChangeState.APPROVED
    assert [rule.granted.by for rule in rows(dora.tenant).egress_policies[0].rules] == ["ada"] * 2


def test_later_expiry_of_a_granted_network_asks_again(dora, ada, network):
    soon = timezone.now() + timedelta(days=1)
    policy = replace(egress("inside", to(cidr="10.9.0.0/24")), expires_at=soon)
    propose(ada, edits.create(policy), grant=True)

    plan = propose(dora, edits.save_egress(replace(policy, expires_at=None), name="inside"))

    assert change_sets.needs_grant(plan)


def test_plan_for_a_private_network_says_what_it_opens(dora, network):
    plan = propose(dora, edits.save_egress(egress("inside", to(cidr="10.9.0.0/24"))))

    assert plan.effects == ["Workloads can reach 10.9.0.0/24 on port 443"]
