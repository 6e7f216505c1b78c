"""What question sets look like in JSON, and what a request may say about them."""

from rest_framework import serializers

from ragapp.domain.judged import MOST_CHARACTERS, MOST_GRADE, Judged, Relevant
from ragapp.domain.question_file import MOST_BYTES
from ragapp.models import JudgedQuestion, QuestionSet
from tenants.api.strict import StrictSerializer


class QuestionSetSerializer(serializers.ModelSerializer[QuestionSet]):
    """A question set."""

    corpus = serializers.CharField(source="corpus.name", read_only=True)
    questions = serializers.IntegerField(source="question_count", read_only=True)
    frozen = serializers.BooleanField(source="is_frozen", read_only=True)

    class Meta:
        """Fields."""

        model = QuestionSet
        fields = [
            "name",
            "corpus",
            "description",
            "version",
            "frozen",
            "questions",
            "created_by",
            "created_at",
        ]


class QuestionSetCreateSerializer(StrictSerializer):
    """A new question set."""

    name = serializers.CharField(max_length=63)
    corpus = serializers.CharField(max_length=63)
    description = serializers.CharField(max_length=300, allow_blank=True, default="")


class QuestionSetChangeSerializer(StrictSerializer):
    """What a question set shall be."""

    name = serializers.CharField(max_length=63)
    description = serializers.CharField(max_length=300, allow_blank=True, default="")
    frozen = serializers.BooleanField(default=False)


class QuestionUploadSerializer(StrictSerializer):
    """A file of questions, as text."""

    format = serializers.ChoiceField(choices=["jsonl", "csv"])
    content = serializers.CharField(max_length=MOST_BYTES, trim_whitespace=False)
    judgements = serializers.CharField(
        max_length=MOST_BYTES,
        allow_blank=True,
        default="",
        trim_whitespace=False,
        help_text="BEIR's qrels: query, document and grade, with tabs between them.",
    )


class RelevantSerializer(StrictSerializer):
    """A document that answers, or one passage of it."""

    url = serializers.CharField(max_length=2000, allow_blank=True, default="")
    passage = serializers.CharField(
        max_length=64, allow_blank=True, default="", help_text="A chunk's content hash."
    )
    grade = serializers.IntegerField(min_value=1, max_value=MOST_GRADE, default=1)


class QuestionWriteSerializer(StrictSerializer):
    """What a judged question shall be; the service checks the rest."""

    question = serializers.CharField(max_length=MOST_CHARACTERS)
    answers = serializers.ListField(child=serializers.CharField(max_length=500), default=list)
    answerable = serializers.BooleanField(default=True)
    relevant = RelevantSerializer(many=True, default=list)

    @property
    def judged(self) -> Judged:
        """The question as the services know it."""
        values = self.validated_data
        return Judged(
            text=" ".join(values["question"].split()),
            answers=tuple(values["answers"]),
            is_answerable=values["answerable"],
            relevant=tuple(Relevant(**entry) for entry in values["relevant"]),
        )


class AcceptanceSerializer(QuestionWriteSerializer):
    """What feedback becomes, and in which set."""

    question_set = serializers.CharField(max_length=63)


class JudgedQuestionSerializer(serializers.ModelSerializer[JudgedQuestion]):
    """A question with its right answers."""

    question = serializers.CharField(source="text", read_only=True)
    answers = serializers.ListField(child=serializers.CharField(), read_only=True)
    answerable = serializers.BooleanField(source="is_answerable", read_only=True)
    relevant = RelevantSerializer(many=True, read_only=True)

    class Meta:
        """Fields."""

        model = JudgedQuestion
        fields = [
            "id",
            "question",
            "answers",
            "answerable",
            "relevant",
            "origin",
            "added_by",
            "created_at",
        ]
