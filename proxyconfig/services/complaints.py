"""What is wrong with an intent, at the fields that people fill in and in words without paths."""

import re
from collections.abc import Sequence

from proxyconfig.domain.problems import Problem
from tenants.errors import InvalidError

# What a manifest calls a field, and what forms and the REST API call it where they differ.
_FIELDS = {"sources": "allowed_sources", "backend": "namespace", "cidr": "rules"}
_RULE = re.compile(r"\.rules\[([0-9]+)\]")
# What stands in brackets: a name, an address, a place.
_KEY = re.compile(r"\[[^\]]*\]")
_SNAKE = re.compile(r"(?<=[a-z0-9])([A-Z])")


def invalid(problems: Sequence[Problem]) -> InvalidError:
    """One error for all complaints; ``data["problems"]`` has them with the manifest's paths."""
    fields: dict[str, list[str]] = {}
    for problem in problems:
        fields.setdefault(_field(problem.path), []).append(_words(problem))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidError(
        f"The change cannot be taken: {_words(problems[0])}{more}.",
        fields=fields,
        code="intent.invalid",
        data={
            "problems": [
                {"path": problem.path, "code": problem.code, "message": problem.message}
                for problem in problems
            ]
        },
    )


def _words(problem: Problem) -> str:
    """The complaint; one about a rule says which, since a form has one field for all of them."""
    rule = _RULE.search(problem.path)
    return f"rule {int(rule[1])}: {problem.message}" if rule else problem.message


def _field(path: str) -> str:
    """The field for a manifest's path, in snake case; "" where there is none.

    ``spec.ingressPolicies[web].backend.servicePort`` is ``service_port``; whatever lies in a rule
    is ``rules``; a complaint about a listener as a whole is about its ``port``.
    """
    words = _KEY.sub("", path).split(".")[2:]
    if "rules" in words:
        return "rules"
    if not words:
        return "port" if ".listeners[" in path else ""
    if words[0] == "backend" and len(words) > 1:
        return {"port": "service_port"}.get(words[1], words[1])
    word = words[-1]
    return _FIELDS.get(word, _SNAKE.sub(r"_\1", word).lower())
