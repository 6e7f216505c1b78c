import pytest

from tenants.domain.roles import PlatformRole
from tenants.errors import ConflictError, ForbiddenError, InvalidError, NotVisibleError
from tenants.models import ApiToken, AuditEntry, User, platform_scope
from tenants.services.people import (
    change_person,
    create_person,
    ensure_platform_admin,
    find_user,
)
from tenants.tests.factories import ApiTokenFactory, MembershipFactory, UserFactory
from tenants.tests.people import Person, person

PASSWORD = "correct-horse-9-battery"


def test_first_administrator_can_sign_in_everywhere(db):
    user = ensure_platform_admin("admin", PASSWORD)

    assert (user.is_staff, user.is_superuser, user.check_password(PASSWORD)) == (True, True, True)
    with platform_scope("test"):
        entry = AuditEntry.objects.get(event="user.created")
    assert (entry.object_name, entry.tenant_id) == ("admin", None)


def test_second_call_changes_nothing(db):
    first = ensure_platform_admin("admin", PASSWORD)

    assert ensure_platform_admin("admin", "another-password-9") is None
    assert User.objects.get().password == first.password


def test_weak_password_is_refused(db):
    with pytest.raises(InvalidError, match="too weak"):
        ensure_platform_admin("admin", "12345")

    assert not User.objects.exists()


def test_name_of_an_ordinary_user_is_not_promoted(db):
    UserFactory(username="admin")

    with pytest.raises(ConflictError, match="no platform administrator"):
        ensure_platform_admin("admin", PASSWORD)


def test_find_user_does_not_find_inactive_ones(db):
    UserFactory(username="gone", is_active=False)

    with pytest.raises(NotVisibleError, match="no active user named gone"):
        find_user("gone")


def change(who: Person, user: User, role: PlatformRole | None, **more: object) -> None:
    with platform_scope("test"):
        change_person(user, actor=who.actor, role=role, **{"is_active": True, **more})


def live_tokens(user: User) -> int:
    with platform_scope("test"):
        return ApiToken.objects.filter(user=user, revoked_at=None).count()


@pytest.mark.parametrize(
    ("role", "is_admin"), [(None, False), (PlatformRole.NETOPS, False), (PlatformRole.ADMIN, True)]
)
def test_an_administrator_makes_accounts_with_a_platform_role(ada, role, is_admin):
    with platform_scope("test"):
        user = create_person("nora", PASSWORD, actor=ada.actor, role=role)
        entry = AuditEntry.objects.get(event="user.created")

    assert (user.held_platform_role, user.is_superuser, user.is_staff) == (role, is_admin, is_admin)
    assert user.check_password(PASSWORD)
    assert (entry.actor, entry.object_name) == ("ada", "nora")
    assert PASSWORD not in str(entry.detail)


@pytest.mark.parametrize(
    ("name", "password", "error", "says"),
    [
        ("alice", PASSWORD, ConflictError, "The name alice is already taken"),
        ("nora", "12345", InvalidError, "too weak"),
        ("no ra", PASSWORD, InvalidError, "username"),
        ("", PASSWORD, InvalidError, "username"),
    ],
)
def test_an_account_that_cannot_be_made_says_why(ada, alice, name, password, error, says):
    with platform_scope("test"), pytest.raises(error, match=says):
        create_person(name, password, actor=ada.actor)

    assert not User.objects.filter(username="nora").exists()


@pytest.mark.parametrize("role", [None, PlatformRole.NETOPS, PlatformRole.AUDITOR])
def test_nobody_else_makes_or_changes_accounts(acme, alice, role):
    nora = person("nora", acme, None, platform_role=role)

    with platform_scope("test"):
        with pytest.raises(ForbiddenError):
            create_person("eve", PASSWORD, actor=nora.actor)
        with pytest.raises(ForbiddenError):
            change_person(alice.user, actor=nora.actor, role=PlatformRole.ADMIN, is_active=True)


def test_a_platform_role_and_a_password_are_changed_and_on_record(ada, alice):
    change(ada, alice.user, PlatformRole.NETOPS, password=PASSWORD)

    changed = User.objects.get(username="alice")
    assert changed.held_platform_role is PlatformRole.NETOPS
    assert changed.check_password(PASSWORD)
    with platform_scope("test"):
        detail = AuditEntry.objects.get(event="user.changed").detail
    assert detail["before"] == {"platform_role": "", "is_active": True}
    assert detail["after"] == {"platform_role": "netops", "is_active": True}
    assert (detail["password"], PASSWORD in str(detail)) == (True, False)


@pytest.mark.parametrize(
    ("role", "is_staff"),
    [(PlatformRole.AUDITOR, True), (PlatformRole.NETOPS, False), (None, False)],
)
def test_staff_status_stays_with_the_role_that_it_was_given_for(ada, acme, role, is_staff):
    olga = person("olga", acme, None, platform_role=PlatformRole.AUDITOR)
    olga.user.is_staff = True
    olga.user.save()

    change(ada, olga.user, role)

    olga.user.refresh_from_db()
    assert olga.user.is_staff is is_staff


def test_who_is_no_administrator_any_more_keeps_only_what_memberships_earn(ada, acme, globex):
    grace = person("grace", acme, None, is_superuser=True)
    MembershipFactory(tenant=acme, user=grace.user, role="reader")
    ApiTokenFactory(tenant=acme, user=grace.user, role="reader", key="slc_1")
    ApiTokenFactory(tenant=globex, user=grace.user, role="netops", key="slc_2")

    change(ada, grace.user, None)

    grace.user.refresh_from_db()
    assert (grace.user.held_platform_role, grace.user.is_staff) == (None, False)
    assert live_tokens(grace.user) == 1


def test_who_may_not_sign_in_has_no_tokens_either(ada, alice):
    ApiTokenFactory(tenant=alice.tenant, user=alice.user)

    change(ada, alice.user, None, is_active=False)

    assert live_tokens(alice.user) == 0
    assert alice.client.get("/t/acme/networks/").status_code == 302


@pytest.mark.parametrize(("role", "active"), [(None, True), (PlatformRole.ADMIN, False)])
def test_administrators_do_not_lock_themselves_out(ada, role, active):
    with pytest.raises(ConflictError, match="from yourself") as caught:
        change(ada, ada.user, role, is_active=active)

    assert caught.value.code == "last-admin"
    ada.user.refresh_from_db()
    assert ada.user.is_superuser
    assert ada.user.is_active
