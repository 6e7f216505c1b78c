"""Sessions' tokens in the model's cache, and what one step of many sessions gives.

A sequence is told where to go (``aim``), keeps what it shares with what it already read, and
drops the rest. So a question asked of the prompt, the next question and the answer each forward
only what is new, and what the model sees is token for token the whole chat.

``slots.py`` holds the sequences of models that attend to their past. Those with a recurrent state,
which cannot be taken back, get a cache for each sequence here, and step one by one.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache, PreTrainedModel

_HELD = ("keys", "values")


class CachedSequence(Protocol):
    """One session's tokens; all but ``release`` belong to the thread that owns the model."""

    def aim(self, target: Sequence[int]) -> list[int]:
        """Forget what ``target`` does not begin with; returns what is still to be fed."""
        ...

    def feed(self, tokens: Sequence[int]) -> "torch.Tensor":
        """Read ``tokens``; returns the logits after the last one, (vocabulary,), float32."""
        ...

    def branch(self, tails: Sequence[Sequence[int]]) -> "torch.Tensor":
        """The logits after each tail as if it alone followed, (tails, vocabulary), float32."""
        ...

    def release(self) -> None:
        """Give up the memory; from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class Steps:
    """What comes next in each row.

    Attributes:
        tokens: The likeliest token of each row.
        logprobs: Its natural-log probability.
        logits: (rows, vocabulary), float32, for whoever may not choose freely.
    """

    tokens: list[int]
    logprobs: list[float]
    logits: "torch.Tensor"

    @classmethod
    def of(cls, logits: "torch.Tensor") -> "Steps":
        """The likeliest of each row of (rows, vocabulary), whatever its dtype."""
        wide = logits.float()
        best, tokens = wide.max(-1)
        return cls(tokens.tolist(), (best - wide.logsumexp(-1)).tolist(), wide)


class Memory(Protocol):
    """Where the sequences of one model live."""

    @property
    def held_bytes(self) -> int:
        """Memory that is set aside for them."""
        ...

    def sequence(self) -> CachedSequence:
        """A new one; it takes memory with its first token."""
        ...

    def step(self, sequences: Sequence[Any], tokens: Sequence[Sequence[int]]) -> Steps:
        """Read a few tokens more in each sequence. Any: each memory knows its own sequences."""
        ...

    def sweep(self) -> None:
        """Free what was given up since."""
        ...


def memory(model: "PreTrainedModel") -> Memory:
    """The memory that fits the model's layers."""
    from ragapp.engines.local.slots import Slots  # noqa: PLC0415 - slow import

    return Slots(model) if Slots.fit(model) else Apart(model)


class Apart:
    """A cache for each sequence."""

    def __init__(self, model: "PreTrainedModel") -> None:
        self._model = model
        self._living: WeakSet[LoneSequence] = WeakSet()

    @property
    def held_bytes(self) -> int:
        """Memory of all caches that are still referred to."""
        return sum(sequence.held_bytes for sequence in self._living)

    def sequence(self) -> "LoneSequence":
        """A new one."""
        sequence = LoneSequence(self._model)
        self._living.add(sequence)
        return sequence

    def step(self, sequences: Sequence["LoneSequence"], tokens: Sequence[Sequence[int]]) -> Steps:
        """Read a few tokens more in each sequence, one sequence after the other."""
        import torch  # noqa: PLC0415 - slow import

        fed = zip(sequences, tokens, strict=True)
        return Steps.of(torch.stack([sequence.feed(few) for sequence, few in fed]))

    def sweep(self) -> None:
        """Nothing to do: a cache goes with its sequence."""


class LoneSequence:
    """Tokens read so far, with their keys and values in a cache of their own."""

    def __init__(self, model: "PreTrainedModel") -> None:
        from transformers import DynamicCache  # noqa: PLC0415 - slow import

        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._read: list[int] = []

    @property
    def held_bytes(self) -> int:
        """Memory of its keys and values; a recurrent state is not counted."""
        named = [getattr(layer, name, None) for layer in self._cache.layers for name in _HELD]
        return sum(tensor.nbytes for tensor in named if tensor is not None)

    def aim(self, target: Sequence[int]) -> list[int]:
        """What is still to be fed, never none; all of it where something must be forgotten."""
        from transformers import DynamicCache  # noqa: PLC0415 - slow import

        kept = min(common_prefix(self._read, target), len(target) - 1)
        if kept < len(self._read):
            self._cache, self._read = DynamicCache(config=self._model.config), []
        return list(target[len(self._read) :])

    def feed(self, tokens: Sequence[int]) -> "torch.Tensor":
        """Read ``tokens``; returns the logits after the last one, (vocabulary,), float32."""
        logits = self._forward(tokens, self._cache)
        self._read.extend(tokens)
        return logits

    def branch(self, tails: Sequence[Sequence[int]]) -> "torch.Tensor":
        """The logits after each tail, one forward each, on a copy of what was read."""
        import torch  # noqa: PLC0415 - slow import

        return torch.stack([self._forward(tail, copy.deepcopy(self._cache)) for tail in tails])

    def release(self) -> None:
        """Nothing to do: the cache goes with the last reference."""

    def _forward(self, tokens: Sequence[int], cache: "DynamicCache") -> "torch.Tensor":
        import torch  # noqa: PLC0415 - slow import

        with torch.inference_mode():
            ids = torch.tensor([list(tokens)], device=self._model.device)
            output = self._model(
                input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1
            )
        logits: torch.Tensor = output.logits[0, -1].float()
        return logits


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of leading tokens that both share."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
