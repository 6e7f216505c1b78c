"""Runs of the agent: a question, how it was answered, and everything that happened on the way."""

from django.db import models
from django.urls import reverse

from tenants.domain.states import ENDED_OPERATIONS, AnswerEnd, OperationState
from tenants.models.scoped import TenantScoped

# The states that hold one of the tenant's slots; a list, as migrations write it.
IN_FLIGHT = [OperationState.QUEUED.value, OperationState.RUNNING.value]


class Channel(models.TextChoices):
    """Which way a question came in."""

    PORTAL = "portal", "Portal"
    API = "api", "REST API"
    INGRESS = "ingress", "Ingress address"


class Run(TenantScoped):
    """One question and its answer. The page that shows its trace is the product's face."""

    trace_id = models.CharField(max_length=32, unique=True)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    asked_by = models.CharField(max_length=150)
    token = models.ForeignKey(
        "tenants.ApiToken",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The API token that asked; empty for a person.",
    )
    principals = models.JSONField(
        default=list, help_text="What its asker may read; ragapp/domain/reader.py."
    )
    is_limited = models.BooleanField(
        default=False, help_text="Whether its corpora held documents that not all may read."
    )
    corpus = models.ForeignKey(
        "ragapp.Corpus",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Where to look; all of the tenant's corpora when empty.",
    )
    conversation = models.ForeignKey(
        "ragapp.Conversation",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="runs",
        help_text="The thread that it belongs to.",
    )
    question = models.TextField()
    earlier = models.JSONField(
        default=list,
        help_text="Exchanges that the client sent along, oldest first, where it keeps the thread.",
    )
    state = models.CharField(
        max_length=16,
        choices=[(state.value, state.value) for state in OperationState],
        default=OperationState.QUEUED.value,
    )
    route = models.CharField(max_length=8, blank=True, help_text="local or web.")
    answer = models.TextField(blank=True)
    end = models.CharField(
        max_length=16, blank=True, choices=[(end.value, end.value) for end in AnswerEnd]
    )
    end_message = models.TextField(blank=True, help_text="Why it ended so, and what to do next.")
    entries = models.JSONField(
        default=list, help_text="The trace, in order; ragapp/domain/trace.py."
    )
    citations = models.JSONField(
        default=list,
        help_text="The passages that the model read, [n] is the n-th; text of web ones only.",
    )
    sentences = models.JSONField(
        default=list, help_text="The answer's sentences with what each rests on."
    )
    usage = models.JSONField(default=dict, help_text="Tokens by kind, and seconds.")
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    restarts = models.PositiveIntegerField(
        default=0, help_text="How often the answer began anew; part of its place in the stream."
    )
    lease_token = models.UUIDField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)

    class Meta:
        """Newest first."""

        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="run_tenant_id")]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="run_newest"),
            models.Index(fields=["state", "heartbeat_at"], name="run_stale"),
            models.Index(
                fields=["tenant", "token"],
                name="run_in_flight",
                condition=models.Q(state__in=IN_FLIGHT),
            ),
        ]

    def __str__(self) -> str:
        return self.question[:80]

    @property
    def audit_name(self) -> str:
        """Not its question: a limited run is not for everybody who reads the log."""
        return self.trace_id

    def get_absolute_url(self) -> str:
        """The run's trace."""
        return reverse("ragapp:run-detail", args=[self.tenant.slug, self.trace_id])

    @property
    def has_ended(self) -> bool:
        """True once it cannot change any more."""
        return self.state in ENDED_OPERATIONS
