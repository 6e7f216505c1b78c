"""The top: composition, and the pages that belong to no one app."""

from django.apps import AppConfig
from django.core import checks


class PortalConfig(AppConfig):
    """Registers the app under its plain name, and its boot checks."""

    name = "portal"

    def ready(self) -> None:
        """Register the checks; they need models to be loaded."""
        from portal.checks import check_database  # noqa: PLC0415  # app ready

        checks.register(check_database, checks.Tags.database)
