"""From intent to proxy: policies, plans, revisions, and what the proxies report."""

from django.apps import AppConfig


class ProxyconfigConfig(AppConfig):
    """Registers the app under its plain name."""

    name = "proxyconfig"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have a change of a tenant's network make a plan, as it is part of the intent."""
        from proxyconfig.services.plans import propose  # noqa: PLC0415 - app ready
        from tenants.services.changes import register  # noqa: PLC0415 - app ready

        register(propose)
