"""Celery's place among the Django apps."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """Registers the app under its plain name."""

    name = "workers"
