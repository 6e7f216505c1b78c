"""The ledger: one row for each connection in or out, as the proxy reported it."""

from django.db import models

from tenants.domain.states import Direction, Verdict
from tenants.models.scoped import TenantScoped


class Connection(TenantScoped):
    """What went in or out, who it was, which rule decided, and how many bytes it carried."""

    proxy_id = models.UUIDField(
        unique=True, help_text="The proxy's own id; makes reports idempotent."
    )
    trace_id = models.CharField(max_length=32, blank=True)
    direction = models.CharField(
        max_length=3, choices=[(direction.value, direction.value) for direction in Direction]
    )
    source_address = models.GenericIPAddressField(null=True)
    snat_address = models.GenericIPAddressField(
        null=True, help_text="The address that the far side saw; out only."
    )
    destination_host = models.CharField(max_length=253, blank=True)
    destination_address = models.GenericIPAddressField(null=True)
    destination_port = models.PositiveIntegerField(null=True)
    detail = models.CharField(max_length=300, blank=True, help_text="Method and path; CONNECT.")
    bytes_sent = models.BigIntegerField(default=0, help_text="From the source.")
    bytes_received = models.BigIntegerField(default=0, help_text="To the source.")
    verdict = models.CharField(
        max_length=10, choices=[(verdict.value, verdict.value) for verdict in Verdict]
    )
    rule_id = models.CharField(max_length=200)
    message = models.TextField(blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        """Newest first."""

        ordering = ["-opened_at", "-id"]
        indexes = [
            models.Index(fields=["tenant", "-opened_at", "-id"], name="connection_newest"),
            models.Index(fields=["trace_id"], name="connection_trace"),
            models.Index(
                fields=["tenant", "-opened_at"],
                name="connection_denied",
                condition=models.Q(verdict="Denied"),
            ),
            models.Index(
                fields=["opened_at"],
                name="connection_open",
                condition=models.Q(closed_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.destination_host}:{self.destination_port} {self.verdict}"
