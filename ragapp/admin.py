"""Django's admin for operators: what was read and asked, to look at.

Chunks and postings have composite keys, which Django's admin cannot show; a document's page in the
portal lists its passages.
"""

from typing import Any

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest

from ragapp.models import (
    Calibration,
    Conversation,
    Corpus,
    Document,
    EmbeddingCall,
    Evaluation,
    EvaluationAnswer,
    Feedback,
    JudgedQuestion,
    LanguageModel,
    QuestionSet,
    Run,
    Source,
    Upload,
    UsageDay,
    UsageEntry,
    WebSearch,
)
from ragapp.services import language_models
from tenants.admin import ReadOnlyAdmin, acting


@admin.register(Corpus)
class CorpusAdmin(ReadOnlyAdmin[Corpus]):
    """Corpora; trained in the portal or by REST."""

    list_display = ["name", "tenant", "document_count", "chunk_count", "embedder", "trained_at"]
    list_select_related = ["tenant"]
    search_fields = ["name"]


@admin.register(Source)
class SourceAdmin(ReadOnlyAdmin[Source]):
    """Where documents come from."""

    list_display = ["url", "corpus", "tenant"]
    list_select_related = ["corpus", "tenant"]
    search_fields = ["url"]


@admin.register(Document)
class DocumentAdmin(ReadOnlyAdmin[Document]):
    """Documents, with their errors."""

    list_display = ["url", "corpus", "tenant", "state", "chunk_count", "fetched_at"]
    list_filter = ["state"]
    list_select_related = ["corpus", "tenant"]
    search_fields = ["url", "title"]
    exclude = ["text"]


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin[Upload]):
    """Files that were handed over, without their content."""

    list_display = ["name", "corpus", "tenant", "size_bytes", "uploaded_by", "created_at"]
    list_select_related = ["corpus", "tenant"]
    search_fields = ["name"]
    exclude = ["content"]


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin[Run]):
    """Runs; the portal's trace page shows each whole."""

    list_display = ["trace_id", "tenant", "channel", "state", "end", "created_at"]
    list_filter = ["state", "end", "channel"]
    list_select_related = ["tenant"]
    search_fields = ["trace_id", "question"]


@admin.register(QuestionSet)
class QuestionSetAdmin(ReadOnlyAdmin[QuestionSet]):
    """Question sets; their questions are on the portal's pages."""

    list_display = ["name", "tenant", "corpus", "version", "created_at"]
    list_select_related = ["tenant", "corpus"]
    search_fields = ["name"]


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin[Evaluation]):
    """Evaluations; the portal shows each with its questions."""

    list_display = ["id", "tenant", "corpus", "question_set", "purpose", "created_at", "ended_at"]
    list_filter = ["purpose"]
    list_select_related = ["tenant", "corpus", "question_set"]


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin[Feedback]):
    """What people thought of answers."""

    list_display = ["id", "tenant", "run", "user", "thumb", "reason", "review", "created_at"]
    list_filter = ["thumb", "review"]
    list_select_related = ["tenant", "run", "user"]


@admin.register(LanguageModel)
class LanguageModelAdmin(ReadOnlyAdmin[LanguageModel]):
    """The models that questions may be answered with; written by the same service as by REST."""

    list_display = ["name", "kind", "location", "dtype", "is_allowed", "created_at"]
    list_filter = ["kind", "is_allowed"]
    search_fields = ["name", "location"]
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}

    def get_readonly_fields(
        self, request: HttpRequest, obj: LanguageModel | None = None
    ) -> tuple[str, ...]:
        """Under another name it is another model: corpora name it."""
        return ("name",) if obj else ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Platform administrators only."""
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: LanguageModel | None = None) -> bool:
        """Platform administrators only."""
        return bool(request.user.is_superuser)

    def save_model(
        self,
        request: HttpRequest,
        obj: LanguageModel,
        form: ModelForm[LanguageModel],
        change: bool,
    ) -> None:
        """Put it on the list; the service audits it."""
        values: dict[str, Any] = {  # Any: columns have many types.
            name: value for name, value in form.cleaned_data.items() if name != "name"
        }
        obj.pk = language_models.save(obj.name, values, actor=acting(request)).pk


@admin.register(JudgedQuestion)
class JudgedQuestionAdmin(ReadOnlyAdmin[JudgedQuestion]):
    """Questions with what counts as their answer."""

    list_display = ["text", "tenant", "question_set", "origin"]
    list_select_related = ["tenant", "question_set"]
    search_fields = ["text"]


@admin.register(EvaluationAnswer)
class EvaluationAnswerAdmin(ReadOnlyAdmin[EvaluationAnswer]):
    """What an evaluation found for each question."""

    list_display = ["id", "tenant", "evaluation", "position", "end", "answered_at"]
    list_select_related = ["tenant", "evaluation"]


@admin.register(Calibration)
class CalibrationAdmin(ReadOnlyAdmin[Calibration]):
    """What a model's grades on a corpus are worth."""

    list_display = ["corpus", "tenant", "model", "question", "version", "samples", "brier", "auc"]
    list_filter = ["question"]
    list_select_related = ["tenant", "corpus"]


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin[Conversation]):
    """Who talks with the agent since when; what was said is the owner's to see."""

    list_display = ["id", "tenant", "owner", "corpus", "created_at", "asked_at"]
    list_select_related = ["tenant", "corpus"]
    exclude = ["title"]


@admin.register(WebSearch)
class WebSearchAdmin(ReadOnlyAdmin[WebSearch]):
    """Which web search service each tenant's agent asks."""

    list_display = ["tenant", "provider", "address", "changed_by", "changed_at"]
    list_select_related = ["tenant"]
    # Django's own form field for URLs warns of a coming default.
    readonly_fields = ["address"]


@admin.register(UsageEntry)
class UsageEntryAdmin(ReadOnlyAdmin[UsageEntry]):
    """The ledger of usage, line by line."""

    list_display = ["at", "tenant", "kind", "model", "corpus", "used_by", "tokens_in", "tokens_out"]
    list_filter = ["kind"]
    list_select_related = ["tenant"]


@admin.register(EmbeddingCall)
class EmbeddingCallAdmin(ReadOnlyAdmin[EmbeddingCall]):
    """Calls for vectors that no worker has charged yet."""

    list_display = ["expires_at", "tenant", "tokens"]
    list_select_related = ["tenant"]


@admin.register(UsageDay)
class UsageDayAdmin(ReadOnlyAdmin[UsageDay]):
    """The ledger's sums by day."""

    list_display = ["day", "tenant", "kind", "model", "corpus", "requests", "tokens_in"]
    list_filter = ["kind"]
    list_select_related = ["tenant"]
