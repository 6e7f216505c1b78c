from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tenants.models import AuditEntry, Cluster, User
from tenants.models.scoped import platform_scope
from tenants.services.audit_chain import seal
from tenants.tests.factories import AuditEntryFactory

PASSWORD = "correct-horse-9-battery"


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_ensure_admin_makes_one_and_never_prints_the_password(db, monkeypatch):
    monkeypatch.setenv("FIRST_PASSWORD", PASSWORD)

    first = run("ensure_admin", "--username=admin", "--password-env=FIRST_PASSWORD")
    again = run("ensure_admin", "--username=admin", "--password-env=FIRST_PASSWORD")

    assert first == "Platform administrator admin was made.\n"
    assert again == "There is a platform administrator already; nothing was changed.\n"
    assert User.objects.get().check_password(PASSWORD)


def test_ensure_admin_without_the_variable_says_so(db, monkeypatch):
    monkeypatch.delenv("FIRST_PASSWORD", raising=False)

    with pytest.raises(CommandError, match="FIRST_PASSWORD is not set"):
        run("ensure_admin", "--username=admin", "--password-env=FIRST_PASSWORD")


def test_ensure_cluster_makes_one_and_leaves_it_alone(db):
    assert run("ensure_cluster", "local", "--flavour=local") == "Cluster local was made.\n"
    again = run("ensure_cluster", "local", "--flavour=spk")

    assert again == "Cluster local is there already; nothing was changed.\n"
    assert Cluster.objects.get().flavour == "local"
    with platform_scope("test"):
        entry = AuditEntry.objects.get()
    assert (entry.event, entry.actor) == ("cluster.created", "system:first-cluster")


def test_audit_verify_prints_the_head_and_compares_it_later(acme):
    AuditEntryFactory(tenant=acme)
    seal(10)

    head = run("audit_verify").strip().rpartition(" ")[2]
    AuditEntryFactory(tenant=acme)
    seal(10)

    assert run("audit_verify", f"--expect={head}").startswith("2 entries hold.")
    with pytest.raises(CommandError, match="Seal 1 is not the one"):
        run("audit_verify", "--expect=1:" + "0" * 64)
    with pytest.raises(CommandError, match="SEQUENCE:HASH"):
        run("audit_verify", "--expect=latest")
