from tenants.domain.actor import Actor, system
from tenants.domain.roles import GRANTS, Action, PlatformRole, Role, is_allowed, roles_with


def test_every_role_says_what_it_grants():
    assert set(GRANTS) == set(Role)


def test_only_netops_manage_and_approve():
    assert roles_with(Action.MANAGE_TENANT) == (Role.NETOPS,)
    assert roles_with(Action.APPROVE_PLAN) == (Role.NETOPS,)


def test_reader_reads_and_asks_only():
    assert {action for action in Action if is_allowed(Role.READER, action)} == {
        Action.VIEW,
        Action.ASK,
    }


def test_actor_without_a_role_may_nothing():
    assert not any(system("sweep").may(action) for action in Action)


def test_platform_admin_may_everything():
    assert all(Actor(name="ada", platform_role=PlatformRole.ADMIN).may(action) for action in Action)
