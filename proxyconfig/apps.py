"""From intent to proxy: objects, plans, revisions, and what the proxies report."""

from django.apps import AppConfig


class ProxyconfigConfig(AppConfig):
    """Registers the app under its plain name."""

    name = "proxyconfig"
    default_auto_field = "django.db.models.BigAutoField"
