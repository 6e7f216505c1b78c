"""The engine on a GPU: the library's continuous batching behind the ``Engine`` port.

All reading and writing goes through its one batch, over a paged cache that shares whole pages of
equal beginnings: the prompt is read once, and grades and the answer begin where its last whole
page ends. A grade is a request of one token whose scores are replaced by the verdict, see
``Verdicts``: so the model, its attention kernels and its CUDA graphs stay the batch's alone.
"""

import asyncio
import queue
import threading
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import ContinuousBatchingConfig, GenerationConfig, LogitsProcessorList
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.requests import GenerationOutput

from ragapp.domain.engine import Message
from ragapp.engines.local.chat_engine import ChatEngine
from ragapp.engines.local.load import Loaded
from ragapp.engines.local.paged_session import PagedSession
from ragapp.engines.local.scheduler import (
    CANCEL_CHECK_SECONDS,
    Place,
    engine_busy,
    engine_gone,
)
from ragapp.engines.local.verdicts import FREE, Verdicts
from ragapp.engines.local.writing import Interruption
from tenants.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Paging:
    """How the cache is laid out.

    Attributes:
        page_tokens: Tokens of a page; beginnings are shared by whole pages.
        memory_share: Of the memory that is free once the model is loaded; the rest is for others.
        pages: Fixed number of pages instead of a share; None for the share.
        max_queue: Requests that may wait for the batch.
    """

    page_tokens: int = 256
    memory_share: float = 0.5
    pages: int | None = None
    max_queue: int = 1024


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that is under way; its results arrive in ``outputs``."""

    request_id: str
    outputs: "queue.SimpleQueue[GenerationOutput]" = field(default_factory=queue.SimpleQueue)


class PagedEngine(ChatEngine[PagedSession]):
    """One model, the library's thread that owns it, many sessions in one batch.

    Args:
        paging: How its cache is laid out.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        paging: Paging | None = None,
        max_sessions: int = 128,
        max_waiting: int = 256,
        wait_seconds: float = 60.0,
    ) -> None:
        super().__init__(
            loaded, max_sessions=max_sessions, max_waiting=max_waiting, wait_seconds=wait_seconds
        )
        self.paging = paging or Paging()
        self.verdicts = Verdicts(
            self.chat,
            vocabulary=_vocabulary(loaded),
            device=loaded.device,
        )
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._runner = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner.start()
        self._batch = self._start()

    @property
    def is_alive(self) -> bool:
        """Whether the batch's thread still runs."""
        return not self._is_closed and self._batch.is_running()

    def close(self) -> None:
        """Stop the batch; whoever waits gets a TransientError."""
        if self._is_closed:
            return
        self._is_closed = True
        self._batch.stop(block=True, hard_stop=True)
        self._batch.destroy()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._runner.join()
        self._loop.close()

    def submit(self, tokens: Sequence[int], *, max_new_tokens: int, wish: int = FREE) -> Ticket:
        """Put a request into the batch.

        Raises:
            TransientError: Too many wait there already, or the batch is gone.
        """
        ticket = Ticket(uuid.uuid4().hex)
        self._on_loop(self._listen(ticket))
        try:
            taken = self._batch.add_request(
                list(tokens),
                request_id=ticket.request_id,
                max_new_tokens=max_new_tokens,
                streaming=max_new_tokens > 1,
                eos_token_id=sorted(self.end_tokens),
                wish=wish,
            )
        except queue.Full as error:
            self.drop(ticket)
            raise engine_busy("The model's batch is full.") from error
        if taken is None:
            self.drop(ticket)
            raise engine_gone()
        return ticket

    def result(self, ticket: Ticket, interruption: Interruption) -> GenerationOutput | None:
        """The next result of a request: after each token if it writes several.

        Returns:
            None where it was ended from outside; the request is still to be dropped.

        Raises:
            TransientError: The batch stopped.
            PermanentError: The model itself failed.
        """
        while interruption.finish is None:
            try:
                output = ticket.outputs.get(timeout=CANCEL_CHECK_SECONDS)
            except queue.Empty:
                if self._is_closed or not self._batch.is_running():
                    raise engine_gone() from None
                continue
            if output.error is None:
                return output
            if self._is_closed:
                raise engine_gone()
            raise PermanentError(
                f"The model {self.name} failed: {output.error}", code="engine-failed"
            )
        return None

    def drop(self, ticket: Ticket) -> None:
        """Nobody waits for this request any more: the batch leaves it out from its next step."""
        if self._is_closed:
            return
        self._batch.cancel_request(ticket.request_id)
        self._batch.output_router.result_handlers.pop(ticket.request_id, None)

    def _session(
        self, messages: Sequence[Message], place: Place, queue_seconds: float
    ) -> PagedSession:
        return PagedSession(self, messages, place, queue_seconds=queue_seconds)

    def _start(self) -> Any:  # Any: the library's manager has no public type.
        paging = self.paging
        model: Any = self._loaded.model
        config: Any = GenerationConfig
        batch = model.init_continuous_batching(
            generation_config=config(do_sample=False, eos_token_id=sorted(self.end_tokens) or -1),
            continuous_batching_config=ContinuousBatchingConfig(
                page_size=paging.page_tokens,
                num_blocks=paging.pages,
                max_memory_percent=paging.memory_share,
                max_queue_size=paging.max_queue,
                allow_block_sharing=True,
                return_logprobs=True,
            ),
        )
        processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([self.verdicts]))
        processors.tensors_required = 1
        batch.logit_processor = processors
        if self._loaded.device != "cpu":
            batch.warmup()
        batch.start()
        return batch

    async def _listen(self, ticket: Ticket) -> None:
        self._batch.register_result_handler(ticket.request_id, ticket.outputs.put)

    def _on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        if self._is_closed:
            work.close()
            raise engine_gone()
        asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _vocabulary(loaded: Loaded) -> int:
    """How many scores the model gives."""
    head: Any = loaded.model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return int(head.weight.shape[0])
