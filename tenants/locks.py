"""The one order in which rows are locked, so that no two transactions wait for each other.

1. **Tenant**: ``tenant(pk)``; whatever changes a tenant's intent takes it first.
2. **Parents** of what is allocated, by kind and key: VLAN ranges, VNI ranges, VLAN grants, VNI
   grants, address pools, prefix grants, subnets. Nothing is allocated without its parent's lock.
3. **Placements**, by key.
4. **Plan**.
5. **Operation**.

Every lock is ``FOR NO KEY UPDATE``: a full row lock would also stop each insert that refers to the
row. What a transaction holds is remembered for as long as PostgreSQL keeps it: to the end of the
transaction, or back to the savepoint that is rolled back. Taking a row that comes before one that
is held already is a defect, and raises ``LockOrderError`` before anybody waits; taking the same row
again is not.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import TypeVar

from django.db import connection, models, transaction

from tenants.errors import PermanentError
from tenants.models.claim import SubnetClaim
from tenants.models.grant import PrefixGrant, VlanGrant, VniGrant
from tenants.models.pool import AddressPool, VlanRange, VniRange
from tenants.models.tenant import Tenant

M = TypeVar("M", bound=models.Model)


class LockOrderError(PermanentError):
    """Code locked rows in the wrong order: a defect, never the user's fault."""

    default_code = "lock-order"


class Level(IntEnum):
    """What is locked, in the order of locking."""

    TENANT = 1
    PARENT = 2
    PLACEMENT = 3
    PLAN = 4
    OPERATION = 5


PARENTS: tuple[type[models.Model], ...] = (
    VlanRange,
    VniRange,
    VlanGrant,
    VniGrant,
    AddressPool,
    PrefixGrant,
    SubnetClaim,
)
# Level, kind within the level, primary key.
_Key = tuple[int, int, int]


class _Held:
    """Locks that the open transaction took; called at its commit, when they are gone."""

    def __init__(self, block: object, keys: tuple[_Key, ...]) -> None:
        self.block = block
        self.keys = keys

    def __call__(self) -> None:
        """Nothing is left to do."""


def tenant(pk: int) -> Tenant:
    """The tenant's row, locked and read anew.

    Raises:
        LockOrderError: something that comes later is held already.
        Tenant.DoesNotExist: there is none in this scope.
    """
    found = rows(Level.TENANT, Tenant.objects.filter(pk=pk))
    if not found:
        raise Tenant.DoesNotExist(f"No tenant {pk} in this scope.")
    return found[0]


def parents(wanted: Iterable[models.Model]) -> None:
    """Lock these pools, ranges, grants and subnets, whatever their order; their hints are stale.

    Raises:
        LockOrderError: something that comes later is held already.
    """
    by_kind: dict[type[models.Model], set[int]] = {}
    for row in wanted:
        by_kind.setdefault(type(row), set()).add(row.pk)
    for model in sorted(by_kind, key=PARENTS.index):
        rows(Level.PARENT, model._default_manager.filter(pk__in=by_kind[model]))


def rows(level: Level, queryset: models.QuerySet[M], *, skip_locked: bool = False) -> list[M]:
    """The rows of ``queryset`` by primary key, locked and read anew.

    Args:
        skip_locked: leave out what somebody else has locked, instead of waiting for it.

    Raises:
        LockOrderError: something that comes later is held already.
    """
    held = _held()
    kind = PARENTS.index(queryset.model) if level is Level.PARENT else 0
    plain = queryset.order_by("pk")
    if max(held, default=(0,))[:2] > (level.value, kind):
        # Asked without a lock: whoever waits in the wrong order is in a deadlock already.
        _check(held, [(level.value, kind, pk) for pk in plain.values_list("pk", flat=True)])
    locked = list(plain.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked))
    keys = [(level.value, kind, row.pk) for row in locked]
    _check(held, keys)
    if fresh := tuple(key for key in keys if key not in held):
        transaction.on_commit(_Held(_block(), fresh))
    return locked


def place(parent: models.Model | None) -> tuple[int, int]:
    """Where a parent stands among the parents; before all others for None, which has no lock."""
    return (-1, 0) if parent is None else (PARENTS.index(type(parent)), parent.pk)


def _check(held: frozenset[_Key], wanted: Sequence[_Key]) -> None:
    highest: _Key = max(held, default=(0, 0, 0))
    early = [key for key in wanted if key not in held and key < highest]
    if early:
        raise LockOrderError(
            f"{_words(early[0])} was locked after {_words(highest)}."
            " Lock in the order of tenants/locks.py.",
        )


def _words(key: _Key) -> str:
    level, kind, pk = key
    name = Level(level).name.lower()
    if level == Level.PARENT:
        name = str(PARENTS[kind]._meta.verbose_name)
    return f"{name} {pk}"


def _held() -> frozenset[_Key]:
    """What this transaction has locked and not given back.

    Django keeps the hooks of a commit exactly as long as PostgreSQL keeps the locks, savepoints
    included, so they are where the locks are remembered.
    """
    block = _block()
    hooks = [entry[1] for entry in connection.run_on_commit]
    return frozenset(
        key
        for hook in hooks
        if isinstance(hook, _Held) and hook.block is block
        for key in hook.keys
    )


def _block() -> object:
    """The outermost block of the product's own; tests wrap theirs around it."""
    blocks = connection.atomic_blocks
    return next((block for block in blocks if not getattr(block, "_from_testcase", False)), None)
