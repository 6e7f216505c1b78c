"""Can an intent be published? The database holds the same rules across tenants."""

from collections import Counter
from collections.abc import Iterator

from proxyconfig.domain.codec import Unreadable, camel, fields_of, from_plain, to_plain
from proxyconfig.domain.intent import Intent
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
    for field in fields_of(Intent):
        if not field.shape.is_list:
            continue
        items = getattr(intent, field.name)
        names = Counter(
            item if isinstance(item, str) else item.name
            for item in items
            if isinstance(item, str) or hasattr(item, "name")
        )
        for name, count in names.items():
            if count > 1:
                yield Problem(
                    f"spec.{camel(field.name)}[{name}]",
                    "name-doubled",
                    f"{name} is there {count} times; names are unique",
                )
