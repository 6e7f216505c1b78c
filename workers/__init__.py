"""Celery: thin tasks over the services of the apps below."""
