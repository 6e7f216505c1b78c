"""Who acts: a person, a token or a rule. Pure."""

from dataclasses import dataclass

from tenants.domain.roles import PLATFORM_GRANTS, Action, PlatformRole, Role, is_allowed

# A colon is in no user's name.
SYSTEM_PREFIX = "system:"


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone or something that changes rows, as the audit log names it.

    ``role`` is the role in the tenant at hand; None where there is no tenant. ``platform_role`` is
    the one above all tenants. ``token_id`` is the API token that acts; None for a person.
    """

    name: str
    user_id: int | None = None
    role: Role | None = None
    platform_role: PlatformRole | None = None
    trace_id: str = ""
    token_id: int | None = None

    @property
    def is_system(self) -> bool:
        """True for Sluice itself: nobody's rights limit it, and no person has such a name."""
        return self.user_id is None and self.name.startswith(SYSTEM_PREFIX)

    @property
    def is_platform_admin(self) -> bool:
        """True for the platform role that may do everything."""
        return self.platform_role is PlatformRole.ADMIN

    @property
    def is_platform_staff(self) -> bool:
        """True for any role above the tenants: such a person sees all of them."""
        return self.platform_role is not None

    def may(self, action: Action) -> bool:
        """True when the role in the tenant or the one above it grants ``action``."""
        if self.platform_role is not None and action in PLATFORM_GRANTS[self.platform_role]:
            return True
        return self.role is not None and is_allowed(self.role, action)


def system(name: str, *, trace_id: str = "") -> Actor:
    """Sluice itself: a sweep, a rule, a worker."""
    return Actor(name=f"{SYSTEM_PREFIX}{name}", trace_id=trace_id)
