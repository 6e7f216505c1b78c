"""``manage.py rotate_encryption``: every stored credential under the first encryption key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from proxyconfig.services import cluster_access
from tenants.errors import PermanentError


class Command(BaseCommand):
    """See ``SLUICE_ENCRYPTION_KEYS``: the old key can be dropped afterwards."""

    help = "Encrypt every stored credential with the first of SLUICE_ENCRYPTION_KEYS."

    def handle(self, **options: Any) -> None:
        """All of them, or none.

        Raises:
            CommandError: a credential cannot be read with any of the keys.
        """
        try:
            count = cluster_access.rotate()
        except PermanentError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"Re-encrypted {count} credentials.")
