"""A transformers model in this process: one thread owns it and serves all sessions together.

load -> ``LocalEngine`` -> ``LocalSession`` -> jobs -> scheduler -> slots of sequences -> model.
"""

from typing import TYPE_CHECKING

from ragapp.domain.engine import Message
from ragapp.engines.local.chat import Chat
from ragapp.engines.local.engine import LocalEngine, LocalSession
from ragapp.engines.local.files import Files, find
from ragapp.engines.local.load import Loaded, load
from ragapp.engines.local.random_weights import random_weights

if TYPE_CHECKING:
    from ragapp.engines.local.paged import PagedEngine, Paging

__all__ = [
    "Chat",
    "Files",
    "Loaded",
    "LocalEngine",
    "LocalSession",
    "Message",
    "PagedEngine",
    "Paging",
    "find",
    "load",
    "random_weights",
    "start",
]


def start(loaded: Loaded) -> "LocalEngine | PagedEngine":
    """The engine that fits where the model is: the library's batch on a GPU, ours on a CPU."""
    if loaded.device == "cuda":
        from ragapp.engines.local.paged import PagedEngine  # noqa: PLC0415 - slow import

        return PagedEngine(loaded)
    return LocalEngine(loaded)


def __getattr__(name: str) -> object:
    """What needs torch to be defined is imported when it is asked for."""
    if name in ("PagedEngine", "Paging"):
        from ragapp.engines.local import paged  # noqa: PLC0415 - slow import

        return getattr(paged, name)
    raise AttributeError(name)
