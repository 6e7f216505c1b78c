"""Who acts: a person, a token or a rule. Pure."""

from dataclasses import dataclass

from tenants.domain.roles import Action, Role, is_allowed


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone or something that changes rows, as the audit log names it.

    ``role`` is the role in the tenant at hand; None where there is no tenant. ``token_id`` is the
    API token that acts; None for a person.
    """

    name: str
    user_id: int | None = None
    role: Role | None = None
    is_platform_admin: bool = False
    trace_id: str = ""
    token_id: int | None = None

    def may(self, action: Action) -> bool:
        """True when the role grants ``action``, or a platform administrator acts."""
        if self.is_platform_admin:
            return True
        return self.role is not None and is_allowed(self.role, action)


def system(name: str, *, trace_id: str = "") -> Actor:
    """Sluice itself: a sweep, a rule, a worker."""
    return Actor(name=f"system:{name}", trace_id=trace_id)
