"""What corpora, documents, passages and runs look like in JSON, and what a request may say."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ragapp.domain.source_lines import MOST_PAGES
from ragapp.models import (
    Chunk,
    Corpus,
    Document,
    Run,
    Schedule,
    SearchProvider,
    Source,
    SourceKind,
    Upload,
    WebSearch,
)
from ragapp.models.corpus import MOST_PASSAGES
from ragapp.services.corpora import MOST_INSTRUCTIONS
from ragapp.services.runs import MOST_CHARACTERS
from tenants.api.strict import StrictSerializer


class CorpusSerializer(serializers.ModelSerializer[Corpus]):
    """A corpus in a list."""

    class Meta:
        """Fields."""

        model = Corpus
        fields = [
            "name",
            "description",
            "dense_weight",
            "passages",
            "instructions",
            "model",
            "rerank",
            "web",
            "schedule",
            "train_at",
            "embedder",
            "document_count",
            "chunk_count",
            "trained_at",
            "created_at",
        ]


class SourceSerializer(serializers.ModelSerializer[Source]):
    """A sitemap or a crawl, with what it led to last."""

    class Meta:
        """Fields."""

        model = Source
        fields = ["url", "kind", "prefix", "most_pages", "found_count", "error"]


class CorpusDetailSerializer(CorpusSerializer):
    """A corpus with its sources; the view has read them."""

    urls = serializers.SerializerMethodField(help_text="Its pages.")
    sources = serializers.SerializerMethodField(help_text="Its sitemaps and crawls.")

    class Meta(CorpusSerializer.Meta):
        """Fields."""

        fields = [*CorpusSerializer.Meta.fields, "urls", "sources"]

    def get_urls(self, corpus: Corpus) -> list[str]:
        """The pages' URLs."""
        return [source.url for source in corpus.sources.all() if source.kind == SourceKind.PAGE]

    @extend_schema_field(SourceSerializer(many=True))
    def get_sources(self, corpus: Corpus) -> list[dict[str, Any]]:
        """Those that lead to pages."""
        rows = [source for source in corpus.sources.all() if source.kind != SourceKind.PAGE]
        return list(SourceSerializer(rows, many=True).data)


class SourceWriteSerializer(StrictSerializer):
    """A sitemap or a crawl; what was read of it last is not for writing, and taken all the same."""

    url = serializers.CharField(max_length=2000)
    kind = serializers.ChoiceField(choices=[SourceKind.SITEMAP, SourceKind.CRAWL])
    prefix = serializers.CharField(max_length=2000, allow_blank=True, default="")
    most_pages = serializers.IntegerField(min_value=1, max_value=MOST_PAGES, default=MOST_PAGES)


class CorpusWriteSerializer(StrictSerializer):
    """What a corpus shall be; the service checks each value.

    How questions are answered, and the schedule, stay as they are where they are left out.
    """

    name = serializers.CharField(max_length=63)
    description = serializers.CharField(max_length=300, allow_blank=True, default="")
    dense_weight = serializers.FloatField(min_value=0, max_value=1, required=False)
    passages = serializers.IntegerField(min_value=1, max_value=MOST_PASSAGES, required=False)
    instructions = serializers.CharField(
        max_length=MOST_INSTRUCTIONS, allow_blank=True, required=False
    )
    model = serializers.CharField(max_length=200, allow_blank=True, required=False)
    rerank = serializers.BooleanField(required=False)
    web = serializers.BooleanField(required=False)
    schedule = serializers.ChoiceField(choices=Schedule.choices, required=False)
    urls = serializers.ListField(
        child=serializers.CharField(max_length=2000), allow_empty=True, default=list
    )
    sources = SourceWriteSerializer(many=True, required=False)


class UploadSerializer(serializers.ModelSerializer[Upload]):
    """A file that somebody handed over."""

    class Meta:
        """Fields."""

        model = Upload
        fields = [
            "id",
            "name",
            "content_type",
            "content_hash",
            "size_bytes",
            "uploaded_by",
            "created_at",
        ]


class UploadWriteSerializer(serializers.Serializer[Any]):  # Any: files, read by the service.
    """Files, as a form posts them: each part is named ``file``."""

    file = serializers.ListField(child=serializers.FileField(), allow_empty=False, max_length=20)


class DocumentSerializer(serializers.ModelSerializer[Document]):
    """A document, without its text."""

    corpus = serializers.CharField(source="corpus.name", read_only=True)

    class Meta:
        """Fields."""

        model = Document
        fields = [
            "id",
            "corpus",
            "url",
            "title",
            "state",
            "error",
            "content_type",
            "content_hash",
            "size_bytes",
            "page_count",
            "chunk_count",
            "fetched_at",
            "trace_id",
            "readers",
            "labels",
        ]


