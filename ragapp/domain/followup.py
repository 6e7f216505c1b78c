"""Follow-ups: a question that leans on what was said before, made one that stands alone.

Retrieval sees one question and no conversation. The model puts a follow-up into one whole question;
what it writes is taken only if it keeps the follow-up's words and adds none but the conversation's
own. Otherwise a plain rule holds: the question before it, then the follow-up.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ragapp.domain.engine import Message
from ragapp.domain.lexical import stems, telling_words

MOST_EXCHANGES = 3
MOST_CHARACTERS = 600
LONGEST = 400
# Fewer telling words than this say too little to search with.
FEWEST_WORDS = 2

_LEANS = re.compile(
    r"^\s*(?:and|but|or|so|what about|how about|why|why not|which ones?)\b"
    r"|\b(?:it|its|they|them|their|theirs|that|those|this|these|he|him|his|she|her|hers|one|ones"
    r"|former|latter|same|there|then|instead|else|too|also)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question of the conversation, as it was searched for, and its answer."""

    question: str
    answer: str


def leans(question: str, history: Sequence[Exchange]) -> bool:
    """Whether the question needs what was said before it."""
    if not history:
        return False
    return bool(_LEANS.search(question)) or len(telling_words(question)) < FEWEST_WORDS


def messages(question: str, history: Sequence[Exchange]) -> tuple[Message, ...]:
    """Ask for the follow-up as one whole question."""
    said = "\n".join(
        f"Question: {exchange.question[:MOST_CHARACTERS]}\n"
        f"Answer: {exchange.answer[:MOST_CHARACTERS]}"
        for exchange in history[-MOST_EXCHANGES:]
    )
    return (
        Message("system", "You rewrite a follow-up question so that it can be understood alone."),
        Message("user", f"{said}\nFollow-up: {question}\nWrite it as one complete question."),
    )


def standalone(written: str, question: str, history: Sequence[Exchange]) -> str:
    """The model's question where it can be trusted, else the rule's."""
    lines = written.strip().splitlines()
    whole = " ".join(lines[0].split()).strip(" \"'") if lines else ""
    whole = re.sub(r"^(?:question|follow-up)\s*:\s*", "", whole, flags=re.IGNORECASE)
    told = " ".join(f"{one.question} {one.answer}" for one in history[-MOST_EXCHANGES:])
    own, added = set(_telling(question)), set(_telling(whole))
    known = own | set(_telling(told))
    if whole and len(whole) <= LONGEST and own <= added <= known and added != own:
        return whole
    return f"{history[-1].question} {question}"[: 2 * LONGEST]


def _telling(text: str) -> list[str]:
    return stems(" ".join(telling_words(text)))
