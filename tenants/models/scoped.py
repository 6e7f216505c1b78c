"""Whose rows a block of code may see: the one door to PostgreSQL's row-level security.

Every tenant-owned table has a forced policy that compares its ``tenant_id`` with the setting
``app.tenant`` of the running transaction. The scopes here open a transaction, make those settings
for it alone (``set_config(..., true)``), and tell the managers, which refuse outside a scope.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

from django.db import connection, models, transaction

from tenants.errors import PermanentError


class ScopeError(PermanentError):
    """Code touched tenant-owned rows outside a scope: a defect, never the user's fault."""

    default_code = "no-scope"


@dataclass(frozen=True, slots=True)
class Scope:
    """What the running transaction may see; the empty scope sees no tenant-owned row."""

    tenant_id: int | None = None
    user_id: int | None = None
    token_hash: str = ""
    staff_reason: str = ""

    @property
    def is_staff(self) -> bool:
        """True when the platform's setting is on, which the policies let through."""
        return bool(self.staff_reason)


_current: ContextVar[Scope | None] = ContextVar("sluice_scope", default=None)


def current_scope() -> Scope:
    """The scope that is open.

    Raises:
        ScopeError: none is.
    """
    scope = _current.get()
    if scope is None:
        raise ScopeError(
            "Tenant-owned rows were asked for outside a scope. "
            "Open tenant_scope(...) or platform_scope(...) around the query."
        )
    return scope


def _apply(scope: Scope) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('app.tenant', %s, true), set_config('app.user', %s, true),"
            " set_config('app.token', %s, true), set_config('app.staff', %s, true)",
            [
                "" if scope.tenant_id is None else str(scope.tenant_id),
                "" if scope.user_id is None else str(scope.user_id),
                scope.token_hash,
                "on" if scope.is_staff else "",
            ],
        )


@contextmanager
def open_scope(scope: Scope) -> Iterator[Scope]:
    """Run the block in one transaction that sees what ``scope`` allows; scopes nest."""
    outer = _current.get()
    is_nested = connection.in_atomic_block
    with transaction.atomic():
        _apply(scope)
        token = _current.set(scope)
        try:
            yield scope
        finally:
            _current.reset(token)
        # Only on a normal end: a rollback takes the settings back by itself.
        if is_nested and not connection.needs_rollback:
            _apply(outer or Scope())


@contextmanager
def tenant_scope(tenant_id: int, *, user_id: int | None = None) -> Iterator[Scope]:
    """Run the block in a transaction that sees this one tenant's rows."""
    with open_scope(Scope(tenant_id=tenant_id, user_id=user_id)) as scope:
        yield scope


@contextmanager
def user_scope(user_id: int) -> Iterator[Scope]:
    """Run the block in a transaction that sees only which tenants this user is a member of."""
    with open_scope(Scope(user_id=user_id)) as scope:
        yield scope


@contextmanager
def platform_scope(reason: str) -> Iterator[Scope]:
    """Run the block in a transaction that sees every tenant's rows.

    For sweeps and for platform administrators. ``reason`` is a short word that can be searched for.
    """
    with open_scope(Scope(staff_reason=reason)) as scope:
        yield scope


M = TypeVar("M", bound=models.Model)


class ScopedManager(models.Manager[M]):
    """Builds queries only inside a scope, and names the tenant in each, so that indexes serve."""

    def get_queryset(self) -> models.QuerySet[M]:
        """Rows of the scope's tenant; of all tenants in a platform scope."""
        scope = current_scope()
        queryset = super().get_queryset()
        if scope.tenant_id is not None:
            return queryset.filter(tenant_id=scope.tenant_id)
        return queryset


class TenantScoped(models.Model):
    """Base of every row that a tenant owns; its table has row-level security, forced."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")

    objects: ClassVar[models.Manager[Self]] = ScopedManager()

    class Meta:
        """Abstract: each subclass is a table of its own."""

        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own signature.
        """Save inside a scope only; the database checks that the tenant is the scope's."""
        current_scope()
        super().save(*args, **kwargs)
