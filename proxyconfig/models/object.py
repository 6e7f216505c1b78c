"""The rows that people edit: every object of every tenant's intent, as approved."""

from django.db import models
from django.db.models import Q
from django.urls import reverse

from proxyconfig.domain.objects import BY_NAME, COLLECTIONS, Key
from tenants.models.scoped import TenantScoped


class IntentObject(TenantScoped):
    """One object of a tenant's intent: a segment, a pool, a policy with its rules.

    Written by ``services/rows.py`` alone. ``spec`` is the object as ``objects.plain`` gives it.
    The table also has a column that only the database writes, ``namespace``: the namespace that an
    ingress policy names, with a foreign key to the tenant's own claims on the same cluster.
    """

    collection = models.CharField(
        max_length=32, choices=[(entry.name, entry.label) for entry in COLLECTIONS]
    )
    name = models.CharField(max_length=200, help_text="Unique in the tenant's collection.")
    cluster = models.ForeignKey(
        "tenants.Cluster", on_delete=models.PROTECT, null=True, related_name="+"
    )
    spec = models.JSONField()
    version = models.CharField(max_length=16, help_text="Of the spec, hex.")
    updated_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        """By collection and name."""

        ordering = ["collection", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "collection", "name"], name="intent_object_name"
            ),
            models.CheckConstraint(
                name="intent_object_ingress_has_cluster",
                condition=~Q(collection="ingress-policies") | Q(cluster__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The object's page."""
        area = "network" if BY_NAME[self.collection].is_network else "policy"
        return reverse(
            f"proxyconfig:{area}-object", args=[self.tenant.slug, self.collection, self.name]
        )

    @property
    def key(self) -> Key:
        """Which object of the tenant it is."""
        return Key(self.collection, self.name)
