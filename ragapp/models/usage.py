"""What tenants used: a ledger that only grows, and its sums by day."""

from django.db import models

from tenants.models.scoped import TenantScoped


class UsageKind(models.TextChoices):
    """What the use was for."""

    ANSWER = "answer", "Answer"
    EMBEDDING = "embedding", "Embedding"
    EVALUATION = "evaluation", "Evaluation"


class Used(TenantScoped):
    """What both tables say: who used what, and how much; whole amounts, so sums are exact."""

    day = models.DateField(help_text="UTC.")
    kind = models.CharField(max_length=16, choices=UsageKind.choices)
    model = models.CharField(max_length=200, blank=True)
    corpus = models.CharField(max_length=63, blank=True, help_text="Empty: all of them.")
    used_by = models.CharField(max_length=150, help_text="The user, or token:<its name>.")
    requests = models.BigIntegerField(default=0)
    tokens_in = models.BigIntegerField(default=0)
    tokens_out = models.BigIntegerField(default=0)
    milliseconds = models.BigIntegerField(default=0)

    class Meta:
        """Abstract: each subclass is a table of its own."""

        abstract = True


class UsageEntry(Used):
    """One line of the ledger: what one attempt at an answer, or one call, used of one model.

    Written in the transaction that ends the attempt. Its key makes a second writing impossible.
    """

    trace_id = models.CharField(max_length=32)
    attempt = models.PositiveSmallIntegerField(default=1)
    token_id = models.BigIntegerField(
        null=True, help_text="Of the API token; plain, so that the line outlives it."
    )
    tokens_by_purpose = models.JSONField(
        default=dict, help_text="Tokens in and out by purpose: prompt, grade, answer, rewrite."
    )
    ended_as = models.CharField(max_length=16, blank=True, help_text="The run's state.")
    at = models.DateTimeField()

    class Meta:
        """Newest first; each attempt is written once."""

        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "trace_id", "attempt", "model"], name="usage_entry_once"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="usage_entry_newest"),
            models.Index(fields=["at"], name="usage_entry_old"),
        ]

    def __str__(self) -> str:
        return f"{self.trace_id}/{self.attempt} {self.model}"


class UsageDay(Used):
    """The sums of the ledger's lines of one day that agree in all their words."""

    class Meta:
        """One row for each day and combination."""

        ordering = ["-day", "model", "corpus", "used_by"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "day", "kind", "model", "corpus", "used_by"],
                name="usage_day_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.model}"


class EmbeddingCall(TenantScoped):
    """A call for vectors that is on its way, and the tokens that it may still use."""

    job_id = models.CharField(max_length=32)
    token_id = models.BigIntegerField(null=True, help_text="Of the API token; plain.")
    tokens = models.PositiveIntegerField(help_text="It will use no more.")
    expires_at = models.DateTimeField(help_text="Then it holds nothing any more, charged or not.")

    class Meta:
        """Few and short-lived; one row for each call."""

        constraints = [
            models.UniqueConstraint(fields=["tenant", "job_id"], name="embedding_call_once"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id}: {self.tokens}"
