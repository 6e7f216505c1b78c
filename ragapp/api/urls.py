"""The agent's REST resources, below ``/api/v1/``."""

from typing import Any

from django.urls import path

from ragapp.api.corpora import ChunkViewSet, CorpusViewSet, DocumentViewSet
from ragapp.api.evaluations import EvaluationAnswerViewSet, EvaluationViewSet
from ragapp.api.feedback import FeedbackViewSet, OwnFeedbackViewSet
from ragapp.api.language_models import LanguageModelViewSet
from ragapp.api.openai import OpenAIViewSet, replying
from ragapp.api.questions import JudgedQuestionViewSet, QuestionSetViewSet
from ragapp.api.renderers import EVENT_RENDERERS
from ragapp.api.runs import RunViewSet
from ragapp.api.search import SearchViewSet
from ragapp.api.uploads import UploadViewSet
from ragapp.api.usage import QuotaViewSet, UsageViewSet
from ragapp.api.web_search import WebSearchViewSet

app_name = "ragapp-api"

# Any: the values' type is private to DRF's stubs.
_COLLECTION: dict[str, Any] = {"get": "list", "post": "create"}
_ROW: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}
_TENANT = "tenants/<str:tenant>"
_OPENAI = f"{_TENANT}/openai/v1"

urlpatterns = [
    path("models", LanguageModelViewSet.as_view({"get": "list"}), name="model-list"),
    path(
        "models/<path:name>", LanguageModelViewSet.as_view({"put": "update"}), name="model-detail"
    ),
    path(f"{_TENANT}/corpora", CorpusViewSet.as_view(_COLLECTION), name="corpus-list"),
    path(
        f"{_TENANT}/corpora/<str:name>",
        CorpusViewSet.as_view({**_ROW, "put": "update"}),
        name="corpus-detail",
    ),
    path(
        f"{_TENANT}/corpora/<str:name>/train",
        CorpusViewSet.as_view({"post": "train"}),
        name="corpus-train",
    ),
    path(
        f"{_TENANT}/corpora/<str:name>/uploads",
        UploadViewSet.as_view(_COLLECTION),
        name="upload-list",
    ),
    path(
        f"{_TENANT}/corpora/<str:name>/uploads/<int:pk>",
        UploadViewSet.as_view(_ROW),
        name="upload-detail",
    ),
    path(f"{_TENANT}/documents", DocumentViewSet.as_view({"get": "list"}), name="document-list"),
    path(
        f"{_TENANT}/documents/<int:pk>",
        DocumentViewSet.as_view({**_ROW, "put": "update"}),
        name="document-detail",
    ),
    path(
        f"{_TENANT}/documents/<int:pk>/retry",
        DocumentViewSet.as_view({"post": "retry"}),
        name="document-retry",
    ),
    path(
        f"{_TENANT}/chunks/<int:id>",
        ChunkViewSet.as_view({"get": "retrieve"}),
        name="chunk-detail",
    ),
    path(
        f"{_TENANT}/question-sets",
        QuestionSetViewSet.as_view(_COLLECTION),
        name="question-set-list",
    ),
    path(
        f"{_TENANT}/question-sets/<str:name>",
        QuestionSetViewSet.as_view({**_ROW, "put": "update"}),
        name="question-set-detail",
    ),
    path(
        f"{_TENANT}/question-sets/<str:name>/upload",
        QuestionSetViewSet.as_view({"post": "upload"}),
        name="question-set-upload",
    ),
    path(
        f"{_TENANT}/question-sets/<str:name>/questions",
        JudgedQuestionViewSet.as_view(_COLLECTION),
        name="judged-question-list",
    ),
    path(
        f"{_TENANT}/question-sets/<str:name>/questions/<int:pk>",
        JudgedQuestionViewSet.as_view({**_ROW, "put": "update"}),
        name="judged-question-detail",
    ),
    path(f"{_TENANT}/evaluations", EvaluationViewSet.as_view(_COLLECTION), name="evaluation-list"),
    path(
        f"{_TENANT}/evaluations/<int:pk>",
        EvaluationViewSet.as_view(_ROW),
        name="evaluation-detail",
    ),
    path(
        f"{_TENANT}/evaluations/<int:pk>/continue",
        EvaluationViewSet.as_view({"post": "resume"}),
        name="evaluation-continue",
    ),
    path(
        f"{_TENANT}/evaluations/<int:pk>/promote",
        EvaluationViewSet.as_view({"post": "promote"}),
        name="evaluation-promote",
    ),
    path(
        f"{_TENANT}/evaluations/<int:pk>/restore",
        EvaluationViewSet.as_view({"post": "restore"}),
        name="evaluation-restore",
    ),
    path(
        f"{_TENANT}/evaluations/<int:pk>/comparison/<int:other>",
        EvaluationViewSet.as_view({"get": "comparison"}),
        name="evaluation-comparison",
    ),
    path(
        f"{_TENANT}/evaluations/<int:pk>/answers",
        EvaluationAnswerViewSet.as_view({"get": "list"}),
        name="evaluation-answer-list",
    ),
    path(
        f"{_TENANT}/evaluations/<int:pk>/answers/<int:position>",
        EvaluationAnswerViewSet.as_view({"get": "retrieve"}),
        name="evaluation-answer-detail",
    ),
    path(f"{_TENANT}/feedback", FeedbackViewSet.as_view({"get": "list"}), name="feedback-list"),
    path(
        f"{_TENANT}/feedback/<int:pk>",
        FeedbackViewSet.as_view({"get": "retrieve"}),
        name="feedback-detail",
    ),
    path(
        f"{_TENANT}/feedback/<int:pk>/accept",
        FeedbackViewSet.as_view({"post": "accept"}),
        name="feedback-accept",
    ),
    path(
        f"{_TENANT}/feedback/<int:pk>/dismiss",
        FeedbackViewSet.as_view({"post": "dismiss"}),
        name="feedback-dismiss",
    ),
    path(
        f"{_TENANT}/runs/<str:trace_id>/feedback",
        OwnFeedbackViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
        name="run-feedback",
    ),
    path(f"{_TENANT}/search", SearchViewSet.as_view({"get": "find"}), name="search"),
    path(
        f"{_TENANT}/web-search",
        WebSearchViewSet.as_view({"get": "retrieve", "put": "update"}),
        name="web-search-detail",
    ),
    path(
        f"{_TENANT}/runs",
        RunViewSet.as_view(_COLLECTION, renderer_classes=[*EVENT_RENDERERS[::-1]]),
        name="run-list",
    ),
    path(
        f"{_TENANT}/runs/<str:trace_id>",
        RunViewSet.as_view({"get": "retrieve"}),
        name="run-detail",
    ),
    path(
        f"{_TENANT}/runs/<str:trace_id>/events",
        RunViewSet.as_view({"get": "events"}, renderer_classes=EVENT_RENDERERS),
        name="run-events",
    ),
    path(
        f"{_TENANT}/runs/<str:trace_id>/stop",
        RunViewSet.as_view({"post": "stop"}),
        name="run-stop",
    ),
    path(f"{_TENANT}/usage", UsageViewSet.as_view({"get": "sums"}), name="usage-sums"),
    path(f"{_TENANT}/usage/entries", UsageViewSet.as_view({"get": "list"}), name="usage-list"),
    path(f"{_TENANT}/usage/export", UsageViewSet.as_view({"get": "export"}), name="usage-export"),
    path(f"{_TENANT}/quotas", QuotaViewSet.as_view({"get": "standings"}), name="quota-list"),
    path(
        f"{_TENANT}/quotas/<str:resource>",
        QuotaViewSet.as_view({"put": "update", "delete": "destroy"}),
        name="quota-detail",
    ),
    path(
        f"{_TENANT}/tokens/<int:pk>/quotas",
        QuotaViewSet.as_view({"get": "standings"}),
        name="token-quota-list",
    ),
    path(
        f"{_TENANT}/tokens/<int:pk>/quotas/<str:resource>",
        QuotaViewSet.as_view({"put": "update", "delete": "destroy"}),
        name="token-quota-detail",
    ),
    path(
        f"{_OPENAI}/models",
        OpenAIViewSet.as_view({"get": "models"}),
        name="openai-model-list",
    ),
    path(
        f"{_OPENAI}/models/<path:model>",
        OpenAIViewSet.as_view({"get": "model"}),
        name="openai-model-detail",
    ),
    path(
        f"{_OPENAI}/chat/completions",
        replying(OpenAIViewSet.as_view({"post": "chat"}, renderer_classes=EVENT_RENDERERS[::-1])),
        name="openai-chat",
    ),
    path(
        f"{_OPENAI}/embeddings",
        replying(OpenAIViewSet.as_view({"post": "embeddings"})),
        name="openai-embedding-list",
    ),
]
