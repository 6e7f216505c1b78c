"""``manage.py train``: train a corpus from the command line, and watch it."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ragapp.models import Corpus
from ragapp.services import corpora
from tenants.domain.actor import system
from tenants.domain.states import OperationState
from tenants.errors import SluiceError
from tenants.models.operation import Operation
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Tenant

LOOK_SECONDS = 1.0


class Command(BaseCommand):
    """Starts the training as the portal does, and prints its progress until it ends."""

    help = "Train a tenant's corpus; a worker on the ingest queue does it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Tenant, corpus, and sources where they shall be set."""
        parser.add_argument("tenant", help="slug of the tenant")
        parser.add_argument("corpus", help="name of the corpus; made if it is new")
        parser.add_argument("urls", nargs="*", help="its sources; as they are when left out")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature.
        """Start it and follow it."""
        try:
            operation = _start(options["tenant"], options["corpus"], options["urls"])
        except SluiceError as error:
            raise CommandError(error.message) from error
        self._follow(operation)

    def _follow(self, operation: Operation) -> None:
        said = ""
        while not operation.has_ended:
            time.sleep(LOOK_SECONDS)
            with tenant_scope(operation.tenant_id):
                operation = Operation.objects.get(pk=operation.pk)
            message = operation.steps[-1]["message"] if operation.steps else "waits for a worker"
            if message != said:
                said = message
                self.stdout.write(message)
        if operation.state != OperationState.SUCCEEDED:
            raise CommandError(operation.error or f"The training ended as {operation.state}.")
        self.stdout.write(", ".join(f"{name} {n}" for name, n in operation.result.items() if n))


def _start(slug: str, name: str, urls: list[str]) -> Operation:
    actor = system("manage.py train")
    with platform_scope("manage.py train"):
        tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise CommandError(f"There is no tenant named {slug}.")
    with tenant_scope(tenant.pk):
        if urls:
            known = Corpus.objects.filter(name=name).first()
            corpora.save_corpus(tenant, name=name, urls=urls, actor=actor, corpus=known)
        return corpora.start_training(corpora.visible_corpus(name), actor=actor)
