"""What evaluations and feedback look like in JSON, and what a request may say about them."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from ragapp.domain.answering import Answering
from ragapp.models import Evaluation, EvaluationAnswer, Feedback, Purpose, Reason, Thumb
from ragapp.models.corpus import MOST_PASSAGES
from ragapp.services.corpora import MOST_INSTRUCTIONS
from ragapp.services.feedback import MOST_CHARACTERS
from tenants.api.strict import StrictSerializer


class AnsweringSerializer(StrictSerializer):
    """A way to answer; what is left out is as the corpus has it."""

    dense_weight = serializers.FloatField(min_value=0, max_value=1, required=False)
    passages = serializers.IntegerField(min_value=1, max_value=MOST_PASSAGES, required=False)
    instructions = serializers.CharField(
        max_length=MOST_INSTRUCTIONS, allow_blank=True, required=False
    )
    model = serializers.CharField(max_length=200, allow_blank=True, required=False)
    rerank = serializers.BooleanField(required=False)
    web = serializers.BooleanField(required=False)


class EvaluationCreateSerializer(StrictSerializer):
    """What shall be measured."""

    question_set = serializers.CharField(max_length=63)
    purpose = serializers.ChoiceField(choices=Purpose.choices, default=Purpose.ANSWERS)
    note = serializers.CharField(max_length=200, allow_blank=True, default="")
    answering = AnsweringSerializer(
        default=dict, help_text="As the corpus has it where left out, but without the web."
    )


class PromotionSerializer(StrictSerializer):
    """A promotion; refused if the corpus is not answered as ``replaces`` says."""

    replaces = AnsweringSerializer(help_text="The corpus's setting that you saw, whole.")
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")

    @property
    def seen(self) -> Answering:
        """The setting that was seen; what was left out is as Sluice's defaults have it."""
        return Answering(**self.validated_data["replaces"])


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    """An evaluation with its figures."""

    corpus = serializers.CharField(source="corpus.name", read_only=True)
    question_set = serializers.CharField(source="question_set.name", read_only=True)
    answering = AnsweringSerializer(read_only=True)
    corpus_answering = serializers.SerializerMethodField(
        help_text="How the corpus is answered now: what a promotion would replace."
    )
    metrics = serializers.DictField(
        child=serializers.DictField(child=serializers.FloatField()),
        read_only=True,
        help_text="By name: mean, low, high and n; see the reference of metrics.",
    )
    cost = serializers.DictField(read_only=True)
    sweep = serializers.DictField(read_only=True)
    state = serializers.SerializerMethodField(help_text="Of its operation.")
    operation = serializers.SerializerMethodField(help_text="Its operation's id.")

    class Meta:
        """Fields."""

        model = Evaluation
        fields = [
            "id",
            "corpus",
            "question_set",
            "set_version",
            "purpose",
            "note",
            "state",
            "operation",
            "answering",
            "corpus_answering",
            "model",
            "embedder",
            "chunk_count",
            "trained_at",
            "question_count",
            "metrics",
            "cost",
            "sweep",
            "created_by",
            "created_at",
            "ended_at",
            "promoted_by",
            "promoted_at",
        ]

    def get_state(self, evaluation: Evaluation) -> str:
        """The state of the operation that the view has read."""
        operation = self.context["operations"].get(evaluation.pk)
        return operation.state if operation else ""

    def get_operation(self, evaluation: Evaluation) -> int | None:
        """The operation that the view has read."""
        operation = self.context["operations"].get(evaluation.pk)
        return operation.pk if operation else None

    def get_corpus_answering(self, evaluation: Evaluation) -> dict[str, Any]:
        """The corpus's own setting."""
        return asdict(evaluation.corpus.answering)


class EvaluationAnswerSerializer(serializers.ModelSerializer[EvaluationAnswer]):
    """One question of an evaluation."""

    expected = serializers.DictField(read_only=True)
    metrics = serializers.DictField(child=serializers.FloatField(), read_only=True)

    class Meta:
        """Fields."""

        model = EvaluationAnswer
        fields = [
            "position",
            "question",
            "expected",
            "end",
            "answer",
            "metrics",
            "error",
            "answered_at",
        ]


class EvaluationAnswerDetailSerializer(EvaluationAnswerSerializer):
    """One question with its ranking, its sources and its trace."""

    hits = serializers.ListField(child=serializers.DictField(), read_only=True)
    sentences = serializers.ListField(child=serializers.DictField(), read_only=True)
    citations = serializers.ListField(child=serializers.DictField(), read_only=True)
    entries = serializers.ListField(child=serializers.DictField(), read_only=True)
    usage = serializers.DictField(read_only=True)

    class Meta(EvaluationAnswerSerializer.Meta):
        """Fields."""

        fields = [
            *EvaluationAnswerSerializer.Meta.fields,
            "hits",
            "sentences",
            "citations",
            "entries",
            "usage",
            "trace_id",
        ]


class DifferenceSerializer(serializers.Serializer[Any]):  # Any: a value of the pure layer.
    """One metric of two evaluations, over the questions that both have."""

    before = serializers.FloatField()
    after = serializers.FloatField()
    mean = serializers.FloatField(help_text="After minus before.")
    low = serializers.FloatField(help_text="Of the 95 % interval of the difference.")
    high = serializers.FloatField()
    p = serializers.FloatField(help_text="Two-sided, of a paired permutation test.")
    n = serializers.IntegerField()
    change = serializers.ChoiceField(choices=["Better", "Worse", "Unclear", "Equal", "TooFew"])


class ComparisonSerializer(serializers.Serializer[Any]):  # Any: as above.
    """Two evaluations side by side."""

    before = serializers.IntegerField()
    after = serializers.IntegerField()
    metrics = serializers.DictField(child=DifferenceSerializer())


class OpinionSerializer(StrictSerializer):
    """What somebody thinks of an answer."""

    thumb = serializers.ChoiceField(choices=Thumb.choices)
    reason = serializers.ChoiceField(choices=Reason.choices, allow_blank=True, default="")
    comment = serializers.CharField(max_length=MOST_CHARACTERS, allow_blank=True, default="")


class OwnFeedbackSerializer(serializers.Serializer[Any]):  # Any: of a row, or of none.
    """The caller's own opinion of a run; empty where they gave none."""

    thumb = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    comment = serializers.CharField(allow_blank=True)
    review = serializers.CharField(allow_blank=True)


class FeedbackSerializer(serializers.ModelSerializer[Feedback]):
    """An opinion with its run."""

    run = serializers.CharField(source="run.trace_id", read_only=True)
    question = serializers.CharField(source="run.question", read_only=True)
    end = serializers.CharField(source="run.end", read_only=True)
    user = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        """Fields."""

        model = Feedback
        fields = [
            "id",
            "run",
            "question",
            "end",
            "user",
            "thumb",
            "reason",
            "comment",
            "review",
            "reviewed_by",
            "reviewed_at",
            "created_at",
        ]
