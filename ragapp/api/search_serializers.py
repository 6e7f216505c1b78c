"""What a search may ask, and what its results look like in JSON."""

from typing import Any

from rest_framework import serializers

from ragapp.services.search import MOST_RESULTS, Result, Results

MOST_CHARACTERS = 1000


class LabelsField(serializers.ListField):
    """``labels=team:net``, once for each label."""

    child = serializers.CharField(max_length=200)

    def to_internal_value(self, data: Any) -> Any:  # Any: DRF's own signature.
        """The labels by name."""
        pairs = [text.partition(":") for text in super().to_internal_value(data)]
        if any(not mark for _, mark, _ in pairs):
            raise serializers.ValidationError("Write a label as name:value.")
        return {name: value for name, _, value in pairs}


class SearchQuerySerializer(serializers.Serializer[Any]):  # Any: a query is no row.
    """The query parameters of a search."""

    q = serializers.CharField(max_length=MOST_CHARACTERS, help_text="What to look for.")
    corpus = serializers.CharField(default="", help_text="All corpora when left out.")
    k = serializers.IntegerField(default=10, min_value=1, max_value=MOST_RESULTS)
    title = serializers.CharField(default="", help_text="Part of the document's title.")
    url = serializers.CharField(default="", help_text="What the document's URL begins with.")
    content_type = serializers.CharField(default="")
    first_page = serializers.IntegerField(default=None, allow_null=True, min_value=1)
    last_page = serializers.IntegerField(default=None, allow_null=True, min_value=1)
    fetched_since = serializers.DateTimeField(default=None, allow_null=True)
    labels = LabelsField(
        default=dict,  # type: ignore[arg-type]  # its value is a mapping
        help_text="name:value; may be given several times.",
    )


class SearchResultSerializer(serializers.Serializer[Result]):
    """One passage; ``dense_rank`` and ``lexical_rank`` are its places in the two lists."""

    chunk_id = serializers.IntegerField(source="passage.chunk_id")
    document_id = serializers.IntegerField(source="passage.document_id")
    title = serializers.CharField(source="passage.title")
    section = serializers.ListField(child=serializers.CharField(), source="passage.section")
    page = serializers.IntegerField(source="passage.page", allow_null=True)
    url = serializers.CharField(source="passage.url")
    start = serializers.IntegerField(source="passage.start")
    end = serializers.IntegerField(source="passage.end")
    text = serializers.CharField(source="passage.text")
    score = serializers.FloatField(
        source="passage.score", help_text="0 to 1, comparable within one search only."
    )
    dense = serializers.FloatField(source="passage.dense", help_text="Inner product, -1 to 1.")
    lexical = serializers.FloatField(source="passage.lexical", help_text="BM25.")
    dense_rank = serializers.IntegerField(source="passage.dense_rank")
    lexical_rank = serializers.IntegerField(
        source="passage.lexical_rank", allow_null=True, help_text="null: no word of it matched."
    )


class SearchResultsSerializer(serializers.Serializer[Results]):
    """What was found, and how long it took."""

    results = SearchResultSerializer(many=True)
    embed_seconds = serializers.FloatField()
    search_seconds = serializers.FloatField()
