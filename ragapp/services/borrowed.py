"""An engine that is another's: it is asked through this, and not closed."""

import threading
from collections.abc import Sequence

from ragapp.domain.engine import Engine, Message, Session


class Borrowed:
    """Passes on all that the ``Engine`` port has, but the close."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def name(self) -> str:
        """The model's name."""
        return self._engine.name

    @property
    def is_alive(self) -> bool:
        """Whether it can still serve."""
        return self._engine.is_alive

    @property
    def context_tokens(self) -> int:
        """Longest prompt and answer together."""
        return self._engine.context_tokens

    def count(self, text: str) -> int:
        """Tokens of ``text``."""
        return self._engine.count(text)

    def open(
        self,
        messages: Sequence[Message],
        *,
        lane: str = "",
        cancel: threading.Event | None = None,
    ) -> Session:
        """A session; see the port."""
        return self._engine.open(messages, lane=lane, cancel=cancel)

    def close(self) -> None:
        """Nothing: the engine is others' too."""
