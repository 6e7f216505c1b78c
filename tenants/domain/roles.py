"""Roles inside a tenant, and what each may do. Pure."""

from enum import StrEnum


class Role(StrEnum):
    """What a member may do; a platform administrator is a user flag, not a role."""

    NETOPS = "netops"
    DEVOPS = "devops"
    MLOPS = "mlops"
    READER = "reader"


class PlatformRole(StrEnum):
    """What a person may do across all tenants; most people have none."""

    ADMIN = "admin"
    NETOPS = "netops"
    AUDITOR = "auditor"


class Action(StrEnum):
    """The verbs that roles grant."""

    VIEW = "view"
    ASK = "ask"
    TRAIN = "train"
    EDIT_POLICY = "edit-policy"
    EDIT_NETWORK = "edit-network"
    APPROVE_PLAN = "approve-plan"
    MANAGE_GUARDRAILS = "manage-guardrails"
    MANAGE_TENANT = "manage-tenant"
    # Above any one tenant.
    GRANT_PRIVATE = "grant-private"
    MANAGE_ADDRESS_SPACE = "manage-address-space"
    CREATE_TENANT = "create-tenant"
    MANAGE_PLATFORM = "manage-platform"


_ABOVE_TENANTS = frozenset(
    {
        Action.GRANT_PRIVATE,
        Action.MANAGE_ADDRESS_SPACE,
        Action.CREATE_TENANT,
        Action.MANAGE_PLATFORM,
    }
)


GRANTS: dict[Role, frozenset[Action]] = {
    Role.READER: frozenset({Action.VIEW, Action.ASK}),
    Role.MLOPS: frozenset({Action.VIEW, Action.ASK, Action.TRAIN}),
    Role.DEVOPS: frozenset({Action.VIEW, Action.ASK, Action.EDIT_POLICY}),
    Role.NETOPS: frozenset(Action) - _ABOVE_TENANTS,
}

# In each tenant and above them.
PLATFORM_GRANTS: dict[PlatformRole, frozenset[Action]] = {
    PlatformRole.AUDITOR: frozenset({Action.VIEW}),
    PlatformRole.NETOPS: frozenset(
        {
            Action.VIEW,
            Action.EDIT_POLICY,
            Action.EDIT_NETWORK,
            Action.APPROVE_PLAN,
            Action.MANAGE_GUARDRAILS,
            Action.MANAGE_ADDRESS_SPACE,
            Action.CREATE_TENANT,
        }
    ),
    PlatformRole.ADMIN: frozenset(Action),
}


def is_allowed(role: Role, action: Action) -> bool:
    """True when ``role`` grants ``action``; what is not listed is refused."""
    return action in GRANTS[role]


def platform_roles_with(action: Action) -> tuple[PlatformRole, ...]:
    """The roles above all tenants that grant ``action``."""
    return tuple(role for role in PlatformRole if action in PLATFORM_GRANTS[role])


def roles_with(action: Action) -> tuple[Role, ...]:
    """The roles that grant ``action``, for messages that say whom to ask."""
    return tuple(role for role in Role if action in GRANTS[role])
