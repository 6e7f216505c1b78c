"""Roles inside a tenant, and what each may do. Pure."""

from enum import StrEnum


class Role(StrEnum):
    """What a member may do; a platform administrator is a user flag, not a role."""

    NETOPS = "netops"
    DEVOPS = "devops"
    MLOPS = "mlops"
    READER = "reader"


class Action(StrEnum):
    """The verbs that roles grant."""

    VIEW = "view"
    ASK = "ask"
    TRAIN = "train"
    EDIT_POLICY = "edit-policy"
    APPROVE_PLAN = "approve-plan"
    MANAGE_TENANT = "manage-tenant"


GRANTS: dict[Role, frozenset[Action]] = {
    Role.READER: frozenset({Action.VIEW, Action.ASK}),
    Role.MLOPS: frozenset({Action.VIEW, Action.ASK, Action.TRAIN}),
    Role.DEVOPS: frozenset({Action.VIEW, Action.ASK, Action.EDIT_POLICY}),
    Role.NETOPS: frozenset(Action),
}


def is_allowed(role: Role, action: Action) -> bool:
    """True when ``role`` grants ``action``; what is not listed is refused."""
    return action in GRANTS[role]


def roles_with(action: Action) -> tuple[Role, ...]:
    """The roles that grant ``action``, for messages that say whom to ask."""
    return tuple(role for role in Role if action in GRANTS[role])
