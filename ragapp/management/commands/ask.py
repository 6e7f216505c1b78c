"""``manage.py ask``: put a question from the command line and read the answer as it is written."""

import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ragapp.models import Channel, Run
from ragapp.services import runs, stream
from ragapp.services.corpora import visible_corpus
from tenants.domain.actor import system
from tenants.errors import SluiceError
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Tenant


class Command(BaseCommand):
    """Asks as the portal does; the engine worker answers."""

    help = "Ask a tenant's agent a question, and show its steps and its answer."

    def add_arguments(self, parser: CommandParser) -> None:
        """Tenant, question, and the corpus where one is meant."""
        parser.add_argument("tenant", help="slug of the tenant")
        parser.add_argument("question")
        parser.add_argument("--corpus", default="", help="look in this corpus only")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature.
        """Ask, then follow the run."""
        try:
            run = _ask(options["tenant"], options["question"], options["corpus"])
        except SluiceError as error:
            raise CommandError(error.message) from error
        asyncio.run(self._follow(run))
        with tenant_scope(run.tenant_id):
            run.refresh_from_db()
        self.stdout.write(f"\n\n{run.answer}\n")
        for citation in run.citations:
            if citation["is_cited"]:
                place = " > ".join([citation["title"], *citation["section"]])
                self.stdout.write(f"[{citation['number']}] {place}  {citation['url']}")
        self.stdout.write(f"{run.state} {run.end} {run.end_message or run.error}")
        self.stdout.write(f"trace {run.trace_id}")

    async def _follow(self, run: Run) -> None:
        async for event in stream.read(run.tenant_id, run.trace_id):
            if event is None:
                continue
            for step in event.data.get("steps", [event.data] if event.name == "step" else []):
                self.stdout.write(f"\n  {step['title']}  {step['detail']}  {step['duration']}")
            if event.name in {"token", "snapshot"}:
                self.stdout.write(event.data["text"], ending="")
                self.stdout.flush()


def _ask(slug: str, question: str, corpus: str) -> Run:
    with platform_scope("manage.py ask"):
        tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise CommandError(f"There is no tenant named {slug}.")
    with tenant_scope(tenant.pk):
        return runs.ask(
            tenant,
            question,
            actor=system("manage.py ask"),
            channel=Channel.API,
            corpus=visible_corpus(corpus) if corpus else None,
        )
