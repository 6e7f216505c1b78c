"""How Sluice reaches a cluster's API server, and what was found there."""

from django.db import models


class AccessMethod(models.TextChoices):
    """Where address and credential come from."""

    IN_CLUSTER = "in-cluster", "The cluster that Sluice runs in"
    KUBECONFIG = "kubeconfig", "A kubeconfig"
    TOKEN = "token", "Address and token"


class DriftPolicy(models.TextChoices):
    """What happens to a field that another manager has changed."""

    HEAL = "heal", "Take back"
    REPORT = "report", "Report as a conflict"


class ClusterAccess(models.Model):
    """One row for each cluster that has an API server; only platform scopes see it.

    Attributes:
        credential: the kubeconfig or the token, as ``services/sealing.py`` encrypts it.
        served: [[group, kind, version]] by the last check.
        problems: [{what, message}] of the last check; empty when Sluice can do its work there.
    """

    cluster = models.OneToOneField(
        "tenants.Cluster", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    method = models.CharField(max_length=16, choices=AccessMethod.choices)
    server = models.CharField(max_length=300, blank=True)
    authority = models.TextField(blank=True, help_text="PEM; that of the system when empty.")
    credential = models.TextField(blank=True)
    drift_policy = models.CharField(
        max_length=16, choices=DriftPolicy.choices, default=DriftPolicy.HEAL
    )
    gateway_class = models.CharField(max_length=63, blank=True)
    proxy_namespaces = models.JSONField(default=list, help_text="Where the proxy's pods run.")
    saved_at = models.DateTimeField()
    checked_at = models.DateTimeField(null=True)
    version = models.CharField(max_length=63, blank=True)
    served = models.JSONField(default=list)
    problems = models.JSONField(default=list)

    class Meta:
        """By cluster."""

        verbose_name_plural = "cluster connections"
        ordering = ["cluster_id"]

    def __str__(self) -> str:
        return f"access to {self.cluster}"

    @property
    def is_checked(self) -> bool:
        """True when the last check was of what is saved."""
        return self.checked_at is not None and self.checked_at >= self.saved_at

    @property
    def is_healthy(self) -> bool:
        """True when that check found nothing that is missing."""
        return self.is_checked and not self.problems
