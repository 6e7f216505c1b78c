"""Does an answer say what a reference says? Word for word, without a model.

As SQuAD's evaluation script counts: case, punctuation and English articles do not matter.
"""

import re
from collections import Counter
from collections.abc import Sequence

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_NO_WORD = re.compile(r"[^\w\s]")
# Sources are marked in the text as [1]; a mark is no word of the answer.
_MARK = re.compile(r"\[\d{1,3}(?:\s*[,;]\s*\d{1,3})*\]")


def normal(text: str) -> list[str]:
    """The words that count, in order."""
    bare = _NO_WORD.sub(" ", _MARK.sub(" ", text).casefold())
    return _ARTICLE.sub(" ", bare).split()


def contains(answer: str, references: Sequence[str]) -> bool:
    """Whether any reference stands in the answer as whole words, in order."""
    said = f" {' '.join(normal(answer))} "
    wanted = (" ".join(normal(reference)) for reference in references)
    return any(f" {words} " in said for words in wanted if words)


def token_f1(answer: str, references: Sequence[str]) -> float:
    """Harmonic mean of precision and recall of words against the nearest reference, 0 to 1."""
    said = normal(answer)
    return max((_f1(said, normal(reference)) for reference in references), default=0.0)


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted)) if shared else 0.0
