"""Feedback by REST: one's own on a run, and the queue that MLOps review."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.api.evaluation_serializers import (
    FeedbackSerializer,
    OpinionSerializer,
    OwnFeedbackSerializer,
)
from ragapp.api.question_serializers import AcceptanceSerializer
from ragapp.domain.reader import reader_of
from ragapp.models import Feedback, Review, Thumb
from ragapp.services import feedback, questions, runs
from ragapp.services.feedback import Opinion
from tenants.api import filters
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action


class OwnFeedbackViewSet(TenantViewSet[Feedback]):
    """What the caller thinks of one run."""

    read_action = Action.ASK
    write_action = Action.ASK

    def rows(self) -> QuerySet[Feedback]:
        """The caller's own."""
        return Feedback.objects.filter(user_id=self.actor.user_id or 0)

    @extend_schema(responses={200: OwnFeedbackSerializer})
    def retrieve(self, request: Request, tenant: str, trace_id: str) -> Response:
        """The caller's opinion of a run; empty where they gave none."""
        given = feedback.own(
            runs.visible_run(trace_id, reader=reader_of(self.actor)), self.actor.user_id
        )
        return Response(OwnFeedbackSerializer(given or _NONE).data)

    @extend_schema(request=OpinionSerializer, responses={200: OwnFeedbackSerializer})
    def update(self, request: Request, tenant: str, trace_id: str) -> Response:
        """Say what one thinks of a run's answer; an earlier opinion is replaced."""
        values = self.read_body(OpinionSerializer)
        opinion = Opinion(Thumb(values["thumb"]), values["reason"], values["comment"])
        given = feedback.give(
            runs.visible_run(trace_id, reader=reader_of(self.actor)), opinion, actor=self.actor
        )
        return Response(OwnFeedbackSerializer(given).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, trace_id: str) -> Response:
        """Take one's opinion back."""
        feedback.take_back(
            runs.visible_run(trace_id, reader=reader_of(self.actor)), actor=self.actor
        )
        return Response(status=204)


class FeedbackViewSet(ListModelMixin, TenantViewSet[Feedback]):
    """What people think of answers."""

    serializer_class = FeedbackSerializer
    lookup_field = "pk"
    read_action = Action.TRAIN
    write_action = Action.TRAIN
    filters = {
        "review": filters.choice("review", Review.values),
        "thumb": filters.choice("thumb", Thumb.values),
    }

    def rows(self) -> QuerySet[Feedback]:
        """The tenant's feedback, newest first."""
        return feedback.shown_feedback()

    @extend_schema(responses={200: FeedbackSerializer})
    def retrieve(self, request: Request, tenant: str, pk: int) -> Response:
        """One opinion."""
        return Response(FeedbackSerializer(self.get_object()).data)

    @extend_schema(request=AcceptanceSerializer, responses={200: FeedbackSerializer})
    def accept(self, request: Request, tenant: str, pk: int) -> Response:
        """Put its question into a set, as the body judges it."""
        body = AcceptanceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        question_set = questions.visible_set(body.validated_data["question_set"])
        accepted = feedback.accept(self.get_object(), question_set, body.judged, actor=self.actor)
        return Response(FeedbackSerializer(accepted).data)

    @extend_schema(request=None, responses={200: FeedbackSerializer})
    def dismiss(self, request: Request, tenant: str, pk: int) -> Response:
        """Nothing follows from it."""
        dismissed = feedback.dismiss(self.get_object(), actor=self.actor)
        return Response(FeedbackSerializer(dismissed).data)


_NONE = {"thumb": "", "reason": "", "comment": "", "review": ""}
