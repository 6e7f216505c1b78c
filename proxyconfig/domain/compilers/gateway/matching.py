"""Which requests a route can match, and which of two routes a Gateway API proxy prefers.

The standard knows no order of routes: the longer host name wins, an exact one before a wildcard,
then the longer path. Of equals the older object wins, which nobody can say beforehand.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from proxyconfig.domain.intent import IngressPolicy

MOST_HOSTNAMES: Final = 16
_HOSTNAME: Final = re.compile(
    r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_LONGEST_HOSTNAME: Final = 253
_BAD_PATH: Final = re.compile(r"//|/\.{1,2}(/|$)")


def prefix_of(policy: IngressPolicy) -> str:
    """The path prefix without a final slash, which means nothing."""
    return policy.path_prefix.rstrip("/") or "/"


def is_hostname(text: str) -> bool:
    """True for a host name that a route takes; an underscore is not among its characters."""
    return len(text) <= _LONGEST_HOSTNAME and _HOSTNAME.fullmatch(text) is not None


def is_path(policy: IngressPolicy) -> bool:
    """True for a path prefix that a route takes."""
    return _BAD_PATH.search(prefix_of(policy)) is None


def is_matchable(policy: IngressPolicy) -> bool:
    """True when a route can match what the policy matches."""
    return (
        len(policy.hostnames) <= MOST_HOSTNAMES
        and all(map(is_hostname, policy.hostnames))
        and is_path(policy)
    )


def contradictions(
    policies: Sequence[IngressPolicy],
) -> Iterator[tuple[IngressPolicy, IngressPolicy]]:
    """Pairs (first, second) of one listener's policies that a proxy would not take in this order.

    ``policies`` are in the order of the intent.
    """
    for first, second in combinations(policies, 2):
        if _share_paths(first, second) and not _is_preferred(first, second):
            yield first, second


def _is_preferred(first: IngressPolicy, second: IngressPolicy) -> bool:
    """True when every request that fits both goes to the first."""
    names = {*_names(first), *_names(second)}
    for name in names:
        ours, theirs = _best(first, name), _best(second, name)
        if ours is None or theirs is None:
            continue
        if (_rank(ours), len(prefix_of(first))) <= (_rank(theirs), len(prefix_of(second))):
            return False
    return True


def _share_paths(first: IngressPolicy, second: IngressPolicy) -> bool:
    one, other = (f"{prefix_of(policy).rstrip('/')}/" for policy in (first, second))
    return one.startswith(other) or other.startswith(one)


def _names(policy: IngressPolicy) -> tuple[str, ...]:
    return policy.hostnames or ("",)


def _best(policy: IngressPolicy, name: str) -> str | None:
    """The policy's most specific host name that covers all hosts of ``name``; "" is any host."""
    covering = [pattern for pattern in _names(policy) if _covers(pattern, name)]
    return max(covering, key=_rank, default=None)


def _covers(pattern: str, name: str) -> bool:
    is_below = pattern.startswith("*.") and name.endswith(pattern[1:])
    return not pattern or pattern == name or is_below


def _rank(pattern: str) -> tuple[bool, int]:
    return bool(pattern) and not pattern.startswith("*."), len(pattern)
