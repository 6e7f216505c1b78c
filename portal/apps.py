"""The top: composition, and the pages that belong to no one app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Registers the app under its plain name."""

    name = "portal"
