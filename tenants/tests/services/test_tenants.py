import pytest

from tenants.domain.roles import Role
from tenants.errors import ConflictError, ForbiddenError, InvalidError
from tenants.models import ApiToken, AuditEntry, Membership, Tenant, platform_scope
from tenants.services.tenants import add_member, create_tenant, remove_member
from tenants.tests.factories import ApiTokenFactory, UserFactory


def test_create_tenant_has_nothing_and_is_audited(ada):
    with platform_scope("test"):
        tenant = create_tenant("initech", "Initech", actor=ada.actor)
        entry = AuditEntry.objects.get(event="tenant.created")

    assert (tenant.generation, tenant.auto_apply) == (0, True)
    assert (entry.tenant_id, entry.actor, entry.is_platform_staff) == (tenant.pk, "ada", True)


def test_create_tenant_is_the_platforms_right(alice):
    with pytest.raises(ForbiddenError, match="platform administrator"), platform_scope("test"):
        create_tenant("initech", "Initech", actor=alice.actor)


def test_create_tenant_refuses_a_taken_name(ada, globex):
    with pytest.raises(ConflictError, match="The name globex is already taken"):
        _create(ada, "globex")


@pytest.mark.parametrize("slug", ["Initech", "in_itech", "-initech", "i" * 64, ""])
def test_create_tenant_refuses_what_is_no_dns_label(ada, slug):
    with pytest.raises(InvalidError) as refusal:
        _create(ada, slug)

    assert list(refusal.value.fields) == ["slug"]


def _create(ada, slug: str) -> Tenant:
    with platform_scope("test"):
        return create_tenant(slug, "Initech", actor=ada.actor)


def test_add_member_replaces_the_role_and_revokes_what_is_too_much(alice, acme):
    dora = UserFactory(username="dora")
    with alice.acting() as actor:
        add_member(acme, dora, Role.NETOPS, actor=actor)
        strong = ApiTokenFactory(tenant=acme, user=dora, role="netops", key="slc_strong")
        weak = ApiTokenFactory(tenant=acme, user=dora, role="reader", key="slc_weak")

        add_member(acme, dora, Role.MLOPS, actor=actor)

        assert Membership.objects.get(user=dora).role == "mlops"
        assert ApiToken.objects.get(pk=strong.pk).revoked_at is not None
        assert ApiToken.objects.get(pk=weak.pk).revoked_at is None


def test_remove_member_revokes_their_tokens(alice, bob, acme):
    token = ApiTokenFactory(tenant=acme, user=bob.user, role="reader")

    with alice.acting() as actor:
        remove_member(Membership.objects.get(user=bob.user), actor=actor)

        assert ApiToken.objects.get(pk=token.pk).revoked_at is not None
        assert not Membership.objects.filter(user=bob.user).exists()


def test_last_netops_cannot_leave_or_step_down(alice, acme):
    with alice.acting() as actor:
        mine = Membership.objects.get(user=alice.user)
        with pytest.raises(ConflictError, match="only NetOps of acme"):
            remove_member(mine, actor=actor)
        with pytest.raises(ConflictError, match="only NetOps of acme"):
            add_member(acme, alice.user, Role.READER, actor=actor)

        assert Membership.objects.get(user=alice.user).role == "netops"
