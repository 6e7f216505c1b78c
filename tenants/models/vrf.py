"""Routing tables: addresses of different VRFs never meet."""

from django.db import models
from django.db.models.functions import Coalesce

from tenants.models.tenant import DNS_LABEL


class Vrf(models.Model):
    """A routing table; seen by all, changed by platform NetOps.

    ``default`` is made by a migration and serves whatever names no VRF.
    """

    name = models.CharField(max_length=63, unique=True, validators=[DNS_LABEL])
    owner = models.ForeignKey(
        "tenants.Tenant",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The only tenant that may use it; shared when empty.",
    )
    owner_key = models.GeneratedField(
        expression=Coalesce("owner", 0),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        """By name."""

        ordering = ["name"]
        verbose_name = "VRF"
        constraints = [models.UniqueConstraint(fields=["id", "owner_key"], name="vrf_id_owner")]

    def __str__(self) -> str:
        return self.name
