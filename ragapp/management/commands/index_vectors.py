"""``manage.py index_vectors``: give large partitions a vector index, while they are searched."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections

from ragapp.services import vector_index


class Command(BaseCommand):
    """Runs as the owner, as migrations do; needs DATABASE_OWNER_URL."""

    help = "Give partitions with many chunks a vector index, without locking their readers."

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature.
        """Build what is missing, and say what was built."""
        built = vector_index.build(connections["owner"])
        for name in built:
            self.stdout.write(f"{name} is indexed.")
        if not built:
            self.stdout.write("No partition needs an index.")
