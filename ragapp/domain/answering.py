"""How questions on one corpus are answered: what an evaluation compares and a promotion sets."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ragapp.domain.fuse import DENSE_WEIGHT

PASSAGES = 3


@dataclass(frozen=True, slots=True)
class Answering:
    """One way to answer; the corpus's row holds the one in use.

    Attributes:
        dense_weight: Share of the dense score in the fused one, 0 to 1; the rest is BM25.
        passages: Most passages handed to the model.
        instructions: The corpus's own prompt, put before the general one; may be empty.
        model: Name on the platform's allow-list of models; empty for the platform's default.
        rerank: Whether a cross-encoder orders the best candidates anew, where one is set up.
        web: Whether the web may be tried where the corpus has no answer.
    """

    dense_weight: float = DENSE_WEIGHT
    passages: int = PASSAGES
    instructions: str = ""
    model: str = ""
    rerank: bool = False
    web: bool = True


def stored(values: Mapping[str, Any]) -> Answering:  # Any: read from JSON.
    """What ``asdict`` of another version stored; what this one does not know is left out."""
    known = {field.name for field in fields(Answering)}
    return Answering(**{name: value for name, value in values.items() if name in known})
