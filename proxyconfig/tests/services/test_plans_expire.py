"""Plans on which nobody decides in time: refused from then on, ended by the sweep."""

from datetime import timedelta

import pytest
from django.utils import timezone

from proxyconfig.domain import edits
from proxyconfig.models import Plan
from proxyconfig.services import change_sets, decisions, plans
from proxyconfig.tests.services.test_plans import again, decide, egress, open_wide, propose, rows
from tenants.domain.roles import Role
from tenants.domain.states import ChangeState
from tenants.errors import ConflictError
from tenants.models import tenant_scope
from tenants.tests.people import Person, person


@pytest.fixture
def erin(acme) -> Person:
    """A second NetOps of acme."""
    return person("erin", acme, Role.NETOPS)


def test_nobody_decides_in_time(alice, network, settings):
    waiting = open_wide(alice)
    later = timezone.now() + timedelta(days=settings.CHANGE_SET_DAYS, seconds=1)

    assert decisions.expire(timezone.now()) == 0
    assert decisions.expire(later) == 1

    with tenant_scope(alice.tenant.pk):
        ended = Plan.objects.get(pk=waiting.pk)
    assert (ended.state, ended.decided_by) == (ChangeState.CANCELLED, change_sets.EXPIRED)
    with pytest.raises(ConflictError, match="nothing to decide"):
        decide(person("zoe", alice.tenant, Role.NETOPS), waiting)


def test_expired_plan_is_refused_before_and_after_the_sweep_in_the_same_words(alice, erin, network):
    waiting = expired(open_wide(alice))
    attempts = (
        lambda: decide(erin, waiting),
        lambda: propose(alice, edits.create(egress()), into=waiting),
        lambda: again(alice, waiting),
        lambda: look(alice, edits.create(egress()), into=waiting),
    )

    early = [refusal(attempt) for attempt in attempts]
    with alice.acting() as actor:
        joinable = list(change_sets.open_change_sets(alice.tenant, actor))
    decisions.expire(timezone.now())

    assert (early, joinable) == (4 * [("plan-decided", EXPIRED_WORDS.format(waiting.pk))], [])
    assert [refusal(attempt) for attempt in attempts] == early
    assert rows(alice.tenant).ingress_policies == ()


def test_expired_plan_can_still_be_withdrawn(alice, network):
    waiting = expired(open_wide(alice))

    with alice.acting() as actor:
        ended = decisions.cancel(waiting, actor=actor)

    assert (ended.state, ended.decided_by) == (ChangeState.CANCELLED, "alice")


EXPIRED_WORDS = "Plan {} has expired, so there is nothing to decide. Make a new plan."


def expired(plan: Plan) -> Plan:
    """The plan, a moment after its time was over and before the sweep comes."""
    plan.expires_at = timezone.now() - timedelta(seconds=1)
    with tenant_scope(plan.tenant_id):
        plan.save(update_fields=["expires_at"])
    return plan


def look(who: Person, edit, **terms) -> Plan:
    with who.acting() as actor:
        return plans.preview(who.tenant, edit, actor=actor, **terms).plan


def refusal(attempt) -> tuple[str, str]:
    with pytest.raises(ConflictError) as caught:
        attempt()
    return caught.value.code, caught.value.message
