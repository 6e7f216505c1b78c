"""One tenant on one cluster: how far reconciling has come there."""

from django.db import models
from django.utils import timezone

from tenants.domain.states import Health, SyncState
from tenants.models.scoped import TenantScoped


class Placement(TenantScoped):
    """Holds the lease and the conditions, so that one dead cluster never hides the others."""

    cluster = models.ForeignKey("tenants.Cluster", on_delete=models.PROTECT, related_name="+")
    observed_generation = models.BigIntegerField(default=0)
    applied_hash = models.CharField(max_length=64, blank=True)
    applied_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    next_check_at = models.DateTimeField(default=timezone.now)
    checked_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    conditions = models.JSONField(
        default=list,
        help_text="[{type, status, reason, message, observed_generation, last_transition_time}]",
    )
    inventory = models.JSONField(
        default=list, help_text="What the target keeps in mind of each object; domain/inventory.py."
    )
    sync_state = models.CharField(
        max_length=16,
        choices=[(state.value, state.value) for state in SyncState],
        default=SyncState.UNKNOWN.value,
    )
    health = models.CharField(
        max_length=16,
        choices=[(state.value, state.value) for state in Health],
        default=Health.UNKNOWN.value,
    )
    drift_count = models.PositiveIntegerField(default=0)
    drifted_at = models.DateTimeField(null=True, help_text="When drift was last seen.")
    drift_healed_at = models.DateTimeField(null=True)
    drift_message = models.TextField(blank=True, help_text="What differed, in one sentence.")

    class Meta:
        """One row for each tenant and cluster."""

        ordering = ["tenant_id", "cluster_id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "cluster"], name="placement_once"),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], name="placement_due_check"),
            models.Index(fields=["next_attempt_at"], name="placement_due_attempt"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant} on {self.cluster}"
