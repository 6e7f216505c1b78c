"""Templates of tenants: what a new tenant's network is, written once."""

from django.db import models

from tenants.models.tenant import DNS_LABEL


class TenantTemplate(models.Model):
    """A description from which a tenant is made; seen by all, changed by platform NetOps."""

    name = models.CharField(max_length=63, unique=True, validators=[DNS_LABEL])
    spec = models.JSONField(default=dict)
    description = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """By name."""

        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
