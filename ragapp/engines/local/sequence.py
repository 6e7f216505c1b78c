"""One session's tokens in the model's cache.

A sequence is told where to go (``aim``), keeps what it shares with what it already read, and
drops the rest. So a question asked of the prompt, the next question and the answer each forward
only what is new, and what the model sees is token for token the whole chat.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class CachedSequence:
    """Tokens read so far, with their keys and values. Belongs to the thread that owns the model."""

    def __init__(self, model: "PreTrainedModel") -> None:
        from transformers import DynamicCache  # noqa: PLC0415 - slow import

        self._model = model
        self._cache = DynamicCache(config=model.config)
        # Models with a sliding window forget the past unless told that it will be wanted again.
        self._cache.activate_past_recording()  # type: ignore[no-untyped-call]
        self._read: list[int] = []

    def aim(self, target: Sequence[int]) -> list[int]:
        """Forget what ``target`` does not begin with; returns what is still to be fed, never none.

        The last token is fed again even if it is known, for its logits were not kept.
        """
        kept = min(common_prefix(self._read, target), len(target) - 1)
        surplus = len(self._read) - kept
        if surplus:
            self._cache.crop(-surplus)
            del self._read[kept:]
        return list(target[kept:])

    def feed(self, tokens: Sequence[int]) -> "torch.Tensor":
        """Read ``tokens``; returns the logits after the last one, (vocabulary,), float32."""
        import torch  # noqa: PLC0415 - slow import

        with torch.inference_mode():
            ids = torch.tensor([list(tokens)], device=self._model.device)
            output = self._model(
                input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1
            )
        self._read.extend(tokens)
        logits: torch.Tensor = output.logits[0, -1].float()
        return logits


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of leading tokens that both share."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