class DocumentRightsSerializer(StrictSerializer):
    """Who may read a document, and its labels."""

    readers = serializers.ListField(
        child=serializers.CharField(max_length=160),
        help_text="role:<role> and user:<name>; an empty list: all of the tenant.",
    )
    labels = serializers.DictField(
        child=serializers.CharField(allow_blank=True),
        help_text="Words of your own that searches can be narrowed to.",
    )


class ChunkSerializer(serializers.ModelSerializer[Chunk]):
    """A passage as citations name it: its text and its exact place."""

    url = serializers.SerializerMethodField(help_text="Where the document came from.")

    class Meta:
        """Fields."""

        model = Chunk
        fields = [
            "id",
            "document_id",
            "ordinal",
            "url",
            "title",
            "section",
            "page",
            "char_start",
            "char_end",
            "text",
            "token_count",
        ]

    def get_url(self, chunk: Chunk) -> str:
        """The document's URL, which the view has read."""
        return str(self.context["url"])


class CitationSerializer(serializers.Serializer[Any]):  # Any: stored as JSON in the run's row.
    """A passage that the model read; ``[n]`` in the answer is ``number``."""

    number = serializers.IntegerField()
    is_cited = serializers.BooleanField()
    # The name of an attribute of DRF's fields too, which its metaclass keeps apart.
    source = serializers.ChoiceField(choices=["local", "web"])  # type: ignore[assignment]
    title = serializers.CharField()
    section = serializers.ListField(child=serializers.CharField())
    page = serializers.IntegerField(allow_null=True)
    url = serializers.CharField()
    chunk_id = serializers.IntegerField(allow_null=True)
    document_id = serializers.IntegerField(allow_null=True)
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    score = serializers.FloatField()
    text = serializers.CharField(help_text="Of web passages only; a corpus's is under chunks/.")


class ConnectionSerializer(serializers.Serializer[Any]):  # Any: a view of another app's row.
    """One connection in or out, as the proxy logged it."""

    direction = serializers.CharField()
    verdict = serializers.CharField()
    rule_id = serializers.CharField()
    source_address = serializers.CharField(allow_null=True)
    snat_address = serializers.CharField(allow_null=True)
    destination_host = serializers.CharField()
    destination_address = serializers.CharField(allow_null=True)
    destination_port = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField()
    message = serializers.CharField()
    bytes_sent = serializers.IntegerField()
    bytes_received = serializers.IntegerField()
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run in a list."""

    corpus = serializers.CharField(source="corpus.name", read_only=True, default=None)

    class Meta:
        """Fields."""

        model = Run
        fields = [
            "trace_id",
            "question",
            "corpus",
            "conversation",
            "channel",
            "asked_by",
            "state",
            "route",
            "end",
            "end_message",
            "error",
            "answer",
            "usage",
            "created_at",
            "started_at",
            "ended_at",
        ]


class RunDetailSerializer(RunSerializer):
    """A run with everything that happened on the way."""

    citations = CitationSerializer(many=True, read_only=True)
    sentences = serializers.ListField(child=serializers.DictField(), read_only=True)
    entries = serializers.ListField(child=serializers.DictField(), read_only=True)
    connections = serializers.SerializerMethodField()

    class Meta(RunSerializer.Meta):
        """Fields."""

        fields = [
            *RunSerializer.Meta.fields,
            "citations",
            "sentences",
            "entries",
            "connections",
        ]

    def get_connections(self, run: Run) -> list[dict[str, Any]]:
        """The proxy's lines with this run's trace id, which the view has read."""
        return list(ConnectionSerializer(self.context["connections"], many=True).data)


class QuestionSerializer(StrictSerializer):
    """A question to the tenant's agent."""

    question = serializers.CharField(max_length=MOST_CHARACTERS)
    corpus = serializers.CharField(
        max_length=63, default="", allow_blank=True, help_text="All corpora when left out."
    )
    conversation = serializers.IntegerField(
        default=None,
        allow_null=True,
        min_value=1,
        help_text="What it follows up on; a new one when left out.",
    )
    stream = serializers.BooleanField(
        default=False, help_text="Answer with the run's events at once, as a stream."
    )


class WebSearchSerializer(serializers.ModelSerializer[WebSearch]):
    """Which web search service a tenant's agent asks; a key is never shown."""

    class Meta:
        """Fields."""

        model = WebSearch
        fields = ["provider", "address", "changed_by", "changed_at"]
        read_only_fields = fields


class WebSearchWriteSerializer(StrictSerializer):
    """Which one it shall be."""

    provider = serializers.ChoiceField(choices=SearchProvider.values)
    address = serializers.CharField(
        max_length=500,
        allow_blank=True,
        default="",
        help_text="Base URL; the provider's own when empty.",
    )
