"""Tenants, the clusters they are placed on, and the namespaces that are theirs."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F
from django.urls import reverse

DNS_LABEL = RegexValidator(
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z",
    "Use lower-case letters, digits and hyphens, at most 63, as in a DNS label.",
)


class Flavour(models.TextChoices):
    """What kind of proxy a cluster has."""

    LOCAL = "local", "Local proxy"
    SPK = "spk", "F5 BIG-IP Next SPK"
    BNK = "bnk", "F5 BIG-IP Next for Kubernetes"
    GATEWAY = "gateway", "Gateway API"


class Cluster(models.Model):
    """A place whose proxy Sluice keeps; seen by all, changed by platform administrators."""

    name = models.CharField(max_length=63, unique=True, validators=[DNS_LABEL])
    flavour = models.CharField(max_length=16, choices=Flavour.choices, default=Flavour.LOCAL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """By name; one local proxy runs beside Sluice, and two clusters would undo each other."""

        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["flavour"],
                condition=models.Q(flavour=Flavour.LOCAL),
                name="cluster_one_local",
                violation_error_message="The local proxy serves another cluster already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Tenant(models.Model):
    """A customer of the front door; whatever changes its intent raises ``generation``."""

    slug = models.CharField(max_length=63, unique=True, validators=[DNS_LABEL])
    name = models.CharField(max_length=200)
    generation = models.BigIntegerField(default=0)
    auto_apply = models.BooleanField(
        default=True, help_text="Approve plans inside the guardrails by rule, at once."
    )
    is_paused = models.BooleanField(
        default=False, help_text="The proxies keep what they have; nothing new is applied."
    )
    is_suspended = models.BooleanField(
        default=False, help_text="While the pause lasts, the proxies serve nothing of the tenant."
    )
    paused_reason = models.CharField(max_length=300, blank=True)
    paused_by = models.CharField(max_length=150, blank=True)
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="When the pause ends by itself; never when empty."
    )
    limits = models.JSONField(
        default=dict, blank=True, help_text="What may be applied by rule; the defaults when empty."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """By name in the URL."""

        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_suspended=False) | models.Q(is_paused=True),
                name="tenant_suspended_is_paused",
                violation_error_message="A suspended tenant is paused too: set both.",
            )
        ]

    def __str__(self) -> str:
        return self.slug

    def get_absolute_url(self) -> str:
        """The tenant's page."""
        return reverse("proxyconfig:network-list", args=[self.slug])

    def raise_generation(self) -> int:
        """Add one in the database, in the caller's transaction; the new generation."""
        Tenant.objects.filter(pk=self.pk).update(generation=F("generation") + 1)
        self.refresh_from_db(fields=["generation"])
        return self.generation
