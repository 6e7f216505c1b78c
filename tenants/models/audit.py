"""The audit log: it only grows, and a changed entry is detectable.

Entries are inserted without any lock. A sealer gives each its place in the chain and its hash
within a second, in a table of its own, so that neither table ever needs an update.
"""

from django.db import models

from tenants.models.scoped import ScopedManager


class AuditEntry(models.Model):
    """Who did what to which object, when, why and from where."""

    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.PROTECT, null=True, related_name="+"
    )
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    is_platform_staff = models.BooleanField(default=False)
    event = models.CharField(
        max_length=64, help_text="noun.past-participle, as in policy.published"
    )
    object_type = models.CharField(max_length=64, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    detail = models.JSONField(default=dict)
    trace_id = models.CharField(max_length=32, blank=True)

    objects = ScopedManager["AuditEntry"]()

    class Meta:
        """Newest first."""

        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="audit_entry_tenant_id"),
        ]
        indexes = [models.Index(fields=["tenant", "-id"], name="audit_newest")]

    def __str__(self) -> str:
        return f"{self.event} {self.object_name}"


class AuditSeal(models.Model):
    """An entry's place in the chain; the hash covers the entry and the seal before it."""

    sequence = models.BigIntegerField(primary_key=True)
    entry = models.OneToOneField(AuditEntry, on_delete=models.PROTECT, related_name="seal")
    tenant = models.ForeignKey(
        "tenants.Tenant",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="The entry's, so that the tenant sees that its entries are sealed.",
    )
    hash = models.CharField(max_length=64)

    class Meta:
        """In the order of the chain."""

        ordering = ["sequence"]

    def __str__(self) -> str:
        return f"{self.sequence}"
