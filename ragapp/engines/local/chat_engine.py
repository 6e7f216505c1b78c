"""What the engines of this process share: a model's chat, its places, how a session begins."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from ragapp.domain.engine import Message
from ragapp.engines.local.chat import Chat
from ragapp.engines.local.load import Loaded
from ragapp.engines.local.scheduler import Admission, Place
from ragapp.engines.local.session import ChatSession
from tenants.errors import InvalidError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

S = TypeVar("S", bound=ChatSession)


class ChatEngine(ABC, Generic[S]):
    """One model and many sessions, fair among lanes; see the ``Engine`` port.

    Args:
        loaded: The model, which from now on belongs to this engine's thread.
        max_sessions: Sessions that hold a cache at once; bounds memory.
        max_waiting: Sessions that may wait for a place; the next gets a TransientError.
        wait_seconds: Longest wait for a place.
    """

    def __init__(
        self, loaded: Loaded, *, max_sessions: int, max_waiting: int, wait_seconds: float
    ) -> None:
        self.chat = Chat(loaded.tokenizer)
        self.end_tokens = loaded.end_tokens
        self._loaded = loaded
        self._wait_seconds = wait_seconds
        self._admission = Admission(max_active=max_sessions, max_waiting=max_waiting)

    @property
    def name(self) -> str:
        """The folder's or hub's name of the model."""
        return self._loaded.name

    @property
    def context_tokens(self) -> int:
        """Positions that the model was trained for."""
        return self._loaded.context_tokens

    @property
    def model(self) -> "PreTrainedModel":
        """The model itself, for measurements."""
        return self._loaded.model

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether the thread that owns the model still runs."""

    def count(self, text: str) -> int:
        """Tokens of ``text``, exactly."""
        return self.chat.count(text)

    def open(
        self,
        messages: Sequence[Message],
        *,
        lane: str = "",
        cancel: threading.Event | None = None,
    ) -> S:
        """Read the prompt; see the port for what it raises."""
        prefix = self._fitting_prefix(messages)
        begin = time.perf_counter()
        place = self._admission.enter(lane, self._wait_seconds, cancel)
        session = self._session(messages, place, time.perf_counter() - begin)
        try:
            session.read(prefix, cancel)
        except BaseException:
            session.close()
            raise
        return session

    def leave(self, place: Place) -> None:
        """A session ended."""
        self._admission.leave(place)

    @abstractmethod
    def close(self) -> None:
        """Stop; whoever waits gets a TransientError. Closing twice is fine."""

    @abstractmethod
    def _session(self, messages: Sequence[Message], place: Place, queue_seconds: float) -> S:
        """A session that has read nothing yet."""

    def _fitting_prefix(self, messages: Sequence[Message]) -> list[int]:
        prefix = self.chat.prefix(messages)
        if len(prefix) < self.context_tokens:
            return prefix
        raise InvalidError(
            f"The prompt has {len(prefix)} tokens, but {self.name} reads "
            f"{self.context_tokens}. Hand over fewer or shorter passages.",
            code="prompt-too-long",
        )
