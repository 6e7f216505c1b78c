"""Many questions answered at once, against the plain ways of the library, in tokens per second.

On a CPU: the engine at 1, 8 and 32 requests, against ``model.generate`` for one request after the
other. On a GPU, or with ``--random-weights``: the paged engine at 32 requests, against the
library's own batch. Outputs are uneven, 16 to 128 tokens; both ways write equally many tokens.

It needs torch, transformers and ``ragapp.engines``, but neither Django nor a database.
"""

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from benchmarks.runner import BenchmarkError, Context, Figure
from ragapp.engines.local import (
    Chat,
    Loaded,
    LocalEngine,
    Message,
    PagedEngine,
    Paging,
    load,
    random_weights,
)

MODEL = Path(__file__).parent.parent / "var" / "models" / "smollm2-135m-instruct"
SHORTEST, LONGEST = 16, 128
# The goals of the CPU by requests at once, as multiples of one request at a time.
GOALS = {1: 0.9, 8: 2.5, 32: 4.5}
GPU_REQUESTS, GPU_GOAL = 32, 0.9
# Lengths repeat after so many requests: these are what one request at a time is measured with.
SAMPLE = 8
WORDS = [
    *("address", "pool", "tenant", "route", "cluster", "packet", "gateway", "proxy", "listener"),
    *("port", "rule", "policy", "segment", "node", "answer", "passage", "question", "river"),
    *("mountain", "winter", "letter", "engine", "window", "harbour", "garden"),
]


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt and how long its answer is to be."""

    messages: tuple[Message, ...]
    tokens: int


def run(context: Context) -> list[Figure]:
    """Tokens per second of the engine beside those of the plain way."""
    if context.random_weights or torch.cuda.is_available():
        return _against_the_library_batch(context)
    return _against_one_at_a_time(context)


def _against_one_at_a_time(context: Context) -> list[Figure]:
    loaded = load(_source())
    engine = LocalEngine(loaded)
    requests = _settled(engine, _requests(max(GOALS)))
    rounds = 5 if context.full else 2
    plain: list[float] = []
    together: dict[int, list[float]] = {count: [] for count in GOALS}
    _plain(engine, loaded, requests[:1])
    for number in range(rounds):
        context.say(f"round {number + 1} of {rounds}")
        plain.append(_rate(requests[:SAMPLE], lambda some: _plain(engine, loaded, some)))
        for count, rates in together.items():
            # One request alone is measured on as many as the plain way, one after the other.
            batch = requests[: max(count, SAMPLE)]
            rates.append(_rate(batch, partial(_through, engine, at_once=count)))
    engine.close()
    baseline = statistics.median(plain)
    return [
        Figure(
            key=f"at_{count}_requests",
            value=statistics.median(rates),
            baseline=baseline,
            goal=GOALS[count],
            unit="tokens/s",
        )
        for count, rates in together.items()
    ]


def _against_the_library_batch(context: Context) -> list[Figure]:
    """The paged engine and the library's continuous batching, on the same model in turns."""
    loaded = random_weights() if context.random_weights else load(_source())
    context.say(f"{loaded.parameters / 1e9:.3f}e9 parameters on {loaded.device}")
    # On a CPU the same way is only exercised, in small: the goal is the GPU's.
    is_gpu = loaded.device == "cuda"
    count = GPU_REQUESTS if is_gpu else SAMPLE
    requests = _requests(count)
    rounds = 1 if not is_gpu else 5 if context.full else 3
    ours, library = [], []
    for number in range(rounds):
        context.say(f"round {number + 1} of {rounds}")
        engine = PagedEngine(loaded, paging=_paging(loaded))
        # Also warms: kernels and graphs as they will be.
        requests = _settled(engine, requests)
        ours.append(_rate(requests, partial(_through, engine, at_once=count)))
        engine.close()
        library.append(_library_rate(loaded, requests))
    return [
        Figure(
            key=f"paged_at_{count}_requests",
            value=statistics.median(ours),
            baseline=statistics.median(library),
            goal=GPU_GOAL if is_gpu else None,
            unit="tokens/s",
        )
    ]


def _source() -> str:
    source = os.environ.get("SLUICE_GENERATOR", str(MODEL))
    if not Path(source).is_dir():
        raise BenchmarkError(f"There is no model at {source}: run `make up` once, which makes it.")
    return source


