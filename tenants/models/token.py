"""API tokens: one kind serves the REST API, the ingress address and every machine."""

import hashlib
import secrets

from django.conf import settings
from django.db import models

from tenants.domain.roles import Role
from tenants.models.scoped import TenantScoped

PREFIX = "slc_"


def new_key() -> str:
    """A fresh secret, 256 bits, with a prefix that secret scanners can find."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """SHA-256 of a key, hex; enough for 256 random bits, and a salt would forbid the look-up."""
    return hashlib.sha256(key.encode()).hexdigest()


class ApiToken(TenantScoped):
    """A secret that acts in one tenant with one role; only its hash is kept."""

    name = models.CharField(max_length=100)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Who made it.",
    )
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role])
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    key_hint = models.CharField(max_length=12, editable=False, help_text="How the key begins.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        """Newest first."""

        ordering = ["-created_at", "-id"]
        verbose_name = "API token"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="api_token_name"),
            models.UniqueConstraint(fields=["tenant", "id"], name="api_token_tenant_id"),
        ]

    def __str__(self) -> str:
        return self.name
