"""Nobody is offered what they may not do: each role follows each link and presses each button."""

import pytest
from django.utils import timezone

from portal.tests.conftest import Furnished
from portal.tests.offers import refused
from portal.tests.test_pages import PAGES, address
from ragapp.tests.factories import RunFactory
from tenants.domain.roles import PlatformRole, Role
from tenants.domain.states import OperationState
from tenants.tests.factories import (
    AddressPoolFactory,
    OperationFactory,
    PrefixGrantFactory,
    VlanRangeFactory,
    VniRangeFactory,
)
from tenants.tests.people import person

_PLATFORM = ("/", "/platform/tenants/", "/platform/address-space/", "/platform/templates/")


@pytest.fixture
def full(furnished, acme, cluster) -> Furnished:
    """acme with work that runs, and an address space."""
    OperationFactory(tenant=acme, state=OperationState.RUNNING.value)
    RunFactory(
        tenant=acme, asked_by="dana", state=OperationState.SUCCEEDED.value, ended_at=timezone.now()
    )
    VlanRangeFactory(cluster=cluster)
    VniRangeFactory(cluster=cluster)
    PrefixGrantFactory(
        tenant=acme, pool=AddressPoolFactory(name="virtual", prefix="127.110.0.0/16")
    )
    return furnished


@pytest.mark.parametrize("role", Role)
def test_no_member_is_offered_what_is_refused(full, acme, role):
    starts = ["/", *(address(name, full) for name in PAGES)]

    assert refused(person("dana", acme, role).client, starts) == {}


@pytest.mark.parametrize("role", PlatformRole)
def test_no_platform_role_is_offered_what_is_refused(full, acme, role):
    dana = person("dana", acme, None, platform_role=role, is_superuser=role is PlatformRole.ADMIN)
    starts = [*_PLATFORM, *(address(name, full) for name in PAGES)]

    assert refused(dana.client, starts) == {}


@pytest.mark.parametrize("role", [*Role, *PlatformRole])
def test_nobody_is_offered_first_steps_that_they_may_not_take(acme, role):
    is_member = isinstance(role, Role)
    dana = person(
        "dana",
        acme,
        role if is_member else None,
        platform_role=None if is_member else role,
        is_superuser=role is PlatformRole.ADMIN,
    )

    assert refused(dana.client, ["/t/acme/"]) == {}
