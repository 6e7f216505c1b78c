"""Questions and answers: corpora, training, search and runs of the agent."""

from django.apps import AppConfig


class RagappConfig(AppConfig):
    """Registers the app under its plain name."""

    name = "ragapp"
    default_auto_field = "django.db.models.BigAutoField"
