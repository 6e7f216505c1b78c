"""From intent to proxy: objects, plans, revisions, and what the proxies report."""

from django.apps import AppConfig
from django.db.models.signals import pre_delete


class ProxyconfigConfig(AppConfig):
    """Registers the app under its plain name."""

    name = "proxyconfig"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let nobody delete a VRF that an intent names: the ground does not know intents."""
        from proxyconfig.services import places  # noqa: PLC0415 - models load first

        pre_delete.connect(places.keep_named_vrf, sender="tenants.Vrf")
