"""People: users, and what each may do in which tenant."""

from django.contrib.auth.models import AbstractUser
from django.db import models

from tenants.domain.roles import PlatformRole, Role
from tenants.models.scoped import TenantScoped


class User(AbstractUser):
    """Someone who signs in. ``is_superuser`` marks a platform administrator."""

    platform_role = models.CharField(
        max_length=16,
        blank=True,
        choices=[(role.value, role.value) for role in PlatformRole],
        help_text="What they may do across all tenants; most people have none.",
    )

    @property
    def held_platform_role(self) -> PlatformRole | None:
        """The role above all tenants; None for most people."""
        if self.is_superuser:
            return PlatformRole.ADMIN
        return PlatformRole(self.platform_role) if self.platform_role else None


class Membership(TenantScoped):
    """One user's role in one tenant."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """One role for each user and tenant."""

        ordering = ["user__username"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="membership_one_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role}"
