"""The message "look at this row": sent by name after commit, so that no app imports the workers.

A lost message costs one sweep, never a change; so a broker that is down is logged and forgotten.
"""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

RECONCILE_TENANT = "proxyconfig.reconcile_tenant"
TRAIN_CORPUS = "ragapp.train_corpus"
ANSWER_RUN = "ragapp.answer_run"
EMBED_TEXTS = "ragapp.embed_texts"
EVALUATE_CORPUS = "ragapp.evaluate_corpus"


def send(task: str, row_id: int | str) -> None:
    """Send ``task`` with the id of its row, once the running transaction has committed."""
    transaction.on_commit(lambda: _send(task, row_id))


def _send(task: str, row_id: int | str) -> None:
    try:
        current_app.send_task(task, args=[row_id], retry=False)
    except OperationalError as error:
        logger.warning(
            "The broker took no message for %s: %s. The sweep will find it.", task, error
        )


def tenant(tenant_id: int) -> None:
    """Ask a worker to reconcile all of the tenant's placements now."""
    send(RECONCILE_TENANT, tenant_id)
