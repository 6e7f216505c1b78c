"""A run's prompt in the library's batch: read once, graded and answered from shared pages."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from transformers.generation.continuous_batching.requests import GenerationOutput

from ragapp.domain.engine import Finish, Message
from ragapp.engines.local.scheduler import Place, prompt_cancelled
from ragapp.engines.local.sequence import common_prefix
from ragapp.engines.local.session import ChatSession, Outcome, session_closed
from ragapp.engines.local.verdicts import VERDICT
from ragapp.engines.local.writing import Interruption, Stop, TokenChoices, Writing

if TYPE_CHECKING:
    from ragapp.engines.local.paged import PagedEngine, Ticket


class PagedSession(ChatSession):
    """A prompt whose pages are in the cache."""

    def __init__(
        self,
        engine: "PagedEngine",
        messages: Sequence[Message],
        place: Place,
        *,
        queue_seconds: float,
    ) -> None:
        super().__init__(engine, messages, place, queue_seconds=queue_seconds)
        self._engine = engine
        self._known: list[Sequence[int]] = []

    def _read(self, prefix: Sequence[int], cancel: threading.Event | None) -> Outcome:
        forwarded = self._forwarded(prefix)
        # Of a request that ends with its first token the batch would keep no pages for others.
        ticket = self._engine.submit(prefix, max_new_tokens=2)
        try:
            if self._engine.result(ticket, Interruption(cancel)) is None:
                raise prompt_cancelled()
        finally:
            self._engine.drop(ticket)
        self._known.append(prefix)
        return Outcome(forwarded)

    def _grade(self, targets: Sequence[Sequence[int]], interruption: Interruption) -> Outcome:
        self._check_open()
        if interruption.finish is not None:
            return Outcome(0)
        tickets: list[Ticket] = []
        outputs: list[GenerationOutput] = []
        try:
            for target in targets:
                ticket = self._engine.submit(target, max_new_tokens=1, wish=VERDICT)
                tickets.append(ticket)
            for ticket in tickets:
                output = self._engine.result(ticket, interruption)
                if output is None:
                    break
                outputs.append(output)
        finally:
            for ticket in tickets[len(outputs) :]:
                self._engine.drop(ticket)
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
                output = self._engine.result(ticket, writing.stop.interruption)
                if output is None:
                    finish = writing.interruption()
                    continue
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
                    output = self._once(asked, writing.stop.interruption, wish=row)
                if output is None:
                    continue
                token = output.generated_tokens[0]
                forwarded += self._forwarded(asked) if writing.tokens else 0
            finish = writing.push(token, 0.0)
        return finish, forwarded

    def _once(
        self, tokens: Sequence[int], interruption: Interruption, *, wish: int
    ) -> GenerationOutput | None:
        """A request of one token, from its beginning to its end; None where it was ended before."""
        ticket = self._engine.submit(tokens, max_new_tokens=1, wish=wish)
        output = None
        try:
            output = self._engine.result(ticket, interruption)
        finally:
            if output is None:
                self._engine.drop(ticket)
        return output

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


def _push(writing: Writing, told: Iterator[tuple[int, float]]) -> Finish | None:
    for token, logprob in told:
        finish = writing.interruption() or writing.push(token, logprob)
        if finish is not None:
            return finish
    return writing.interruption()
