"""Limits: exact under concurrency, given back by a rollback, and set by whose right it is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tenants.domain.quota import Resource
from tenants.errors import ForbiddenError, InvalidError, QuotaError
from tenants.models import AuditEntry, Operation, QuotaUse, platform_scope, tenant_scope
from tenants.services import quotas
from tenants.services.quotas import Want, charge, clear_limit, set_limit, standings, take
from tenants.tests.factories import ApiTokenFactory, OperationFactory, QuotaFactory

MINUTE, BYTES, SLOTS = (
    Resource.REQUESTS_PER_MINUTE,
    Resource.CORPUS_BYTES,
    Resource.CONCURRENT_RUNS,
)


def used(tenant, resource: Resource, token=None) -> int:
    with tenant_scope(tenant.pk):
        found = standings(tenant.pk, token_id=token.pk if token else None)
    return next(standing.used for standing in found if standing.resource is resource)


def at_once(count: int, attempt: Callable[[], None]) -> int:
    """How many of ``count`` attempts, each on a connection of its own, were admitted."""

    def one(_: int) -> bool:
        try:
            attempt()
        except QuotaError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(12) as pool:
        return sum(pool.map(one, range(count)))


def test_refusal_says_what_is_used_and_when_it_resets(acme):
    QuotaFactory(tenant=acme, resource=MINUTE, limit=2)
    now = timezone.now().replace(second=20, microsecond=0)
    with tenant_scope(acme.pk):
        take(acme, Want(MINUTE, 2), now=now)

        with pytest.raises(QuotaError) as refused:
            take(acme, Want(MINUTE), now=now)

    error = refused.value
    assert (error.status, error.retry_after_seconds) == (429, 40)
    assert error.data == {
        "resource": "requests-per-minute",
        "scope": "tenant",
        "used": 2,
        "limit": 2,
        "remaining": 0,
        "requested": 1,
        "window_seconds": 60,
        "resets_at": (now.replace(second=0) + timedelta(minutes=1)).isoformat(),
    }
    assert "2 of 2 are used" in error.message


def test_next_window_is_empty(acme):
    QuotaFactory(tenant=acme, resource=MINUTE, limit=1)
    now = timezone.now()
    with tenant_scope(acme.pk):
        take(acme, Want(MINUTE), now=now)
        take(acme, Want(MINUTE), now=now + timedelta(minutes=1))


def test_spent_stock_is_a_conflict_that_waiting_does_not_mend(acme):
    QuotaFactory(tenant=acme, resource=BYTES, limit=100)
    with tenant_scope(acme.pk):
        take(acme, Want(BYTES, 70))
        with pytest.raises(QuotaError, match="Delete documents") as refused:
            take(acme, Want(BYTES, 31))
        charge(acme.pk, BYTES, -50)
        take(acme, Want(BYTES, 80))

    assert (refused.value.status, refused.value.retry_after_seconds) == (409, None)
    assert used(acme, BYTES) == 100


def test_more_than_the_whole_limit_is_refused_at_the_first_asking(acme):
    QuotaFactory(tenant=acme, resource=BYTES, limit=100)
    with tenant_scope(acme.pk), pytest.raises(QuotaError):
        take(acme, Want(BYTES, 101))

    assert used(acme, BYTES) == 0


def test_rollback_gives_everything_back(acme):
    with tenant_scope(acme.pk):
        with transaction.atomic():
            take(acme, Want(MINUTE), Want(BYTES, 5))
            transaction.set_rollback(True)
        assert not QuotaUse.objects.exists()


def test_refusal_of_one_takes_nothing_of_the_others(acme):
    QuotaFactory(tenant=acme, resource=Resource.REQUESTS_PER_DAY, limit=0)
    with tenant_scope(acme.pk), pytest.raises(QuotaError):
        take(acme, Want(MINUTE), Want(Resource.REQUESTS_PER_DAY), Want(BYTES, 9))

    assert (used(acme, MINUTE), used(acme, BYTES)) == (0, 0)


def test_token_has_its_own_limit_within_the_tenants(acme):
    token = ApiTokenFactory(tenant=acme)
    QuotaFactory(tenant=acme, token=token, resource=MINUTE, limit=1)
    with tenant_scope(acme.pk):
        take(acme, Want(MINUTE), token_id=token.pk)
        with pytest.raises(QuotaError, match="this API token") as refused:
            take(acme, Want(MINUTE), token_id=token.pk)
        take(acme, Want(MINUTE))

    assert refused.value.data["scope"] == "token"
    assert (used(acme, MINUTE), used(acme, MINUTE, token)) == (2, 1)


def test_charge_counts_beyond_the_limit_and_below_nothing(acme):
    QuotaFactory(tenant=acme, resource=Resource.TOKENS_PER_DAY, limit=10)
    with tenant_scope(acme.pk):
        charge(acme.pk, Resource.TOKENS_PER_DAY, 25)
        charge(acme.pk, BYTES, -5)

    assert (used(acme, Resource.TOKENS_PER_DAY), used(acme, BYTES)) == (25, 0)


def test_another_tenants_use_counts_for_nobody_else(acme, globex):
    QuotaFactory(tenant=acme, resource=MINUTE, limit=1)
    with tenant_scope(globex.pk):
        for _ in range(3):
            take(globex, Want(MINUTE))
    with tenant_scope(acme.pk):
        take(acme, Want(MINUTE))

    assert (used(acme, MINUTE), used(globex, MINUTE)) == (1, 3)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("resource", "amount"), [(MINUTE, 1), (BYTES, 7)])
def test_limit_is_exact_under_concurrency(acme, resource, amount):
    limit = 20 * amount + amount - 1
    QuotaFactory(tenant=acme, resource=resource, limit=limit)
    now = timezone.now()

    def attempt() -> None:
        with tenant_scope(acme.pk):
            take(acme, Want(resource, amount), now=now)

    assert at_once(90, attempt) == limit // amount
    with tenant_scope(acme.pk):
        assert QuotaUse.objects.get().used == limit // amount * amount


@pytest.mark.django_db(transaction=True)
def test_slots_are_exact_under_concurrency_and_heal_with_their_rows(acme):
    QuotaFactory(tenant=acme, resource=SLOTS, limit=5)

    def rows(token_id: int | None) -> int:
        return Operation.objects.filter(tenant_id=acme.pk).count()

    def attempt() -> None:
        with tenant_scope(acme.pk):
            take(acme, Want(SLOTS, held=rows))
            OperationFactory(tenant=acme)

    assert at_once(40, attempt) == 5
    with platform_scope("test"):
        Operation.objects.first().delete()
    assert at_once(10, attempt) == 1


def test_platform_admin_sets_a_tenants_limit_and_it_is_audited(ada, acme):
    with ada.acting() as actor:
        set_limit(acme, MINUTE, 7, actor=actor)
        set_limit(acme, MINUTE, 9, actor=actor)
        found = next(s for s in standings(acme.pk) if s.resource is MINUTE)
        clear_limit(acme, MINUTE, actor=actor)
        events = list(AuditEntry.objects.order_by("pk").values_list("event", flat=True))

    assert (found.limit, found.is_default) == (9, False)
    assert events == ["quota.set", "quota.set", "quota.cleared"]


def test_netops_limit_tokens_and_not_the_tenant(alice, acme):
    token = ApiTokenFactory(tenant=acme)
    QuotaFactory(tenant=acme, resource=MINUTE, limit=10)
    with alice.acting() as actor:
        set_limit(acme, MINUTE, 10, actor=actor, token=token)
        with pytest.raises(InvalidError, match="may have 10"):
            set_limit(acme, MINUTE, 11, actor=actor, token=token)
        with pytest.raises(InvalidError, match="a token has no limit"):
            set_limit(acme, BYTES, 1, actor=actor, token=token)
        with pytest.raises(ForbiddenError, match="platform administrator"):
            set_limit(acme, MINUTE, 11, actor=actor)


def test_reader_limits_nothing(bob, acme):
    token = ApiTokenFactory(tenant=acme)
    with bob.acting() as actor, pytest.raises(ForbiddenError, match="netops"):
        set_limit(acme, MINUTE, 1, actor=actor, token=token)


@pytest.mark.parametrize("limit", [-1, 2**63])
def test_limit_out_of_range_is_refused(ada, acme, limit):
    with ada.acting() as actor, pytest.raises(InvalidError):
        set_limit(acme, MINUTE, limit, actor=actor)


def test_old_windows_are_forgotten_and_stocks_are_not(acme):
    now = timezone.now()
    with tenant_scope(acme.pk):
        take(acme, Want(MINUTE), now=now - timedelta(days=9))
        take(acme, Want(MINUTE), Want(BYTES, 3), now=now)

    assert quotas.forget_windows(now) == 1
    assert (used(acme, MINUTE), used(acme, BYTES)) == (1, 3)
