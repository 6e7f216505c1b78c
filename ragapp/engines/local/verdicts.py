"""What a request wants of its scores in the library's batch: a verdict, or a choice among tokens.

It works inside a CUDA graph: the wish of each request is a number in a tensor, and what it asks
for is done to the scores before a token is chosen.
"""

import math
import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
)
from transformers.generation.continuous_batching.requests import (
    FutureRequestState,
    GenerationOutput,
)

from ragapp.engines.local.chat import Chat

# What a request wants of its scores: nothing, a verdict, or (from 1 on) one row of allowed tokens.
FREE, VERDICT, ROWS = 0, -1, 64

# Probabilities are float32: a margin is shrunk by this before it becomes one, and grown after.
SHRINK = 4.0


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
