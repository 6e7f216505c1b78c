"""A pause lasts until somebody ends it, or until its own end."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from tenants.domain.roles import PlatformRole
from tenants.errors import ConflictError, ForbiddenError, InvalidError
from tenants.models import AuditEntry, Tenant, platform_scope
from tenants.services.pausing import is_paused, pause, resume
from tenants.tests.people import Person, person

# Long past, whenever the tests run.
NOW = datetime(2020, 11, 24, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("paused", [True, False])
def test_pause_without_an_end_is_what_the_tenant_says(paused):
    assert is_paused(Tenant(is_paused=paused), NOW) is paused


@pytest.mark.parametrize(
    ("until", "expected"), [(None, True), (NOW + MINUTE, True), (NOW, False), (NOW - MINUTE, False)]
)
def test_pause_is_over_at_its_end(until, expected):
    assert is_paused(SimpleNamespace(is_paused=True, paused_until=until), NOW) is expected


def tenant_of(who: Person) -> Tenant:
    with platform_scope("test"):
        return Tenant.objects.get(pk=who.tenant.pk)


def test_a_pause_is_kept_with_its_reason_and_on_record(alice, broker):
    until = timezone.now() + timedelta(days=1)

    with alice.acting() as actor:
        pause(alice.tenant, actor=actor, reason=" maintenance ", until=until)

    paused = tenant_of(alice)
    assert (paused.is_paused, paused.paused_until) == (True, until)
    assert (paused.paused_reason, paused.paused_by) == ("maintenance", "alice")
    with platform_scope("test"):
        entry = AuditEntry.objects.get(event="tenant.paused")
    assert (entry.reason, entry.actor) == ("maintenance", "alice")


def test_the_end_of_a_pause_forgets_it_and_is_on_record(alice, broker):
    with alice.acting() as actor:
        pause(alice.tenant, actor=actor, reason="maintenance")
        resume(alice.tenant, actor=actor, reason="done")

    resumed = tenant_of(alice)
    assert (resumed.is_paused, resumed.paused_until) == (False, None)
    assert (resumed.paused_reason, resumed.paused_by) == ("", "")
    with platform_scope("test"):
        assert AuditEntry.objects.get(event="tenant.resumed").reason == "done"


def test_a_suspension_is_on_record_as_one_and_ends_with_the_pause(alice, broker):
    with alice.acting() as actor:
        pause(alice.tenant, actor=actor, reason="unpaid", suspends=True)
    assert tenant_of(alice).is_suspended

    with alice.acting() as actor:
        resume(alice.tenant, actor=actor, reason="paid")

    assert not tenant_of(alice).is_suspended
    with platform_scope("test"):
        assert AuditEntry.objects.get(event="tenant.suspended").reason == "unpaid"


def test_a_suspended_tenant_resumes_before_it_is_paused(alice, broker):
    with alice.acting() as actor:
        pause(alice.tenant, actor=actor, reason="maintenance")
        pause(alice.tenant, actor=actor, reason="unpaid", suspends=True)
        with pytest.raises(ConflictError, match="Resume it first"):
            pause(alice.tenant, actor=actor, reason="paid, and now maintenance")

    assert tenant_of(alice).is_suspended


def test_platform_netops_pause_too_and_readers_and_auditors_do_not(acme, bob, broker):
    nora = person("nora", acme, None, platform_role=PlatformRole.NETOPS)
    otto = person("otto", acme, None, platform_role=PlatformRole.AUDITOR)

    with nora.acting() as actor:
        pause(acme, actor=actor, reason="maintenance")

    for who in (bob, otto):
        with who.acting() as actor, pytest.raises(ForbiddenError):
            resume(acme, actor=actor, reason="mine")
    assert tenant_of(bob).is_paused


@pytest.mark.parametrize(
    ("reason", "until", "field"),
    [
        (" ", None, "reason"),
        ("x" * 301, None, "reason"),
        ("maintenance", NOW, "until"),
    ],
)
def test_a_pause_wants_a_reason_and_an_end_to_come(alice, reason, until, field):
    with alice.acting() as actor, pytest.raises(InvalidError) as caught:
        pause(alice.tenant, actor=actor, reason=reason, until=until)

    assert list(caught.value.fields) == [field]
    assert not tenant_of(alice).is_paused
