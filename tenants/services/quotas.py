"""The one place where limits are asked and use is counted.

``take`` refuses, ``charge`` counts what was used already, and both work inside the caller's
transaction: a rollback gives everything back. A limit is exact because its counter is one row,
changed by one conditional statement that also locks it until the caller's commit.

What is held by rows that live and die on their own (running questions) has no counter that could
leak after a kill: the caller counts those rows, and the counter's row is only the lock.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from tenants import audit
from tenants.domain.actor import Actor
from tenants.domain.quota import KINDS, Resource, Standing, resets_at, window_start
from tenants.domain.roles import Action, roles_with
from tenants.errors import ForbiddenError, InvalidError, QuotaError, TransientError
from tenants.models.quota import Quota, QuotaUse
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Tenant
from tenants.models.token import ApiToken
from tenants.retries import sqlstate

MOST = 2**62
# When to ask again for what is held by others for as long as they need.
_HELD_RETRY_SECONDS = 2.0
_KEEP_WINDOWS = timedelta(days=8)
_LOCK_NOT_AVAILABLE = "55P03"
_ADD = """
INSERT INTO tenants_quotause (tenant_id, token_id, resource, window_start, used)
SELECT %(tenant)s, %(token)s, %(resource)s, %(start)s, greatest(%(amount)s, 0)
WHERE %(amount)s <= %(limit)s
ON CONFLICT (tenant_id, token_id, resource, window_start)
DO UPDATE SET used = greatest(tenants_quotause.used + %(amount)s, 0)
WHERE tenants_quotause.used + %(amount)s <= %(limit)s
RETURNING used
"""

Held = Callable[[int | None], int]


@dataclass(frozen=True, slots=True)
class Want:
    """Room that is asked for.

    Attributes:
        held: where rows say what is held: the amount, of the whole tenant for None, else of the
            API token with this id. ``amount`` must then fit beside it, and nothing is counted.
    """

    resource: Resource
    amount: int = 1
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class _Counter:
    """One row of ``QuotaUse``, and the limit that holds for it."""

    tenant_id: int
    token_id: int | None
    resource: Resource
    start: datetime
    limit: int | None

    def add(self, amount: int) -> int | None:
        """Count ``amount`` more and lock the row; what is used then, None if it did not fit."""
        values = {
            "tenant": self.tenant_id,
            "token": self.token_id,
            "resource": self.resource.value,
            "start": self.start,
            "amount": amount,
            "limit": MOST if self.limit is None else self.limit,
        }
        with connection.cursor() as cursor:
            cursor.execute(_ADD, values)
            row = cursor.fetchone()
        return None if row is None else int(row[0])

    def used(self) -> int:
        """What is counted; exact while this transaction has the lock."""
        rows = QuotaUse.objects.filter(
            tenant_id=self.tenant_id,
            token_id=self.token_id,
            resource=self.resource.value,
            window_start=self.start,
        )
        return rows.values_list("used", flat=True).first() or 0


def take(
    tenant: Tenant, *wants: Want, token_id: int | None = None, now: datetime | None = None
) -> None:
    """Take room for all of ``wants``, or for none; the tenant's and the token's limits hold.

    Args:
        token_id: the API token that asks; None for a person.

    Raises:
        QuotaError: a limit is spent; its data has resource, used, limit, requested, resets_at.
        TransientError: too many ask for the same at once.
    """
    moment = now or timezone.now()
    limits = _limits(tenant.pk, token_id)
    try:
        with transaction.atomic():
            # Always in the same order, so that two callers never wait for each other.
            for want in sorted(wants, key=lambda want: want.resource):
                for counter in _counters(tenant.pk, want.resource, token_id, limits, moment):
                    _take(tenant, counter, want, moment)
    except OperationalError as error:
        if sqlstate(error) != _LOCK_NOT_AVAILABLE:
            raise
        raise TransientError(
            f"Too many requests of {tenant} wait for the same limit. Try again."
        ) from error


def charge(
    tenant_id: int,
    resource: Resource,
    amount: int,
    *,
    token_id: int | None = None,
    now: datetime | None = None,
) -> None:
    """Count what was used already, beyond the limit too; a negative amount gives back."""
    moment = now or timezone.now()
    for counter in _counters(tenant_id, resource, token_id, None, moment):
        counter.add(amount)


def standings(
    tenant_id: int,
    *,
    token_id: int | None = None,
    held: Mapping[Resource, Held] | None = None,
    now: datetime | None = None,
) -> list[Standing]:
    """Each resource of the tenant, or of one of its tokens: used, limit and reset.

    Args:
        held: as in ``Want``, for what rows hold; added to what is counted.
    """
    moment = now or timezone.now()
    limits = _limits(tenant_id, token_id)
    starts = {resource: window_start(resource, moment) for resource in Resource}
    counted = QuotaUse.objects.filter(
        tenant_id=tenant_id, token_id=token_id, window_start__in=set(starts.values())
    )
    used = {(use.resource, use.window_start): use.used for use in counted}
    return [
        Standing(
            resource=resource,
            used=used.get((resource.value, starts[resource]), 0)
            + (held[resource](token_id) if held and resource in held else 0),
            limit=_limit(limits, resource, token_id),
            is_default=(token_id, resource.value) not in limits,
            resets_at=resets_at(resource, moment),
        )
        for resource in Resource
        if token_id is None or KINDS[resource].per_token
    ]


def check_right(actor: Actor, token: ApiToken | None) -> None:
    """Return if ``actor`` may limit the tenant, or with ``token`` that API token.

    Raises:
        ForbiddenError: only who makes tenants limits them, only NetOps limit tokens.
    """
    if token is None and not actor.may(Action.CREATE_TENANT):
        raise ForbiddenError(
            "Only platform NetOps and platform administrators set a tenant's limits. Ask one, and"
            " say what for."
        )
    if token is not None and not actor.may(Action.MANAGE_TENANT):
        roles = ", ".join(roles_with(Action.MANAGE_TENANT))
        raise ForbiddenError(f"Only {roles} of the tenant set the limits of its API tokens.")


def set_limit(
    tenant: Tenant,
    resource: Resource,
    limit: int | None,
    *,
    actor: Actor,
    token: ApiToken | None = None,
) -> Quota:
    """Let this limit hold from the next request on; None for no limit.

    Raises:
        ForbiddenError: only who makes tenants limits them, only NetOps limit tokens.
        InvalidError: the limit is out of range, not for tokens, or above the tenant's own.
    """
    check_right(actor, token)
    if limit is not None and not 0 <= limit <= MOST:
        raise _invalid(f"A limit is a number from 0 to {MOST}.")
    if token is not None:
        _check_token_limit(tenant, resource, limit)
    token_id = token.pk if token else None
    with transaction.atomic():
        quota, _ = Quota.objects.update_or_create(
            tenant=tenant, token_id=token_id, resource=resource.value, defaults={"limit": limit}
        )
        detail = {"resource": resource.value, "limit": limit, "token": token.name if token else ""}
        audit.record(actor, "quota.set", quota, detail=detail)
    return quota


def clear_limit(
    tenant: Tenant, resource: Resource, *, actor: Actor, token: ApiToken | None = None
) -> None:
    """Go back to the settings' default; for a token, to the tenant's limit alone.

    Raises:
        ForbiddenError: as in ``set_limit``.
    """
    check_right(actor, token)
    token_id = token.pk if token else None
    with transaction.atomic():
        quota = Quota.objects.filter(
            tenant=tenant, token_id=token_id, resource=resource.value
        ).first()
        if quota is None:
            return
        detail = {"resource": resource.value, "token": token.name if token else ""}
        audit.record(actor, "quota.cleared", quota, detail=detail)
        quota.delete()


def forget_windows(now: datetime, *, batch: int = 1000) -> int:
    """Delete up to ``batch`` counters of windows long past; how many. Stocks have no past."""
    with platform_scope("quota sweep"):
        stock = window_start(Resource.CORPUS_BYTES, now)
        old = QuotaUse.objects.filter(
            window_start__lt=now - _KEEP_WINDOWS, window_start__gt=stock
        ).values_list("pk", flat=True)[:batch]
        return QuotaUse.objects.filter(pk__in=list(old)).delete()[0]


def _take(tenant: Tenant, counter: _Counter, want: Want, now: datetime) -> None:
    if want.held is None:
        if counter.add(want.amount) is None:
            raise _refusal(tenant, counter, want, counter.used(), now)
        return
    if counter.limit is None:
        return
    # Adding nothing locks the row, so nobody else takes room between the count and the commit.
    counted = _Counter(
        counter.tenant_id, counter.token_id, counter.resource, counter.start, None
    ).add(0)
    used = (counted or 0) + want.held(counter.token_id)
    if used + want.amount > counter.limit:
        raise _refusal(tenant, counter, want, used, now)


def _refusal(tenant: Tenant, counter: _Counter, want: Want, used: int, now: datetime) -> QuotaError:
    kind = KINDS[want.resource]
    limit = counter.limit or 0
    reset = resets_at(want.resource, now)
    whose = f"tenant {tenant}" if counter.token_id is None else "this API token"
    at = f" It resets at {reset:%Y-%m-%d %H:%M} UTC." if reset else ""
    wait = (reset - now).total_seconds() if reset else _HELD_RETRY_SECONDS
    return QuotaError(
        f"{kind.label} of {whose}: {used} of {limit} are used, and {want.amount} more"
        f" {'was' if want.amount == 1 else 'were'} asked for.{at} {kind.next_step}",
        status=kind.status,
        retry_after_seconds=wait if kind.status == 429 else None,
        data={
            "resource": want.resource.value,
            "scope": "tenant" if counter.token_id is None else "token",
            "used": used,
            "limit": limit,
            "remaining": max(0, limit - used),
            "requested": want.amount,
            "window_seconds": int(kind.window.total_seconds()) if kind.window else None,
            "resets_at": reset.isoformat() if reset else None,
        },
    )


_Limits = dict[tuple[int | None, str], int | None]


def _limits(tenant_id: int, token_id: int | None) -> _Limits:
    """What somebody set, by token (None for the tenant) and resource."""
    rows = Quota.objects.filter(Q(token=None) | Q(token=token_id), tenant_id=tenant_id)
    return {(row.token_id, row.resource): row.limit for row in rows}


def _limit(limits: _Limits, resource: Resource, token_id: int | None) -> int | None:
    """The limit that holds; a token has none of its own unless somebody set it."""
    default: int | None = None
    if token_id is None:
        default = settings.QUOTA_DEFAULTS[resource]
    return limits.get((token_id, resource.value), default)


def _counters(
    tenant_id: int,
    resource: Resource,
    token_id: int | None,
    limits: _Limits | None,
    now: datetime,
) -> Iterator[_Counter]:
    """The tenant's counter, then the token's; without ``limits`` both take any amount."""
    start = window_start(resource, now)
    holders = [None, token_id] if token_id and KINDS[resource].per_token else [None]
    for holder in holders:
        limit = None if limits is None else _limit(limits, resource, holder)
        yield _Counter(tenant_id, holder, resource, start, limit)


def _check_token_limit(tenant: Tenant, resource: Resource, limit: int | None) -> None:
    if not KINDS[resource].per_token:
        raise _invalid(f"{KINDS[resource].label} are the tenant's; a token has no limit of them.")
    whole = _limit(_limits(tenant.pk, None), resource, None)
    if limit is not None and whole is not None and limit > whole:
        raise _invalid(f"The tenant itself may have {whole}; give the token no more than that.")


def _invalid(message: str) -> InvalidError:
    fields: dict[str, Any] = {"limit": [message]}  # Any: the error takes any sequence of text.
    return InvalidError(message, fields=fields)
