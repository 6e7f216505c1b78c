import pytest

from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models import AuditEntry, User, platform_scope
from tenants.services.people import ensure_platform_admin, find_user
from tenants.tests.factories import UserFactory

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
