"""What the overviews show: sums over the apps below, read through their facades and models."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from proxyconfig import facade
from ragapp.domain.reader import Reader
from ragapp.models import Corpus, Run
from ragapp.models.rights import visible_runs
from tenants.domain.actor import Actor
from tenants.domain.roles import Action
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Tenant
from tenants.services import pausing

RECENT = 5


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A line of the list of tenants."""

    tenant: Tenant
    summary: facade.Summary

    @property
    def pause(self) -> str:
        """What an operator did to the tenant's proxies; "" while they follow its changes."""
        now = timezone.now()
        if pausing.is_suspended(self.tenant, now):
            return _("suspended")
        return _("paused") if pausing.is_paused(self.tenant, now) else ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the tenant has for its agent to read, and what was asked last."""

    corpus_count: int
    chunk_count: int
    runs: Sequence[Run]


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps of a new tenant; without an address for whoever may not take it."""

    title: str
    text: str
    href: str
    label: str
    is_done: bool


def tenant_rows(tenants: Sequence[Tenant]) -> list[TenantRow]:
    """Each tenant with its summary.

    Args:
        tenants: as the user's own scope let them through; a row-level policy knows one tenant or
            all, so that their summaries are read past it, by the ids of these and no others.
    """
    with platform_scope("overview"):
        summary_by_id = facade.summaries([tenant.pk for tenant in tenants])
    return [TenantRow(tenant, summary_by_id[tenant.pk]) for tenant in tenants]


def knowledge(reader: Reader) -> Knowledge:
    """What the tenant in scope has trained, and what ``reader`` may see of what was asked."""
    trained = Corpus.objects.filter(chunk_count__gt=0)
    chunks = trained.aggregate(sum=Sum("chunk_count"))["sum"] or 0
    asked = Run.objects.filter(visible_runs(reader))
    return Knowledge(Corpus.objects.count(), chunks, list(asked[:RECENT]))


def has_recent_drift(summary: facade.Summary) -> bool:
    """True for a drift of the last day: an older one is history, and stands on the sync page."""
    seen = summary.drifted_at
    return seen is not None and timezone.now() - seen < facade.LEDGER_WINDOW


def first_steps(
    slug: str, summary: facade.Summary, known: Knowledge, actor: Actor
) -> tuple[Step, ...]:
    """The way of a new tenant to its first answer, as far as ``actor`` may go it."""

    def href(name: str, action: Action) -> str:
        return reverse(name, args=[slug]) if actor.may(action) else ""

    return (
        Step(
            _("Open the front door"),
            _("Add an ingress policy. Until then nobody can connect to the tenant's address."),
            href("proxyconfig:ingress-create", Action.EDIT_POLICY),
            _("Add ingress"),
            summary.ingress_count > 0,
        ),
        Step(
            _("Let the agent out"),
            _("Add an egress policy for the site that has your documents."),
            href("proxyconfig:egress-create", Action.EDIT_POLICY),
            _("Add egress"),
            summary.egress_count > 0,
        ),
        Step(
            _("Train a corpus"),
            _("Name the documents. A worker fetches, splits, embeds and indexes them."),
            href("ragapp:corpus-list", Action.TRAIN),
            _("Go to corpora"),
            known.chunk_count > 0,
        ),
        Step(
            _("Ask"),
            _("Ask a question, and see how its answer was reached."),
            href("ragapp:ask", Action.ASK),
            _("Ask"),
            bool(known.runs),
        ),
    )
