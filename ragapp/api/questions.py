"""Question sets by REST: sets, their questions, and files of questions."""

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.api.question_serializers import (
    JudgedQuestionSerializer,
    QuestionSetChangeSerializer,
    QuestionSetCreateSerializer,
    QuestionSetSerializer,
    QuestionUploadSerializer,
    QuestionWriteSerializer,
)
from ragapp.models import JudgedQuestion, QuestionSet
from ragapp.services import questions
from ragapp.services.corpora import visible_corpus
from tenants.api import filters
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action


class QuestionSetViewSet(ListModelMixin, TenantViewSet[QuestionSet]):
    """Judged questions on a corpus."""

    serializer_class = QuestionSetSerializer
    lookup_field = "name"
    read_action = Action.TRAIN
    write_action = Action.TRAIN
    filters = {"corpus": filters.text("corpus__name", "The corpus's name.")}

    def rows(self) -> QuerySet[QuestionSet]:
        """The tenant's question sets."""
        return questions.counted_sets()

    @extend_schema(responses={200: QuestionSetSerializer})
    def retrieve(self, request: Request, tenant: str, name: str) -> Response:
        """One question set."""
        return Response(QuestionSetSerializer(self.get_object()).data)

    @extend_schema(request=QuestionSetCreateSerializer, responses={201: QuestionSetSerializer})
    def create(self, request: Request, tenant: str) -> Response:
        """Make an empty question set on a corpus."""
        values = self.read_body(QuestionSetCreateSerializer)
        made = questions.create_set(
            self.tenant,
            visible_corpus(values["corpus"]),
            name=values["name"],
            description=values["description"],
            actor=self.actor,
        )
        location = reverse("ragapp-api:question-set-detail", args=[tenant, made.name])
        return self._shown(made, status=201, headers={"Location": location})

    @extend_schema(request=QuestionSetChangeSerializer, responses={200: QuestionSetSerializer})
    def update(self, request: Request, tenant: str, name: str) -> Response:
        """Rename, describe, freeze or thaw a question set."""
        values = self.read_body(QuestionSetChangeSerializer)
        changed = questions.change_set(
            self.get_object(),
            name=values["name"],
            description=values["description"],
            is_frozen=values["frozen"],
            actor=self.actor,
        )
        return self._shown(changed)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, name: str) -> Response:
        """Delete a question set with its evaluations."""
        questions.delete_set(self.get_object(), actor=self.actor)
        return Response(status=204)

    @extend_schema(request=QuestionUploadSerializer, responses={200: QuestionSetSerializer})
    def upload(self, request: Request, tenant: str, name: str) -> Response:
        """Add the questions of a file: all of them, or none with what is wrong in which line."""
        values = self.read_body(QuestionUploadSerializer)
        question_set = self.get_object()
        questions.upload(
            question_set,
            values["content"].encode(),
            name=f"upload.{values['format']}",
            judgements=values["judgements"].encode(),
            actor=self.actor,
        )
        return self._shown(question_set)

    def _shown(
        self, row: QuestionSet, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        body = QuestionSetSerializer(self.rows().get(pk=row.pk)).data
        return Response(body, status=status, headers=headers)


class JudgedQuestionViewSet(ListModelMixin, TenantViewSet[JudgedQuestion]):
    """The questions of one set."""

    serializer_class = JudgedQuestionSerializer
    lookup_field = "pk"
    read_action = Action.TRAIN
    write_action = Action.TRAIN
    filters = {"answerable": filters.flag("is_answerable")}

    def rows(self) -> QuerySet[JudgedQuestion]:
        """The set's questions, in the order in which they came."""
        return questions.visible_set(self.kwargs["name"]).questions.all()

    @extend_schema(responses={200: JudgedQuestionSerializer})
    def retrieve(self, request: Request, tenant: str, name: str, pk: int) -> Response:
        """One question."""
        return Response(JudgedQuestionSerializer(self.get_object()).data)

    @extend_schema(request=QuestionWriteSerializer, responses={201: JudgedQuestionSerializer})
    def create(self, request: Request, tenant: str, name: str) -> Response:
        """Write a question into the set."""
        body = QuestionWriteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        question_set = questions.visible_set(name)
        made = questions.write_question(question_set, body.judged, actor=self.actor)
        location = reverse("ragapp-api:judged-question-detail", args=[tenant, name, made.pk])
        shown = JudgedQuestionSerializer(made).data
        return Response(shown, status=201, headers={"Location": location})

    @extend_schema(request=QuestionWriteSerializer, responses={200: JudgedQuestionSerializer})
    def update(self, request: Request, tenant: str, name: str, pk: int) -> Response:
        """Replace a question."""
        body = QuestionWriteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        changed = questions.write_question(
            questions.visible_set(name), body.judged, actor=self.actor, question=self.get_object()
        )
        return Response(JudgedQuestionSerializer(changed).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, name: str, pk: int) -> Response:
        """Take a question out of the set."""
        questions.delete_question(self.get_object(), actor=self.actor)
        return Response(status=204)
