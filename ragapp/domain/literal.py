"""Literals: what an answer must have copied, not composed.

Numbers, dates, identifiers and quoted spans cannot be put in other words. Checking that each
occurs in a passage costs nothing and catches the errors that people notice most.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_QUOTED = re.compile(r"[\"\u201c]([^\"\u201c\u201d\n]{2,200})[\"\u201d]|`([^`\n]{2,200})`")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,:/\-]\d+)*(?![\w])")
_IDENTIFIER = re.compile(
    r"(?<![\w/])(?:"
    r"(?=\w*\d)(?=\w*[^\W\d_])\w+(?:[.\-/:]\w+)*"  # Letters and digits: v1, 10ms, bf16.
    r"|\w+(?:[_/]\w+)+"  # Joined: app_role, acme/default-deny.
    r"|[^\W\d_]+(?:\.[^\W\d_]+){2,}"  # Dotted: a.b.c.
    r"|[a-z]+(?:[A-Z][a-z0-9]+)+"  # Inner capitals: camelCase.
    r")(?:[\-.:/]\w+)*",
)
_LIST_MARK = re.compile(r"^\s*\d{1,2}[.)]\s+")


@dataclass(frozen=True, slots=True)
class Literal:
    """A span of an answer that has to be found word for word."""

    text: str
    passages: tuple[int, ...]


def literals(sentence: str) -> tuple[str, ...]:
    """Quoted spans, identifiers and numbers of ``sentence``, each once, in that order."""
    rest = _LIST_MARK.sub("", sentence)
    found: list[str] = []
    for pattern in (_QUOTED, _IDENTIFIER, _NUMBER):
        found.extend(match[match.lastindex or 0] for match in pattern.finditer(rest))
        # What one kind took is not looked at again: no number inside an identifier.
        rest = pattern.sub(" ", rest)
    return tuple(dict.fromkeys(text.strip(" .,;:") for text in found))


def check(sentence: str, passages: Sequence[str]) -> tuple[Literal, ...]:
    """Each literal of ``sentence`` with the numbers (from 1) of the passages that contain it."""
    normal = [_normal(passage) for passage in passages]
    return tuple(
        Literal(text, tuple(n for n, body in enumerate(normal, start=1) if _contains(body, text)))
        for text in literals(sentence)
    )


def _contains(body: str, literal: str) -> bool:
    """Whether ``literal`` stands in ``body`` as a whole, not inside a longer number or word."""
    return re.search(rf"(?<!\w){re.escape(_normal(literal))}(?!\w)", body) is not None


def _normal(text: str) -> str:
    """Lower case, single spaces, plain dashes, no separators between thousands."""
    plain = re.sub(r"[\u2010-\u2015\u2212]", "-", text.casefold())
    ungrouped = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", plain)
    return " ".join(ungrouped.split())
