"""``manage.py reconcile [tenant]``: reconcile now and here, for operators without a worker."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from proxyconfig.models import Placement
from proxyconfig.services.reconcile import reconcile
from tenants.models.scoped import platform_scope


class Command(BaseCommand):
    """Reconcile every placement, or one tenant's, and say how each ended."""

    help = "Bring the proxies to what the current revisions say, in this process."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The tenant."""
        parser.add_argument("tenant", nargs="?", help="the tenant's slug; all when left out")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature.
        """Run it.

        Raises:
            CommandError: there is no such placement.
        """
        found = _placements(options["tenant"])
        if not found:
            raise CommandError(f"There is no placement of {options['tenant'] or 'any tenant'}.")
        for placement in found:
            reconcile(placement.pk)
        for placement in _placements(options["tenant"]):
            self.stdout.write(
                f"{placement}: {placement.sync_state}, {placement.health},"
                f" generation {placement.observed_generation} of {placement.tenant.generation}"
            )


def _placements(slug: str | None) -> list[Placement]:
    with platform_scope("reconcile command"):
        rows = Placement.objects.select_related("tenant", "cluster").order_by("pk")
        return list(rows.filter(tenant__slug=slug) if slug else rows)
