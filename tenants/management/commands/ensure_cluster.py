"""``manage.py ensure_cluster``: the cluster whose proxy runs beside Sluice."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tenants.models.tenant import Flavour
from tenants.services.clusters import ensure_cluster


class Command(BaseCommand):
    """Makes a cluster where there is none of that name; otherwise changes nothing."""

    help = "Make a cluster, if there is none of that name."

    def add_arguments(self, parser: CommandParser) -> None:
        """A flavour is a kind of proxy."""
        parser.add_argument("name")
        parser.add_argument(
            "--flavour", choices=[flavour.value for flavour in Flavour], required=True
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        name = options["name"]
        is_new = ensure_cluster(name, Flavour(options["flavour"]))
        said = "was made" if is_new else "is there already; nothing was changed"
        self.stdout.write(f"Cluster {name} {said}.")
