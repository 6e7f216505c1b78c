"""One lock order: asserted before anybody waits, remembered while PostgreSQL keeps the locks."""

import contextlib

import pytest
from django.db import transaction

from tenants import locks
from tenants.locks import Level, LockOrderError
from tenants.models import Operation, platform_scope
from tenants.tests.factories import (
    AddressPoolFactory,
    OperationFactory,
    PrefixGrantFactory,
    TenantFactory,
    VlanRangeFactory,
    VniRangeFactory,
)


def test_locks_in_order_are_taken(acme):
    pool, vlans, vnis = AddressPoolFactory(), VlanRangeFactory(), VniRangeFactory()
    operation = OperationFactory(tenant=acme)

    with platform_scope("test"):
        assert locks.tenant(acme.pk) == acme
        locks.parents([pool, vnis, vlans])
        rows = locks.rows(Level.OPERATION, Operation.objects.filter(pk=operation.pk))

    assert rows == [operation]


def test_row_that_is_held_already_is_taken_again(acme):
    pool = AddressPoolFactory()

    with platform_scope("test"):
        locks.tenant(acme.pk)
        locks.parents([pool])
        locks.tenant(acme.pk)
        locks.parents([pool])


def test_tenant_after_a_parent_is_a_defect(acme):
    pool = AddressPoolFactory()

    with platform_scope("test"):
        locks.parents([pool])
        with pytest.raises(
            LockOrderError, match=rf"^tenant {acme.pk} was locked after address pool"
        ):
            locks.tenant(acme.pk)


def test_parents_of_one_kind_are_taken_by_key(db):
    first, second = AddressPoolFactory(), AddressPoolFactory()

    with platform_scope("test"):
        locks.parents([second, first])
    with platform_scope("test"):
        locks.parents([second])
        with pytest.raises(LockOrderError, match=r"^address pool"):
            locks.parents([first])


def test_parents_are_taken_by_kind(db):
    pool, vlans = AddressPoolFactory(), VlanRangeFactory()

    with platform_scope("test"):
        locks.parents([pool])
        with pytest.raises(LockOrderError, match=r"^VLAN range"):
            locks.parents([vlans])


def test_other_tenant_of_lower_key_is_a_defect(acme):
    later = TenantFactory()

    with platform_scope("test"):
        locks.tenant(later.pk)
        with pytest.raises(LockOrderError):
            locks.tenant(acme.pk)


def test_lock_goes_with_its_transaction(acme):
    grant = PrefixGrantFactory(tenant=acme)

    with platform_scope("test"):
        locks.parents([grant])
    with platform_scope("test"):
        locks.tenant(acme.pk)


def test_lock_goes_with_the_savepoint_that_is_rolled_back(acme):
    grant = PrefixGrantFactory(tenant=acme)

    with platform_scope("test"):
        with transaction.atomic():
            locks.parents([grant])
            transaction.set_rollback(True)
        locks.tenant(acme.pk)


@pytest.mark.django_db(transaction=True)
def test_lock_goes_with_a_real_transaction_too(services):
    tenant, pool = TenantFactory(), AddressPoolFactory()

    with platform_scope("test"):
        locks.parents([pool])
    with contextlib.suppress(ZeroDivisionError), platform_scope("test"):
        locks.parents([pool])
        raise ZeroDivisionError
    with platform_scope("test"):
        locks.tenant(tenant.pk)


def test_tenant_of_another_scope_is_not_there(acme):
    with platform_scope("test"), pytest.raises(type(acme).DoesNotExist):
        locks.tenant(0)
