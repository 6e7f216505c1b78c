"""Training against the bare embedding model, and its memory over ten thousand documents.

The whole way is measured: pages of a site on loopback through the real egress proxy, extracted,
split, embedded and indexed in a real PostgreSQL as the application's role. The baseline encodes the
very same chunk texts with the same model in the same process, all in one call, which sorts them by
length. The two take turns. DATA names documents in BEIR's layout; without it they are made up.
"""

import contextlib
import html
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import django

from benchmarks.datasets import load_retrieval
from benchmarks.runner import Context, Figure
from deploy.local.stack import Stack

SERVICES = ("postgres", "redis", "database", "egress")
DOCUMENTS = 100
ROUNDS = 3
MANY = 10_000
FLAT = (0.1, 0.5, 1.0)
LOOK_SECONDS = 0.5
# Nonsense words of the usual lengths, drawn by rank as in a language.
_WORDS = 5000


def run(context: Context) -> list[Figure]:
    """Chunks per second of training and of the bare model; with FULL also memory as it grows."""
    pages = list(islice(_pages(context), DOCUMENTS * (3 if context.full else 1)))
    many = list(_made_up(MANY, sentences=3)) if context.full else []
    # One set of services for both parts: Django reads their addresses once.
    with _site([*pages, *many]) as port, _scene(context, port) as scene:
        every = [f"http://127.0.0.1:{port}/{number}/page" for number in range(len(pages + many))]
        urls = every[: len(pages)]
        texts = scene.chunk_texts(pages, urls[0])
        scene.train(scene.start("warm", urls[:8])[1])
        trained, bare = [], []
        for number in range(ROUNDS):
            context.say(f"round {number + 1} of {ROUNDS}: {len(texts)} chunks")
            bare.append(len(texts) / _bare_seconds(scene, texts))
            trained.append(_trained_rate(scene, f"round-{number}", urls))
        memory = _memory(context, scene, every[len(pages) :]) if many else []
    figures = [
        Figure(
            key="training_to_bare_model",
            value=statistics.median(trained),
            baseline=statistics.median(bare),
            goal=0.85,
            unit="chunks/s",
        )
    ]
    return figures + memory


def _bare_seconds(scene: Any, texts: Sequence[str]) -> float:
    begun = time.perf_counter()
    scene.embedder.embed_documents(texts)
    return time.perf_counter() - begun


def _trained_rate(scene: Any, name: str, urls: Sequence[str]) -> float:
    """Chunks per second from the claim of the training to its end."""
    corpus, operation = scene.start(name, urls)
    begun = time.perf_counter()
    scene.train(operation)
    seconds = time.perf_counter() - begun
    return float(scene.chunk_count(corpus) / seconds)


def _memory(context: Context, scene: Any, urls: Sequence[str]) -> list[Figure]:
    """Resident memory when a tenth, a half and all of many short documents are trained."""
    context.say(f"memory over {len(urls)} documents")
    _, operation = scene.start("many", urls)
    sampler = _Sampler(scene, operation)
    begun = time.perf_counter()
    scene.train(operation)
    seconds = time.perf_counter() - begun
    first, half, last = sampler.end()
    return [
        Figure(
            key="memory_all_to_a_tenth",
            value=last,
            baseline=first,
            goal=1.15,
            unit="MiB",
            better="lower",
        ),
        Figure(key="memory_half", value=half, unit="MiB"),
        Figure(key="documents_per_second", value=MANY / seconds, unit="1/s"),
    ]


class _Sampler(threading.Thread):
    """Resident memory of this process, noted when each share of the documents is done."""

    def __init__(self, scene: Any, operation: int) -> None:
        super().__init__(daemon=True)
        self._scene = scene
        self._operation = operation
        self._noted: list[float] = []
        self._is_over = threading.Event()
        self.start()

    def run(self) -> None:
        """Look until all shares are noted."""
        while len(self._noted) < len(FLAT) - 1 and not self._is_over.wait(LOOK_SECONDS):
            if self._scene.done(self._operation) >= MANY * FLAT[len(self._noted)]:
                self._noted.append(_resident_mib())

    def end(self) -> list[float]:
        """MiB at each share, the last one now."""
        self._is_over.set()
        self.join()
        return [*self._noted, _resident_mib()]


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _pages(context: Context) -> Iterator[str]:
    """Web pages of the dataset's documents, else of made-up ones."""
    if context.data is None:
        return _made_up(DOCUMENTS * 3, sentences=24)
    documents = load_retrieval(context.data).documents
    return (_page(document.title, [document.text]) for document in documents)


def _made_up(number: int, *, sentences: int) -> Iterator[str]:
    rng = random.Random(7)  # The same documents in every run.
    words = ["".join(rng.choices("abcdefghilmnoprstu", k=rng.randint(2, 9))) for _ in range(_WORDS)]
    weights = [1 / (rank + 1) for rank in range(_WORDS)]
    for one in range(number):
        length = rng.randint(sentences // 2, sentences * 3 // 2)
        said = [
            " ".join(rng.choices(words, weights, k=rng.randint(8, 22))).capitalize() + "."
            for _ in range(length)
        ]
        yield _page(f"Document {one}", [" ".join(said[i : i + 6]) for i in range(0, length, 6)])


def _page(title: str, paragraphs: Iterable[str]) -> str:
    body = "".join(f"<p>{html.escape(text)}</p>" for text in paragraphs)
    head = html.escape(title)
    return f"<!doctype html><title>{head}</title><main><h1>{head}</h1>{body}</main>"


@contextlib.contextmanager
def _site(pages: Iterable[str]) -> Iterator[int]:
    """The port of a process that serves the pages."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(page) + "\n" for page in pages)
        file.flush()
        command = [sys.executable, "-m", "benchmarks.wire.pages", file.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield int(process.stdout.readline())
            finally:
                process.terminate()


@contextlib.contextmanager
def _scene(context: Context, port: int) -> Iterator[Any]:  # Any: a class behind a late import.
    """A tenant on a private set of services, all gone afterwards."""
    context.say("starting a private set of services")
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
        Stack(Path(folder) / "var", services=SERVICES) as stack,
    ):
        os.environ.update(stack.env)
        os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
        django.setup()
        # Models can be imported only now that the settings are known.
        yield importlib.import_module("benchmarks.wire.training").Scene(port)
