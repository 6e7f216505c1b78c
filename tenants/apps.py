"""The ground app: who exists, who may, and which addresses are whose."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Registers the app under its plain name."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"
