"""Rows of the agent for tests: corpora, documents with their chunks in the index, and runs."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

import factory
import numpy as np
from django.utils import timezone

from ragapp.domain.answering import Answering
from ragapp.domain.chunk import Chunk
from ragapp.models import (
    Calibration,
    Channel,
    Conversation,
    Corpus,
    Document,
    DocumentState,
    EmbeddingCall,
    Evaluation,
    EvaluationAnswer,
    Feedback,
    JudgedQuestion,
    Origin,
    Purpose,
    QuestionSet,
    Run,
    Source,
    Thumb,
    Upload,
    UsageDay,
    UsageEntry,
    UsageKind,
    WebSearch,
    make_partition,
)
from ragapp.models.chunk import DIMENSIONS
from ragapp.services import corpora, index
from tenants.models import tenant_scope
from tenants.tests.factories import ScopedFactory, TenantFactory, UserFactory


class CorpusFactory(ScopedFactory):
    class Meta:
        model = Corpus

    tenant = factory.SubFactory(TenantFactory)
    name = factory.Sequence(lambda n: f"corpus-{n}")


class SourceFactory(ScopedFactory):
    class Meta:
        model = Source

    corpus = factory.SubFactory(CorpusFactory)
    tenant = factory.SelfAttribute("corpus.tenant")
    url = factory.Sequence(lambda n: f"http://docs.example/{n}")


class UploadFactory(ScopedFactory):
    class Meta:
        model = Upload

    corpus = factory.SubFactory(CorpusFactory)
    tenant = factory.SelfAttribute("corpus.tenant")
    name = factory.Sequence(lambda n: f"notes-{n}.txt")
    content_type = "text/plain"
    content = b"A SNAT pool is a set of addresses."
    content_hash = factory.LazyAttribute(lambda row: hashlib.sha256(row.content).hexdigest())
    size_bytes = factory.LazyAttribute(lambda row: len(row.content))
    uploaded_by = "alice"


class DocumentFactory(ScopedFactory):
    """A document without chunks; ``indexed`` gives it some."""

    class Meta:
        model = Document

    corpus = factory.SubFactory(CorpusFactory)
    tenant = factory.SelfAttribute("corpus.tenant")
    url = factory.Sequence(lambda n: f"http://docs.example/{n}")
    title = ""
    state = DocumentState.READY


class ConversationFactory(ScopedFactory):
    class Meta:
        model = Conversation

    tenant = factory.SubFactory(TenantFactory)
    owner = "alice"
    title = "What is a SNAT pool for?"
    asked_at = factory.LazyFunction(timezone.now)


class RunFactory(ScopedFactory):
    class Meta:
        model = Run

    tenant = factory.SubFactory(TenantFactory)
    trace_id = factory.LazyFunction(lambda: uuid.uuid4().hex)
    channel = Channel.API
    asked_by = "alice"
    question = "What is a SNAT pool for?"
    entries = factory.LazyAttribute(
        lambda row: [
            {
                "kind": "ingress",
                "at_ms": 0,
                "question": row.question,
                "channel": row.channel,
                "source": "",
                "rule": "",
            }
        ]
    )


class CalibrationFactory(ScopedFactory):
    """What says that a passage helps from a margin of 0 on."""

    class Meta:
        model = Calibration

    corpus = factory.SubFactory(CorpusFactory)
    tenant = factory.SelfAttribute("corpus.tenant")
    model = "reader"
    question = "relevant"
    version = 1
    weights = factory.LazyFunction(lambda: {"margin": 1.0})
    intercept = 0.0
    low = 0.2
    high = 0.8
    samples = 100
    positives = 40
    brier = 0.1
    ece = 0.02
    auc = 0.9
    bins = factory.LazyFunction(
        lambda: [
            {"count": 60, "probability": 0.1, "share": 0.08},
            {"count": 40, "probability": 0.9, "share": 0.93},
        ]
    )
    source = "questions.jsonl"
    created_by = "alice"


class WebSearchFactory(ScopedFactory):
    class Meta:
        model = WebSearch

    tenant = factory.SubFactory(TenantFactory)
    provider = "searxng"
    changed_by = "alice"


class QuestionSetFactory(ScopedFactory):
    class Meta:
        model = QuestionSet

    corpus = factory.SubFactory(CorpusFactory)
    tenant = factory.SelfAttribute("corpus.tenant")
    name = factory.Sequence(lambda n: f"questions-{n}")
    created_by = "alice"


class JudgedQuestionFactory(ScopedFactory):
    class Meta:
        model = JudgedQuestion

    question_set = factory.SubFactory(QuestionSetFactory)
    tenant = factory.SelfAttribute("question_set.tenant")
    text = factory.Sequence(lambda n: f"What is a SNAT pool of {n} addresses for?")
    text_hash = factory.LazyAttribute(lambda row: hashlib.sha256(row.text.encode()).hexdigest())
    answers = factory.LazyFunction(lambda: ["going out"])
    origin = Origin.WRITTEN
    added_by = "alice"


class EvaluationFactory(ScopedFactory):
    class Meta:
        model = Evaluation

    question_set = factory.SubFactory(QuestionSetFactory)
    corpus = factory.SelfAttribute("question_set.corpus")
    tenant = factory.SelfAttribute("question_set.tenant")
    set_version = 1
    purpose = Purpose.ANSWERS
    answering = factory.LazyFunction(lambda: asdict(Answering()))
    base = factory.LazyFunction(lambda: asdict(Answering()))
    question_count = 1
    created_by = "alice"


class EvaluationAnswerFactory(ScopedFactory):
    class Meta:
        model = EvaluationAnswer

    evaluation = factory.SubFactory(EvaluationFactory)
    tenant = factory.SelfAttribute("evaluation.tenant")
    position = factory.Sequence(lambda n: n + 1)
    question = "What is a SNAT pool for?"
    text_hash = factory.LazyAttribute(lambda row: hashlib.sha256(row.question.encode()).hexdigest())
    expected = factory.LazyFunction(
        lambda: {"answers": ["going out"], "is_answerable": True, "relevant": []}
    )


class FeedbackFactory(ScopedFactory):
    class Meta:
        model = Feedback

    run = factory.SubFactory(RunFactory)
    tenant = factory.SelfAttribute("run.tenant")
    user = factory.SubFactory(UserFactory)
    thumb = Thumb.UP


class UsageEntryFactory(ScopedFactory):
    """A line of the ledger, without its day's sums; ``ledger.record`` writes both."""

    class Meta:
        model = UsageEntry

    tenant = factory.SubFactory(TenantFactory)
    trace_id = factory.LazyFunction(lambda: uuid.uuid4().hex)
    at = factory.LazyFunction(timezone.now)
    day = factory.LazyAttribute(lambda row: row.at.date())
    kind = UsageKind.ANSWER
    used_by = "alice"


