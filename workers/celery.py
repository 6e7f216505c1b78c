"""The Celery app, its task modules and its beat.

Tasks carry ids only. A message is a hint: the guarantee is a sweep that reads the database.
"""

import os

from celery import Celery

from workers.schedule import BEAT

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("sluice", task_cls="workers.base:SluiceTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = BEAT
app.autodiscover_tasks(["workers.tasks"], related_name="proxyconfig")
app.autodiscover_tasks(["workers.tasks"], related_name="ragapp")
app.autodiscover_tasks(["workers.tasks"], related_name="tenants")
