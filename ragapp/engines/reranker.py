"""Scores of question and passage read together, by a cross-encoder behind the ``Reranker`` port."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ragapp.domain.engine import Scores
from tenants.errors import PermanentError

# Pairs per forward pass, as the embedder's texts.
BATCH = 32
# Of a question and a passage with its place together; what is longer is cut.
MOST_TOKENS = 512


class CrossEncoderReranker:
    """One cross-encoder with a single output; calls take turns.

    Args:
        source: A folder with safetensors weights, or a hub id such as ``org/name``.

    Raises:
        PermanentError: There is no usable model at ``source``.
    """

    def __init__(self, source: str) -> None:
        from sentence_transformers import CrossEncoder  # noqa: PLC0415 - slow import

        try:
            model: Any = CrossEncoder(
                source,
                trust_remote_code=False,
                local_files_only=Path(source).is_dir(),
                model_kwargs={"use_safetensors": True},
                max_length=MOST_TOKENS,
            )
        except (OSError, ValueError, KeyError) as error:
            raise PermanentError(
                f"The reranker {source} cannot be loaded: {error}. "
                "Check that the folder holds a cross-encoder with safetensors.",
                code="model-unusable",
            ) from error
        if model.num_labels != 1:
            raise PermanentError(
                f"The reranker {source} gives {model.num_labels} numbers a pair and not one."
                " Let SLUICE_RERANKER name a model that was made for ranking.",
                code="model-unfit",
            )
        self._model = model
        self._lock = threading.Lock()

    def score(self, question: str, texts: Sequence[str]) -> Scores:
        """``(len(texts),)`` float32, 0 to 1; higher is more relevant."""
        if not texts:
            return np.zeros(0, dtype=np.float32)
        pairs = [(question, text) for text in texts]
        with self._lock:
            logits = self._model.predict(
                pairs,
                batch_size=BATCH,
                show_progress_bar=False,
                activation_fn=_as_it_is,
                convert_to_numpy=True,
            )
        # Half of the models are trained with a sigmoid and half without: one scale for all.
        return (1.0 / (1.0 + np.exp(-np.asarray(logits, dtype=np.float64)))).astype(np.float32)


def _as_it_is(logits: Any) -> Any:  # Any: a tensor.
    return logits