class UsageDayFactory(ScopedFactory):
    class Meta:
        model = UsageDay

    tenant = factory.SubFactory(TenantFactory)
    day = factory.LazyFunction(lambda: timezone.now().date())
    kind = UsageKind.ANSWER
    used_by = "alice"


class EmbeddingCallFactory(ScopedFactory):
    class Meta:
        model = EmbeddingCall

    tenant = factory.SubFactory(TenantFactory)
    job_id = factory.LazyFunction(lambda: uuid.uuid4().hex)
    tokens = 9
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(minutes=1))


def chunk(text: str, *, start: int = 0) -> Chunk:
    """A chunk without a title in front of it."""
    return Chunk(
        text=text,
        start=start,
        end=start + len(text),
        context="",
        section=(),
        page=None,
        tokens=len(text.split()),
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
    )


def unit(seed: int) -> index.Vector:
    """A random vector of length 1."""
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


def indexed(
    corpus: Corpus, texts: Sequence[str], vectors: Sequence[index.Vector] | None = None
) -> Document:
    """A document whose chunks are ``texts``, counted in its corpus; random vectors if none."""
    document = DocumentFactory(corpus=corpus, chunk_count=len(texts))
    given = vectors if vectors is not None else [unit(number) for number in range(len(texts))]
    with tenant_scope(corpus.tenant_id):
        make_partition(corpus.tenant_id)
        written = index.write(document, [chunk(text) for text in texts], np.stack(given))
        corpora.count(corpus.pk, documents=1, plus=written)
    return document
