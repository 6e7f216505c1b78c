"""Tenants take turns at the model."""

import pytest

from ragapp.models import Run
from ragapp.services import turns
from ragapp.services.answer import answer_next
from ragapp.tests.factories import RunFactory
from tenants.domain.states import OperationState
from tenants.models import platform_scope

pytestmark = pytest.mark.django_db(transaction=True)


def answered_in_order(*, at_once: int) -> list[str]:
    """Tenants in the order in which their runs are answered by ``at_once`` threads."""
    order, under_way = [], []
    with platform_scope("test"):
        while (run_id := turns.pick()) is not None:
            run = Run.objects.select_related("tenant").get(pk=run_id)
            order.append(run.tenant.slug)
            Run.objects.filter(pk=run_id).update(state=OperationState.RUNNING.value)
            under_way.append(run_id)
            if len(under_way) == at_once:
                Run.objects.filter(pk=under_way.pop(0)).update(state=OperationState.SUCCEEDED.value)
    return order


@pytest.mark.parametrize("at_once", [1, 4])
def test_thirty_questions_of_one_tenant_delay_nobody_else(acme, globex, at_once):
    RunFactory.create_batch(30, tenant=acme, state=OperationState.QUEUED)
    RunFactory.create_batch(2, tenant=globex, state=OperationState.QUEUED)

    order = answered_in_order(at_once=at_once)

    assert [slug for slug in order if slug == globex.slug] == [globex.slug] * 2
    assert len(order) == 32
    # Both are among the first four, though thirty came before them.
    assert order[:4].count(globex.slug) == 2


def test_one_tenants_questions_are_answered_in_order(acme):
    runs = RunFactory.create_batch(3, tenant=acme, state=OperationState.QUEUED)

    picked = []
    for _ in runs:
        picked.append(turns.pick())
        with platform_scope("test"):
            Run.objects.filter(pk=picked[-1]).update(state=OperationState.SUCCEEDED.value)

    assert picked == [run.pk for run in runs]
    assert turns.pick() is None


def test_a_message_answers_whose_turn_it_is(acme, globex, settings, services):
    settings.GENERATOR = "/nowhere"
    RunFactory.create_batch(2, tenant=acme, state=OperationState.QUEUED)
    RunFactory(tenant=globex, state=OperationState.QUEUED)

    for _ in range(4):
        answer_next()

    with platform_scope("test"):
        states = set(Run.objects.values_list("state", flat=True))
    assert states == {OperationState.FAILED.value}
