"""Limits of tenants and of their API tokens, and how much of each is used."""

from django.db import models

from tenants.domain.quota import Resource
from tenants.models.scoped import TenantScoped

RESOURCES = [(resource.value, resource.value) for resource in Resource]


class Quota(TenantScoped):
    """A limit that somebody set; without a row the settings' default holds."""

    token = models.ForeignKey(
        "tenants.ApiToken",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose limit it is; the whole tenant's when empty.",
    )
    resource = models.CharField(max_length=32, choices=RESOURCES)
    limit = models.BigIntegerField(null=True, help_text="The most; no limit when empty.")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        """One limit for each resource of a tenant, and of a token."""

        ordering = ["resource", "token_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "token", "resource"], name="quota_one", nulls_distinct=False
            ),
            models.CheckConstraint(condition=models.Q(limit__gte=0), name="quota_limit_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.resource}: {self.limit}"


class QuotaUse(TenantScoped):
    """A counter: how much of a resource is used in one window.

    Written by ``tenants/services/quotas.py`` alone, one statement for each change: its row is the
    lock that makes limits exact.
    """

    token = models.ForeignKey(
        "tenants.ApiToken", on_delete=models.CASCADE, null=True, related_name="+"
    )
    resource = models.CharField(max_length=32, choices=RESOURCES)
    window_start = models.DateTimeField()
    used = models.BigIntegerField(default=0)

    class Meta:
        """One counter for each window."""

        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "token", "resource", "window_start"],
                name="quota_use_one",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=models.Q(used__gte=0), name="quota_use_positive"),
        ]
        indexes = [models.Index(fields=["window_start"], name="quota_use_old")]

    def __str__(self) -> str:
        return f"{self.resource} since {self.window_start}: {self.used}"
