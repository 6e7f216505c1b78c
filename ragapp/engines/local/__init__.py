"""A transformers model in this process: one thread owns it and serves all sessions together.

load -> ``LocalEngine`` -> ``LocalSession`` -> jobs -> scheduler -> slots of sequences -> model.
"""

from ragapp.engines.local.engine import LocalEngine, LocalSession
from ragapp.engines.local.load import Loaded, load

__all__ = ["Loaded", "LocalEngine", "LocalSession", "load"]
