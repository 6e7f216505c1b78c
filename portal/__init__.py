"""The top of Sluice. Importing the Celery app here lets web processes send tasks by name."""

from workers.celery import app as celery_app

__all__ = ["celery_app"]
