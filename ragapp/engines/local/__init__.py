"""A transformers model in this process: one thread owns it and steps all sessions in turn.

load -> ``LocalEngine`` -> ``LocalSession`` -> jobs -> scheduler -> cached sequence -> model.
"""

from ragapp.engines.local.engine import LocalEngine, LocalSession
from ragapp.engines.local.load import Loaded, load

__all__ = ["Loaded", "LocalEngine", "LocalSession", "load"]
