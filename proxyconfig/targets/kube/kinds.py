"""Which kinds Sluice may ever write on a cluster, and in which order."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from proxyconfig.domain.compilers.gateway import KNOWN_VERSIONS
from proxyconfig.domain.plan import PlanAction, PlanEntry

Kind: TypeAlias = tuple[str, str]

# Group and kind; those that a cluster does not serve are skipped. Secrets are never among them.
KINDS: Final[Sequence[Kind]] = tuple(KNOWN_VERSIONS)
ROUTES: Final = tuple(kind for _, kind in KINDS if kind.endswith("Route"))

# What others refer to, or what closes before something opens, comes first; all else after it.
_FIRST = ("Namespace", "NetworkPolicy", "ReferenceGrant", "Gateway")


def in_order(entries: Sequence[PlanEntry]) -> tuple[PlanEntry, ...]:
    """What is referred to before what refers to it; then deletes, the other way round.

    Deletes come last: a default-deny that is replaced by another leaves no gap, and a backend stays
    reachable while its route is renamed.
    """
    kept = [entry for entry in entries if entry.action is PlanAction.KEEP]
    deleted = [entry for entry in entries if entry.action is PlanAction.DELETE]
    applied = [
        entry for entry in entries if entry.action not in (PlanAction.KEEP, PlanAction.DELETE)
    ]
    return (
        *sorted(applied, key=_place),
        *sorted(deleted, key=_place, reverse=True),
        *sorted(kept, key=_place),
    )


def _place(entry: PlanEntry) -> tuple[int, tuple[str, ...]]:
    kind = entry.identity.kind
    return (_FIRST.index(kind) if kind in _FIRST else len(_FIRST), tuple(entry.identity))
