"""One Operation serves applies, imports, training runs and evaluations."""

from django.db import models
from django.urls import reverse

from tenants.domain.states import ENDED_OPERATIONS, OperationState
from tenants.models.scoped import TenantScoped


class OperationKind(models.TextChoices):
    """What kind of work it is."""

    APPLY = "apply", "Apply"
    IMPORT = "import", "Import"
    TRAIN = "train", "Train"
    EVALUATE = "evaluate", "Evaluate"


class Operation(TenantScoped):
    """A piece of work that outlives a request: its progress, steps, heartbeat, deadline and end."""

    kind = models.CharField(max_length=16, choices=OperationKind.choices)
    title = models.CharField(max_length=200)
    state = models.CharField(
        max_length=16,
        choices=[(state.value, state.value) for state in OperationState],
        default=OperationState.QUEUED.value,
    )
    target_id = models.BigIntegerField(
        null=True, help_text="The row it works on: a corpus, a placement."
    )
    trace_id = models.CharField(max_length=32, blank=True)
    actor = models.CharField(max_length=150, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    unit = models.CharField(max_length=32, blank=True, help_text="What is counted: documents.")
    steps = models.JSONField(
        default=list, help_text="[{name, state, message, started_at, ended_at}], in order."
    )
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True, help_text="Why it failed and what to do next.")
    attempts = models.PositiveIntegerField(default=0, help_text="How often a worker took it up.")
    lease_token = models.UUIDField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)

    class Meta:
        """Newest first; one open piece of work of a kind on each target."""

        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "kind", "target_id"],
                condition=models.Q(ended_at__isnull=True),
                name="operation_one_open",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="operation_newest"),
            models.Index(fields=["state", "heartbeat_at"], name="operation_stale"),
            models.Index(fields=["tenant", "kind", "target_id"], name="operation_target"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """The operation's page."""
        return reverse("tenants:operation-detail", args=[self.tenant.slug, self.pk])

    @property
    def has_ended(self) -> bool:
        """True once it cannot change any more."""
        return self.state in ENDED_OPERATIONS

    @property
    def percent(self) -> int:
        """0 to 100; 0 while the total is unknown."""
        return min(100, self.done * 100 // self.total) if self.total else 0
