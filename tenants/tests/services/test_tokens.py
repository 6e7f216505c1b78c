from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from tenants.domain.actor import system
from tenants.domain.roles import Role
from tenants.errors import ConflictError, ForbiddenError, InvalidError
from tenants.models import ApiToken, AuditEntry
from tenants.models.token import hash_key
from tenants.services.tokens import create_token, revoke_token
from tenants.tests.people import person


def test_create_token_keeps_only_the_hash_of_the_key(alice, acme):
    with alice.acting() as actor:
        token, key = create_token(acme, name="ci", role=Role.DEVOPS, actor=actor)
        stored = ApiToken.objects.get(pk=token.pk)
        entry = AuditEntry.objects.get(event="token.created")

    assert key.startswith("slc_")
    assert len(key) > 40
    assert (stored.key_hash, stored.key_hint) == (hash_key(key), key[:12])
    assert key not in str(entry.detail)


def test_keys_differ(alice, acme):
    with alice.acting() as actor:
        _, one = create_token(acme, name="one", role=Role.READER, actor=actor)
        _, other = create_token(acme, name="other", role=Role.READER, actor=actor)

    assert one != other


@pytest.mark.parametrize("role", [Role.READER, Role.MLOPS, Role.DEVOPS])
def test_only_who_manages_the_tenant_makes_tokens(acme, role):
    dana = person("dana", acme, role)

    with pytest.raises(ForbiddenError, match="manage-tenant"), dana.acting() as actor:
        create_token(acme, name="ci", role=Role.READER, actor=actor)


def test_a_token_of_somebody_else_is_revoked_by_who_manages_the_tenant(alice, bob, acme):
    with alice.acting() as actor:
        token, _ = create_token(acme, name="ci", role=Role.READER, actor=actor)
        itself = replace(actor, role=Role.READER, token_id=token.pk)

    for other in (bob.actor, itself):
        with pytest.raises(ForbiddenError, match="manage-tenant"), bob.acting():
            revoke_token(token, actor=other)


def test_token_belongs_to_a_person(alice, acme):
    with pytest.raises(ForbiddenError, match="belongs to the person"), alice.acting():
        create_token(acme, name="ci", role=Role.READER, actor=system("sweep"))


def test_token_does_not_begin_expired(alice, acme):
    late = timezone.now() - timedelta(seconds=1)

    with pytest.raises(InvalidError, match="expired already"), alice.acting() as actor:
        create_token(acme, name="ci", role=Role.READER, actor=actor, expires_at=late)


def test_token_name_is_taken_once_in_a_tenant(alice, charlie, acme, globex):
    with alice.acting() as actor:
        create_token(acme, name="ci", role=Role.READER, actor=actor)
    with charlie.acting() as actor:
        create_token(globex, name="ci", role=Role.READER, actor=actor)

    with pytest.raises(ConflictError, match="token name ci"), alice.acting() as actor:
        create_token(acme, name="ci", role=Role.READER, actor=actor)


def test_revoke_is_audited_once(alice, acme):
    with alice.acting() as actor:
        token, _ = create_token(acme, name="ci", role=Role.READER, actor=actor)
        first = revoke_token(token, actor=actor).revoked_at
        again = revoke_token(token, actor=actor).revoked_at

        assert AuditEntry.objects.filter(event="token.revoked").count() == 1
    assert first == again
