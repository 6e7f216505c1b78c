"""Conversations: questions of one person that follow on each other."""

from django.db import models

from tenants.models.scoped import TenantScoped

MOST_TITLE = 120


class Conversation(TenantScoped):
    """A thread of runs. It belongs to who began it; others of the tenant do not see it."""

    owner = models.CharField(max_length=150, help_text="Who began it, as the audit log names them.")
    corpus = models.ForeignKey(
        "ragapp.Corpus",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Where its questions look; all of the tenant's corpora when empty.",
    )
    title = models.CharField(max_length=MOST_TITLE, help_text="Its first question.")
    created_at = models.DateTimeField(auto_now_add=True)
    asked_at = models.DateTimeField(help_text="When its last question was asked.")

    class Meta:
        """The one that was asked in last comes first."""

        ordering = ["-asked_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="conversation_tenant_id"),
        ]
        indexes = [
            models.Index(fields=["tenant", "owner", "-asked_at"], name="conversation_newest"),
        ]

    def __str__(self) -> str:
        return self.title
