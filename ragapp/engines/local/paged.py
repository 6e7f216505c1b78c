"""The engine on a GPU: the library's continuous batching behind the ``Engine`` port.

All reading and writing goes through its one batch, over a paged cache that shares whole pages of
equal beginnings: the prompt is read once, and grades and the answer begin where its last whole
page ends. A grade is a request of one token whose scores are replaced by the verdict, see
``Verdicts``: so the model, its attention kernels and its CUDA graphs stay the batch's alone.
"""

import asyncio
import math
import queue
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import (
    ContinuousBatchingConfig,
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
)
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.requests import (
    FutureRequestState,
    GenerationOutput,
)

from ragapp.domain.engine import Finish, Message
from ragapp.engines.local.chat import Chat
from ragapp.engines.local.load import Loaded
from ragapp.engines.local.scheduler import (
    CANCEL_CHECK_SECONDS,
    Admission,
    Place,
    engine_busy,
    engine_gone,
    prompt_cancelled,
)
from ragapp.engines.local.sequence import common_prefix
from ragapp.engines.local.session import ChatSession, Outcome, fitting_prefix, session_closed
from ragapp.engines.local.writing import Stop, TokenChoices, Writing
from tenants.errors import PermanentError

# What a request wants of its scores: nothing, a verdict, or (from 1 on) one row of allowed tokens.
FREE, VERDICT, ROWS = 0, -1, 64

# Probabilities are float32: a margin is shrunk by this before it becomes one, and grown after.
SHRINK = 4.0
ALIVE_CHECK_SECONDS = 1.0


