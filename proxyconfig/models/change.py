"""Plans and revisions: every change of intent, who wanted it, who allowed it, and how it went."""

from django.db import models
from django.urls import reverse
from django.utils import timezone

from tenants.domain.states import ChangeState
from tenants.models.scoped import TenantScoped


class Plan(TenantScoped):
    """A change of the tenant's intent, from ``base`` to ``intent``.

    One that waits for a person is a change set: it says what it would do, rows do not have it yet,
    and it is merged with what became current meanwhile when somebody approves it.
    """

    state = models.CharField(
        max_length=20,
        choices=[(state.value, state.value) for state in ChangeState],
        default=ChangeState.PLANNED.value,
    )
    author = models.ForeignKey(
        "tenants.User", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    author_name = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    base_generation = models.BigIntegerField(help_text="The generation that it was made against.")
    base = models.JSONField(null=True, help_text="The intent that it was made against.")
    intent = models.JSONField(help_text="The intent that it proposes.")
    intent_hash = models.CharField(max_length=64)
    summary = models.CharField(max_length=300, help_text="In policies and networks.")
    changes = models.JSONField(
        default=list, help_text="[{action, collection, name, title, fields}] in display order."
    )
    effects = models.JSONField(default=list, help_text="What it opens and closes, in sentences.")
    entries = models.JSONField(
        help_text="[{action, cluster, kind, name, reason, changes}] on the proxies."
    )
    findings = models.JSONField(
        default=list, help_text="[{code, message}]: why a rule may not approve it."
    )
    decided_by = models.CharField(max_length=150, blank=True, help_text="A person, or the rule.")
    decided_at = models.DateTimeField(null=True)
    decision_comment = models.TextField(blank=True)
    rolls_back_to = models.BigIntegerField(
        null=True, help_text="The generation whose intent it brings back."
    )
    expires_at = models.DateTimeField(null=True, help_text="Until when it waits for a person.")
    trace_id = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Newest first."""

        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="plan_newest"),
            models.Index(
                fields=["expires_at"],
                name="plan_waiting",
                condition=models.Q(state=ChangeState.AWAITING_APPROVAL.value),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="plan_tenant_id"),
        ]

    def __str__(self) -> str:
        return f"plan {self.pk}"

    def get_absolute_url(self) -> str:
        """The plan's page."""
        return reverse("proxyconfig:plan-detail", args=[self.tenant.slug, self.pk])

    @property
    def awaits_decision(self) -> bool:
        """True while a person may still approve or refuse it."""
        return self.state == ChangeState.AWAITING_APPROVAL

    @property
    def is_expired(self) -> bool:
        """True once nobody decided in time, also before the sweep ends it."""
        return self.expires_at is not None and self.expires_at <= timezone.now()


class Revision(TenantScoped):
    """An approved plan's intent, numbered by the generation that it raised; never changed."""

    generation = models.BigIntegerField()
    plan = models.OneToOneField(Plan, on_delete=models.PROTECT, related_name="revision")
    intent = models.JSONField()
    intent_hash = models.CharField(max_length=64)
    author_name = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Newest first; one for each generation."""

        ordering = ["-generation"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "generation"], name="revision_generation"),
        ]

    def __str__(self) -> str:
        return f"revision {self.generation}"