def _paging(loaded: Loaded) -> Paging:
    return Paging() if loaded.device == "cuda" else Paging(page_tokens=32, pages=512)


def _library_rate(loaded: Loaded, requests: Sequence[Request]) -> float:
    """As ``generate_batch`` does it, with a length for each request, which it does not take.

    Making the manager and warming it up is not counted, as it is not for the engine.
    """
    chat, paging = Chat(loaded.tokenizer), _paging(loaded)
    model: Any = loaded.model
    with model.continuous_batching_context_manager(
        generation_config=_greedy(eos_token_id=-1),
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=paging.page_tokens, num_blocks=paging.pages
        ),
        warmup=loaded.device == "cuda",
    ) as batch:
        _in_batch(batch, chat, requests)  # Warm, as the engine was.
        return _rate(requests, lambda some: _in_batch(batch, chat, some))


def _in_batch(batch: Any, chat: Chat, requests: Sequence[Request]) -> int:
    """Tokens that the library's manager wrote. Any: it has no public type."""
    for request in requests:
        batch.add_request(chat.prompt(request.messages), max_new_tokens=request.tokens)
    total, left = 0, len(requests)
    while left:
        result = batch.get_result(timeout=1)
        if result is not None and result.is_finished():
            total, left = total + len(result.generated_tokens), left - 1
        elif not batch.is_running():
            raise BenchmarkError("The library's batch has died.")
    return total


def _requests(count: int) -> list[Request]:
    """Prompts of 40 to 160 words and answers of uneven length, the same for every run."""
    seeded = random.Random(7)
    step = (LONGEST - SHORTEST) // (SAMPLE - 1)
    lengths = [SHORTEST + step * number for number in range(SAMPLE)]
    seeded.shuffle(lengths)
    return [
        Request(
            (
                Message("system", "You tell long stories and never stop."),
                Message("user", "Tell of " + " ".join(seeded.choices(WORDS, k=40 + 17 * n % 120))),
            ),
            lengths[n % SAMPLE],
        )
        for n in range(count)
    ]


def _settled(engine: "LocalEngine | PagedEngine", requests: Sequence[Request]) -> list[Request]:
    """The requests with the lengths that the model itself writes, where it ends before the bound.

    So that both ways write exactly as many tokens.
    """
    with ThreadPoolExecutor(len(requests)) as pool:
        written = list(pool.map(lambda request: _write(engine, request), requests))
    return [
        Request(request.messages, tokens) for request, tokens in zip(requests, written, strict=True)
    ]


def _rate(requests: Sequence[Request], work: Callable[[Sequence[Request]], int]) -> float:
    """Tokens per second, reading the prompts included."""
    begun = time.perf_counter()
    tokens = work(requests)
    seconds = time.perf_counter() - begun
    expected = sum(request.tokens for request in requests)
    # In half precision a batch's sums differ in the last bit, and one near tie ends a text early.
    if abs(tokens - expected) > expected // 8:
        raise BenchmarkError(f"{tokens} tokens were written where {expected} were to be.")
    return tokens / seconds


def _through(
    engine: "LocalEngine | PagedEngine", requests: Sequence[Request], *, at_once: int
) -> int:
    """Tokens that the engine wrote, each request from a thread of its own."""
    with ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(lambda request: _write(engine, request), requests))


def _write(engine: "LocalEngine | PagedEngine", request: Request) -> int:
    session = engine.open(request.messages)
    try:
        return session.generate("", max_new_tokens=request.tokens).tokens
    finally:
        session.close()


def _plain(engine: LocalEngine, loaded: Loaded, requests: Sequence[Request]) -> int:
    """Tokens that ``generate`` wrote, one request after the other."""
    total = 0
    model: Any = loaded.model
    for request in requests:
        ids = torch.tensor([engine.chat.prompt(request.messages)], device=loaded.device)
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=_greedy(max_new_tokens=request.tokens, min_new_tokens=request.tokens),
        )
        total += output.shape[1] - ids.shape[1]
    return total


def _greedy(**values: int) -> GenerationConfig:
    return GenerationConfig(do_sample=False, **values)  # type: ignore[no-untyped-call]
