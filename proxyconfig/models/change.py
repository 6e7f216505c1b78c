"""Plans and revisions: every change of intent, who wanted it, who allowed it, and how it went."""

from django.db import models
from django.urls import reverse

from tenants.domain.states import ChangeState
from tenants.models.scoped import TenantScoped


class Plan(TenantScoped):
    """A frozen wish: the intent that it would make current, and what that changes on proxies."""

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
    intent = models.JSONField()
    intent_hash = models.CharField(max_length=64)
    summary = models.CharField(max_length=300)
    entries = models.JSONField(
        help_text="[{action, kind, name, reason, changes}] in display order."
    )
    findings = models.JSONField(
        default=list, help_text="[{code, message}]: why a rule may not approve it."
    )
    decided_by = models.CharField(max_length=150, blank=True, help_text="A person, or the rule.")
    decided_at = models.DateTimeField(null=True)
    decision_comment = models.TextField(blank=True)
    trace_id = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Newest first."""

        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="plan_newest")]
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
