"""How long the first token takes when many ask at once, against the bare model on a CPU.

The bare way is what cannot be beaten with one model and no batching of prompts: the same prompts,
one after the other in order of arrival, each read in one forward. A question's time there is that
of all before it and its own: queueing and prefill. The engine meanwhile also writes the answers.
"""

import os
import random
import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.runner import BenchmarkError, Context, Figure
from ragapp.engines.local import Loaded, LocalEngine, Message, load

MODEL = Path(__file__).parent.parent / "var" / "models" / "smollm2-135m-instruct"
QUESTIONS = 12
ANSWER_TOKENS = 32
GOAL = 1.3
WORDS = [
    *("address", "pool", "tenant", "route", "cluster", "packet", "gateway", "proxy", "listener"),
    *("port", "rule", "policy", "segment", "node", "answer", "passage", "question", "river"),
    *("mountain", "winter", "letter", "engine", "window", "harbour", "garden"),
]

Chat = tuple[Message, ...]


def run(context: Context) -> list[Figure]:
    """The time to the first token that 95 of 100 questions do not exceed."""
    return figures(context)


def figures(context: Context) -> list[Figure]:
    """The same, for other benchmarks of the agent to show beside their own."""
    source = os.environ.get("SLUICE_GENERATOR", str(MODEL))
    if not Path(source).is_dir():
        raise BenchmarkError(f"There is no model at {source}: run `make up` once, which makes it.")
    loaded = load(source)
    engine = LocalEngine(loaded)
    chats = _chats(QUESTIONS)
    _ask_all(engine, chats[:2])
    _read_all(engine, loaded, chats[:2])
    ours, bare = [], []
    rounds = 15 if context.full else 7
    for number in range(rounds):
        context.say(f"{QUESTIONS} questions at once, round {number + 1} of {rounds}")
        bare.append(_p95(_read_all(engine, loaded, chats)))
        ours.append(_p95(_ask_all(engine, chats)))
    engine.close()
    return [
        Figure(
            key="first_token_p95",
            value=statistics.median(ours),
            baseline=statistics.median(bare),
            goal=GOAL,
            unit="s",
            better="lower",
        )
    ]


def _chats(count: int) -> list[Chat]:
    """Prompts of 60 to 240 words, as those with passages are, the same for every run."""
    seeded = random.Random(7)
    return [
        (Message("user", "Tell of " + " ".join(seeded.choices(WORDS, k=seeded.randint(60, 240)))),)
        for _ in range(count)
    ]


def _ask_all(engine: LocalEngine, chats: Sequence[Chat]) -> list[float]:
    """Seconds from the question to the first text, all asked at once and all answered."""
    seconds = [0.0] * len(chats)
    begun = time.perf_counter()

    def ask(number: int) -> None:
        def note(_: str) -> None:
            seconds[number] = seconds[number] or time.perf_counter() - begun

        session = engine.open(chats[number])
        session.generate("", max_new_tokens=ANSWER_TOKENS, on_text=note)
        session.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(chats))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds


def _read_all(engine: LocalEngine, loaded: Loaded, chats: Sequence[Chat]) -> list[float]:
    """Seconds until the bare model has the first token of each, one prompt after the other."""
    seconds: list[float] = []
    begun = time.perf_counter()
    for chat in chats:
        ids = torch.tensor([engine.chat.prompt(chat)], device=loaded.device)
        with torch.inference_mode():
            int(loaded.model(ids, use_cache=True, logits_to_keep=1).logits[0, -1].argmax())
        seconds.append(time.perf_counter() - begun)
    return seconds


def _p95(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]
