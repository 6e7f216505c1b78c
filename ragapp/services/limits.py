"""The tenant's limits at the door of the agent: requests, questions at once, and tokens."""

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from ragapp.models import Document, EmbeddingCall, Run, Upload
from ragapp.models.run import IN_FLIGHT
from tenants.domain.actor import Actor
from tenants.domain.quota import Resource, Standing
from tenants.models.quota import Quota
from tenants.models.tenant import Tenant
from tenants.models.token import ApiToken
from tenants.services import quotas
from tenants.services.quotas import Held, Want

# A page names no more; each costs a few queries.
MOST_TOKENS = 20


@dataclass(frozen=True, slots=True)
class TokenStanding:
    """How one API token stands with one limit of its own."""

    token: str
    standing: Standing


def admit_question(tenant: Tenant, *, actor: Actor) -> None:
    """Take room for one more question; call it in the transaction that makes the run.

    Raises:
        QuotaError: a limit of the tenant, or of the API token that asks, is spent.
    """
    by_rows = held(tenant.pk)
    quotas.take(
        tenant,
        Want(Resource.REQUESTS_PER_MINUTE),
        Want(Resource.REQUESTS_PER_DAY),
        Want(Resource.CONCURRENT_RUNS, held=by_rows[Resource.CONCURRENT_RUNS]),
        Want(Resource.TOKENS_PER_DAY, held=by_rows[Resource.TOKENS_PER_DAY]),
        token_id=actor.token_id,
    )


def admit_embedding(call: EmbeddingCall, *, actor: Actor) -> None:
    """Take room for one call and all of its tokens, and note it as on its way.

    Raises:
        QuotaError: a limit of the tenant, or of the API token that asks, is spent.
    """
    tokens = held(call.tenant_id)[Resource.TOKENS_PER_DAY]
    with transaction.atomic():
        quotas.take(
            call.tenant,
            Want(Resource.REQUESTS_PER_MINUTE),
            Want(Resource.REQUESTS_PER_DAY),
            Want(Resource.TOKENS_PER_DAY, call.tokens, held=tokens),
            token_id=actor.token_id,
        )
        call.save(force_insert=True)


def admit_measurement(tenant: Tenant) -> None:
    """Refuse an evaluation's next question where the day's tokens are spent; inside its scope.

    Raises:
        QuotaError: they are; tomorrow the evaluation can be continued.
    """
    by_rows = held(tenant.pk)
    quotas.take(tenant, Want(Resource.TOKENS_PER_DAY, held=by_rows[Resource.TOKENS_PER_DAY]))


def token_standings(tenant_id: int) -> list[TokenStanding]:
    """Each limit of an API token that somebody set, with what is used of it."""
    tokens = ApiToken.objects.filter(pk__in=Quota.objects.exclude(token=None).values("token"))
    by_rows = held(tenant_id)
    return [
        TokenStanding(token.name, standing)
        for token in tokens.order_by("name")[:MOST_TOKENS]
        for standing in quotas.standings(tenant_id, token_id=token.pk, held=by_rows)
        if not standing.is_default
    ]


def admit_bytes(tenant: Tenant, amount: int) -> None:
    """Take room for so many bytes of documents; call it in the transaction that stores them.

    Raises:
        QuotaError: the tenant's limit is spent.
    """
    quotas.take(tenant, Want(Resource.CORPUS_BYTES, amount, held=lambda _: corpus_bytes(tenant.pk)))


def corpus_bytes(tenant_id: int) -> int:
    """What the tenant's documents take: files that were handed over, and pages as fetched."""
    uploads = Upload.objects.filter(tenant_id=tenant_id).aggregate(sum=Sum("size_bytes"))
    fetched = Document.objects.filter(~Q(url__startswith="upload:"), tenant_id=tenant_id)
    return (uploads["sum"] or 0) + (fetched.aggregate(sum=Sum("size_bytes"))["sum"] or 0)


def held(tenant_id: int) -> dict[Resource, Held]:
    """What is on its way holds: slots, and the tokens that each run or call may still use.

    Counted in their rows: a run whose worker was killed frees its slot when it ends or fails, a
    call for vectors when its time is over, and no counter is left behind.
    """

    def runs(token_id: int | None) -> int:
        rows = Run.objects.filter(tenant_id=tenant_id, state__in=IN_FLIGHT)
        return (rows if token_id is None else rows.filter(token_id=token_id)).count()

    def tokens(token_id: int | None) -> int:
        calls = EmbeddingCall.objects.filter(tenant_id=tenant_id, expires_at__gt=timezone.now())
        mine = calls if token_id is None else calls.filter(token_id=token_id)
        called = mine.aggregate(sum=Sum("tokens"))["sum"] or 0
        return runs(token_id) * settings.QUOTA_TOKENS_PER_ANSWER + called

    return {
        Resource.CONCURRENT_RUNS: runs,
        Resource.TOKENS_PER_DAY: tokens,
        Resource.CORPUS_BYTES: lambda _: corpus_bytes(tenant_id),
    }
