"""Vectors of texts, by a sentence-transformers model behind the ``Embedder`` port."""

import copy
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragapp.domain.engine import Vectors
from tenants.errors import PermanentError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Texts per forward pass: more gains nothing on a CPU and costs memory on long texts; a GPU is
# filled by many only.
BATCH = 32
GPU_BATCH = 256


class SentenceEmbedder:
    """One embedding model; calls take turns.

    Args:
        source: A folder with safetensors weights, or a hub id such as ``org/name``.
        revision: Commit of a hub id; a folder has none.

    Raises:
        PermanentError: There is no usable model at ``source``.
    """

    def __init__(self, source: str, *, revision: str = "main") -> None:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - slow import

        is_folder = Path(source).is_dir()
        where: dict[str, Any] = {"trust_remote_code": False, "local_files_only": is_folder}
        if not is_folder:
            where["revision"] = revision
        try:
            model = SentenceTransformer(source, model_kwargs={"use_safetensors": True}, **where)
        except (OSError, ValueError, KeyError) as error:
            raise PermanentError(
                f"The embedding model {source} cannot be loaded: {error}. "
                "Check that the folder holds a sentence-transformers model with safetensors.",
                code="model-unusable",
            ) from error
        # Half precision is what chunks are stored in, and twice as fast where it is the hardware's.
        self._is_half = model.device.type == "cuda"
        self._model = model.half() if self._is_half else model
        self._name = _name(Path(source)) if is_folder else source
        # Its own copy: counting whole documents must not disturb how the model cuts and pads.
        self._tokenizer: PreTrainedTokenizerBase = copy.deepcopy(model.tokenizer)
        self._tokenizer.model_max_length = int(1e30)
        # What it wraps in Python costs more than the work itself, and may not be shared by threads.
        self._plain = self._tokenizer.backend_tokenizer
        self._plain.no_truncation()
        self._plain.no_padding()
        # One model on few cores gains nothing from two calls at once, and padding is state.
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Stored with every chunk set: vectors of two models never mix."""
        return self._name

    @property
    def dimensions(self) -> int:
        """Length of one vector."""
        return int(self._model.get_embedding_dimension())

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads of one text, special ones already subtracted."""
        special = self._tokenizer.num_special_tokens_to_add(pair=False)
        return int(self._model.max_seq_length) - special

    def count(self, text: str) -> int:
        """Number of tokens of ``text``."""
        return len(self.offsets(text))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Character span of each token, in order; empty ones left out."""
        encoded = self._plain.encode(text, add_special_tokens=False)
        return [(start, end) for start, end in encoded.offsets if start < end]

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """``(len(texts), dimensions)`` float32, each of length 1."""
        return self._embed(self._model.encode_query, texts)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """``(len(texts), dimensions)`` float32, each of length 1."""
        return self._embed(self._model.encode_document, texts)

    def _embed(self, encode: Any, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        with self._lock:
            vectors = encode(
                list(texts),
                batch_size=GPU_BATCH if self._is_half else BATCH,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        exact = np.asarray(vectors, dtype=np.float32)
        # Rounded to half precision they are not quite of length 1.
        return exact / np.linalg.norm(exact, axis=1, keepdims=True) if self._is_half else exact


def _name(folder: Path) -> str:
    """The model's own name where its folder is only called ``model``."""
    return folder.parent.name if folder.name == "model" else folder.name
