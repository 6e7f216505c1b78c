import pytest

from tenants.models import Tenant
from tenants.services import changes


@pytest.fixture
def proposed(monkeypatch) -> list[tuple[str, str, str]]:
    """What the layer above is told, in the test's own list instead of as plans."""
    told: list[tuple[str, str, str]] = []
    monkeypatch.setattr(changes, "_propose", [])
    changes.register(
        lambda tenant, *, actor, reason: told.append((tenant.slug, actor.name, reason))
    )
    return told


def test_nested_changes_make_one_plan(alice, proposed):
    with (
        alice.acting() as actor,
        changes.network_change(alice.tenant, actor=actor, reason="Move in"),
        changes.network_change(alice.tenant, actor=actor, reason="Namespace"),
    ):
        assert proposed == []

    assert proposed == [("acme", "alice", "Move in")]


def test_failed_change_makes_no_plan(alice, proposed):
    with pytest.raises(ZeroDivisionError), alice.acting() as actor:
        _fail(alice.tenant, actor)

    assert proposed == []


def test_same_listener_is_registered_once(proposed):
    changes.register(print)
    changes.register(print)

    assert changes._propose.count(print) == 1


def _fail(tenant: Tenant, actor) -> None:
    with changes.network_change(tenant, actor=actor, reason="Break"):
        raise ZeroDivisionError
