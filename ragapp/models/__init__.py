"""Corpora, documents, chunks, runs, and how good the answers are."""

from ragapp.models.calibration import Calibration
from ragapp.models.chunk import Chunk, Posting, make_partition
from ragapp.models.conversation import Conversation
from ragapp.models.corpus import (
    Corpus,
    Document,
    DocumentState,
    Schedule,
    Source,
    SourceKind,
    Upload,
)
from ragapp.models.evaluation import (
    Evaluation,
    EvaluationAnswer,
    Feedback,
    JudgedQuestion,
    Origin,
    Purpose,
    QuestionSet,
    Reason,
    Review,
    Thumb,
)
from ragapp.models.language_model import Dtype, LanguageModel, ModelKind
from ragapp.models.run import Channel, Run
from ragapp.models.usage import EmbeddingCall, UsageDay, UsageEntry, UsageKind
from ragapp.models.web_search import SearchProvider, WebSearch

__all__ = [
    "Calibration",
    "Channel",
    "Chunk",
    "Conversation",
    "Corpus",
    "Document",
    "DocumentState",
    "Dtype",
    "EmbeddingCall",
    "Evaluation",
    "EvaluationAnswer",
    "Feedback",
    "JudgedQuestion",
    "LanguageModel",
    "ModelKind",
    "Origin",
    "Posting",
    "Purpose",
    "QuestionSet",
    "Reason",
    "Review",
    "Run",
    "Schedule",
    "SearchProvider",
    "Source",
    "SourceKind",
    "Thumb",
    "Upload",
    "UsageDay",
    "UsageEntry",
    "UsageKind",
    "WebSearch",
    "make_partition",
]