class Verdicts(ContinuousBatchingLogitsProcessor):
    """Changes the scores of those requests that want it; works inside a CUDA graph.

    A request for a verdict keeps two tokens, a yes and a no, and their odds are those of all
    spellings: so the token that is chosen and its probability tell the margin. One that is bound
    to choices keeps the tokens of its row.
    """

    supported_kwargs = {"wish": int}
    ignored_kwargs = ()

    def __init__(self, chat: Chat, *, vocabulary: int, device: str) -> None:
        self._yes = torch.tensor(chat.yes, device=device)
        self._no = torch.tensor(chat.no, device=device)
        self.yes_token, self._no_token = chat.yes[0], chat.no[0]
        self._allowed = torch.ones((ROWS, vocabulary), dtype=torch.bool, device=device)
        self._rows: queue.SimpleQueue[int] = queue.SimpleQueue()
        for row in range(1, ROWS):
            self._rows.put(row)

    @contextmanager
    def row(self, tokens: Sequence[int]) -> Iterator[int]:
        """The wish of a request that may choose among ``tokens`` only."""
        row = self._rows.get()
        try:
            self._allowed[row] = False
            self._allowed[row, list(tokens)] = True
            if self._allowed.is_cuda:
                torch.cuda.current_stream().synchronize()
            yield row
        finally:
            self._rows.put(row)

    def margin(self, output: GenerationOutput) -> float:
        """The log-odds of yes over no that a finished request for a verdict tells."""
        certain = output.logprobs[0]
        # As far as float32 can tell a probability from 1.
        odds = certain - math.log(max(-math.expm1(certain), 2.0**-24))
        return SHRINK * (odds if output.generated_tokens[0] == self.yes_token else -odds)

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """Nothing is wished where nothing is said."""
        int32_tensor.fill_(FREE)

    def prepare_tensor_args(
        self, requests_with_new_token: list[FutureRequestState]
    ) -> torch.Tensor:
        """The wish of each request."""
        wishes = [r.state.logit_processor_kwargs.get("wish", FREE) for r in requests_with_new_token]
        return torch.tensor(wishes, dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """The scores as wished, (tokens, vocabulary)."""
        wishes = tensor_arg[: scores.shape[0]]
        nothing = -torch.inf
        bound = scores.masked_fill(~self._allowed[wishes.clamp(min=FREE).long()], nothing)
        yes = scores.index_select(1, self._yes).logsumexp(1)
        no = scores.index_select(1, self._no).logsumexp(1)
        verdict = torch.full_like(scores, nothing)
        verdict[:, self.yes_token] = (yes - no) / SHRINK
        verdict[:, self._no_token] = 0.0
        return torch.where((wishes == VERDICT).unsqueeze(1), verdict, bound)


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


class PagedEngine:
    """One model, the library's thread that owns it, many sessions in one batch.

    Args:
        loaded: The model, which from now on belongs to the batch.
        paging: How its cache is laid out.
        max_sessions: Sessions at once.
        max_waiting: Sessions that may wait for a place; the next gets a TransientError.
        wait_seconds: Longest wait for a place.
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
        self.chat = Chat(loaded.tokenizer)
        self.paging = paging or Paging()
        self.end_tokens = loaded.end_tokens
        self._loaded = loaded
        self._wait_seconds = wait_seconds
        self._admission = Admission(max_active=max_sessions, max_waiting=max_waiting)
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
    def name(self) -> str:
        """The folder's or hub's name of the model."""
        return self._loaded.name

    @property
    def is_alive(self) -> bool:
        """Whether the batch's thread still runs."""
        return not self._is_closed and self._batch.is_running()

    @property
    def context_tokens(self) -> int:
        """Positions that the model was trained for."""
        return self._loaded.context_tokens

    @property
    def model(self) -> PreTrainedModel:
        """The model itself, for measurements."""
        return self._loaded.model

    def count(self, text: str) -> int:
        """Tokens of ``text``, exactly."""
        return self.chat.count(text)

    def open(
        self,
        messages: Sequence[Message],
        *,
        lane: str = "",
        cancel: threading.Event | None = None,
    ) -> "PagedSession":
        """Read the prompt into the shared pages; see the port for what it raises."""
        prefix = fitting_prefix(self.chat, messages, self._loaded)
        begin = time.perf_counter()
        place = self._admission.enter(lane, self._wait_seconds, cancel)
        waited = time.perf_counter() - begin
        session = PagedSession(self, messages, place, queue_seconds=waited)
        try:
            session.read(prefix, cancel)
        except BaseException:
            session.close()
            raise
        return session

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

    def leave(self, place: Place) -> None:
        """A session ended."""
        self._admission.leave(place)

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

    def result(self, ticket: Ticket, cancel: threading.Event | None = None) -> GenerationOutput:
        """The next result of a request: after each token if it writes several.

        Raises:
            PromptCancelledError: ``cancel`` was set; the request is still to be dropped.
            TransientError: The batch stopped.
            PermanentError: The model itself failed.
        """
        patience = ALIVE_CHECK_SECONDS if cancel is None else CANCEL_CHECK_SECONDS
        while True:
            if cancel is not None and cancel.is_set():
                raise prompt_cancelled()
            try:
                output = ticket.outputs.get(timeout=patience)
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

    def drop(self, ticket: Ticket) -> None:
        """Nobody waits for this request any more: the batch leaves it out from its next step."""
        if self._is_closed:
            return
        self._batch.cancel_request(ticket.request_id)
        self._batch.output_router.result_handlers.pop(ticket.request_id, None)

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


class PagedSession(ChatSession):
    """A prompt whose pages are in the cache."""

    def __init__(
        self,
        engine: PagedEngine,
        messages: Sequence[Message],
        place: Place,
        *,
        queue_seconds: float,
    ) -> None:
        super().__init__(
            messages,
            engine.chat,
            end_tokens=engine.end_tokens,
            context_tokens=engine.context_tokens,
            queue_seconds=queue_seconds,
        )
        self._engine = engine
        self._place: Place | None = place
        self._known: list[Sequence[int]] = []

    def close(self) -> None:
        """Free the place; the pages go when others need them."""
        place, self._place = self._place, None
        if place is not None:
            self._engine.leave(place)

    def _read(self, prefix: Sequence[int], cancel: threading.Event | None) -> Outcome:
        forwarded = self._forwarded(prefix)
        # Of a request that ends with its first token the batch would keep no pages for others.
        ticket = self._engine.submit(prefix, max_new_tokens=2)
        try:
            self._engine.result(ticket, cancel)
        finally:
            self._engine.drop(ticket)
        self._known.append(prefix)
        return Outcome(forwarded)

    def _grade(self, targets: Sequence[Sequence[int]]) -> Outcome:
        self._check_open()
        tickets: list[Ticket] = []
        try:
            for target in targets:
                ticket = self._engine.submit(target, max_new_tokens=1, wish=VERDICT)
                tickets.append(ticket)
            outputs = [self._engine.result(ticket) for ticket in tickets]
        except BaseException:
            for ticket in tickets:
                self._engine.drop(ticket)
            raise
        margins = tuple(self._engine.verdicts.margin(output) for output in outputs)
        return Outcome(sum(self._forwarded(target) for target in targets), margins)

    def _write(
        self,
        target: Sequence[int],
        stop: Stop,
        choices: TokenChoices,
        on_text: Callable[[str], None],
    ) -> Outcome:
        self._check_open()
        writing = Writing(self._chat, stop, on_text)
        forwarded = self._forwarded(target)
        if choices.after((), stop.end_tokens):
            finish, more = self._choose(target, choices, writing)
            forwarded += more
            # Tokens without an alternative were never asked for: their probability is unknown.
            logprob_sum = None
        else:
            finish = self._flow(target, writing)
            forwarded += max(len(writing.tokens) - 1, 0)
            logprob_sum = writing.logprob_sum
        writing.flush()
        self._known[1:] = [[*target, *writing.tokens]]
        return Outcome(
            forwarded,
            answer_tokens=len(writing.tokens),
            finish=finish,
            logprob_sum=logprob_sum,
        )

    def _flow(self, target: Sequence[int], writing: Writing) -> Finish:
        """Write freely; token by token as the batch makes them."""
        finish = writing.interruption()
        if finish is not None:
            return finish
        # One more than is wanted: with a bound of one the batch would not stream.
        bound = max(writing.stop.max_new_tokens, 2)
        ticket = self._engine.submit(target, max_new_tokens=bound)
        try:
            seen = 0
            while finish is None:
                output = self._engine.result(ticket)
                told = zip(output.generated_tokens[seen:], output.logprobs[seen:], strict=True)
                seen = len(output.generated_tokens)
                finish = _push(writing, told)
                if finish is None and output.is_finished():
                    finish = "length"
        finally:
            self._engine.drop(ticket)
        return finish

    def _choose(
        self, target: Sequence[int], choices: TokenChoices, writing: Writing
    ) -> tuple[Finish, int]:
        """Write one of the choices; the model is asked only where there is one. And its cost."""
        forwarded = 0
        finish: Finish | None = None
        while finish is None:
            finish = writing.interruption()
            if finish is not None:
                break
            allowed = choices.after(writing.tokens, writing.stop.end_tokens)
            token = allowed[0]
            if len(allowed) > 1:
                asked = [*target, *writing.tokens]
                with self._engine.verdicts.row(allowed) as row:
                    token = self._once(asked, wish=row).generated_tokens[0]
                forwarded += self._forwarded(asked) if writing.tokens else 0
            finish = writing.push(token, 0.0)
        return finish, forwarded

    def _once(self, tokens: Sequence[int], *, wish: int) -> GenerationOutput:
        """A request of one token, from its beginning to its end."""
        ticket = self._engine.submit(tokens, max_new_tokens=1, wish=wish)
        try:
            return self._engine.result(ticket)
        except BaseException:
            self._engine.drop(ticket)
            raise

    def _forwarded(self, target: Sequence[int]) -> int:
        """Tokens that are not in whole pages of what this session has read before.

        The batch does not tell what it shared; this is what it shares unless memory was short.
        """
        page = self._engine.paging.page_tokens
        shared = max((common_prefix(known, target) for known in self._known), default=0)
        return len(target) - min(shared, len(target) - 1) // page * page

    def _check_open(self) -> None:
        if self._place is None:
            raise session_closed()


def _vocabulary(loaded: Loaded) -> int:
    """How many scores the model gives."""
    head: Any = loaded.model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return int(head.weight.shape[0])


def _push(writing: Writing, told: "Iterator[tuple[int, float]]") -> Finish | None:
    for token, logprob in told:
        finish = writing.interruption() or writing.push(token, logprob)
        if finish is not None:
            return finish
    return writing.interruption()
