"""Tells the layer above that a tenant's network changed, once for each transaction.

Segments, namespaces and addresses are part of a tenant's intent, so changing them makes a plan.
Plans live in an app above this one, which registers its ``propose`` here when Django starts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import transaction

from tenants.domain.actor import Actor
from tenants.models.tenant import Tenant

Propose = Callable[..., object]

_propose: list[Propose] = []
_changing: ContextVar[int | None] = ContextVar("sluice_changing_tenant", default=None)


def register(propose: Propose) -> None:
    """Have ``propose(tenant, actor=..., reason=...)`` called after each change of a network."""
    if propose not in _propose:
        _propose.append(propose)


@contextmanager
def network_change(tenant: Tenant, *, actor: Actor, reason: str) -> Iterator[None]:
    """Run the block in one transaction, then make one plan of all that it changed; blocks nest."""
    if _changing.get() == tenant.pk:
        yield
        return
    with transaction.atomic():
        token = _changing.set(tenant.pk)
        try:
            yield
        finally:
            _changing.reset(token)
        for propose in _propose:
            propose(tenant, actor=actor, reason=reason)
