"""Can an intent be published? The database holds the same rules across tenants."""

from collections import Counter
from collections.abc import Iterator

from proxyconfig.domain.codec import Unreadable, camel, from_plain, to_plain
from proxyconfig.domain.intent import Intent, SelfIp
from proxyconfig.domain.objects import COLLECTIONS
from proxyconfig.domain.policies import CHECKS
from proxyconfig.domain.problems import Problem


def validate(intent: Intent) -> list[Problem]:
    """Every complaint about one intent, in reading order; warnings do not block.

    Checks across fields run only when each field by itself is well formed.
    """
    problems: list[Problem] = []
    try:
        from_plain(Intent, to_plain(intent, with_defaults=True), path="spec", problems=problems)
    except Unreadable:
        return problems
    problems.extend(_names_unique(intent))
    for check in CHECKS:
        problems.extend(check(intent))
    return problems


def blocking(problems: list[Problem]) -> list[Problem]:
    """The errors among them."""
    return [problem for problem in problems if problem.blocks]


def _names_unique(intent: Intent) -> Iterator[Problem]:
    for entry in COLLECTIONS:
        if entry.kind is SelfIp:
            continue  # It has no name; its own check says which number or address is taken.
        for name, count in Counter(map(entry.key, getattr(intent, entry.field))).items():
            if count > 1:
                yield Problem(
                    f"spec.{camel(entry.field)}[{name}]",
                    "name-doubled",
                    f"{entry.label} {name} is there {count} times; names are unique",
                )
