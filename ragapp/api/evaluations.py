"""Evaluations by REST: start, read, compare, promote."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.api.evaluation_serializers import (
    ComparisonSerializer,
    EvaluationAnswerDetailSerializer,
    EvaluationAnswerSerializer,
    EvaluationCreateSerializer,
    EvaluationSerializer,
    PromotionSerializer,
)
from ragapp.models import Evaluation, EvaluationAnswer, Purpose
from ragapp.services import evaluations, questions
from tenants.api import filters
from tenants.api.serializers import OperationSerializer
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action


class EvaluationViewSet(ListModelMixin, TenantViewSet[Evaluation]):
    """Ways to answer, measured."""

    serializer_class = EvaluationSerializer
    lookup_field = "pk"
    read_action = Action.TRAIN
    write_action = Action.TRAIN
    filters = {
        "corpus": filters.text("corpus__name", "The corpus's name."),
        "question_set": filters.text("question_set__name", "The question set's name."),
        "purpose": filters.choice("purpose", Purpose.values),
    }

    def rows(self) -> QuerySet[Evaluation]:
        """The tenant's evaluations, newest first."""
        return evaluations.shown_evaluations()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The tenant's evaluations, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.rows())) or []
        return self.get_paginated_response(self._shown(page))

    @extend_schema(responses={200: EvaluationSerializer})
    def retrieve(self, request: Request, tenant: str, pk: int) -> Response:
        """One evaluation with its figures."""
        return Response(self._shown([self.get_object()])[0])

    @extend_schema(request=EvaluationCreateSerializer, responses={202: EvaluationSerializer})
    def create(self, request: Request, tenant: str) -> Response:
        """Measure a way to answer on a question set; a worker does it."""
        values = self.read_body(EvaluationCreateSerializer)
        question_set = questions.visible_set(values["question_set"])
        # The web is left out unless it is asked for.
        given = {"web": False, **values["answering"]}
        started = evaluations.start(
            question_set,
            replace(question_set.corpus.answering, **given),
            purpose=Purpose(values["purpose"]),
            note=values["note"],
            actor=self.actor,
        )
        location = reverse("ragapp-api:evaluation-detail", args=[tenant, started.pk])
        body = self._shown([evaluations.visible_evaluation(started.pk)])[0]
        return Response(body, status=202, headers={"Location": location})

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, pk: int) -> Response:
        """Delete an evaluation with its answers."""
        evaluations.delete(self.get_object(), actor=self.actor)
        return Response(status=204)

    @extend_schema(request=None, responses={202: OperationSerializer})
    def resume(self, request: Request, tenant: str, pk: int) -> Response:
        """Go on with an evaluation that was cancelled or failed."""
        operation = evaluations.resume(self.get_object(), actor=self.actor)
        return Response(OperationSerializer(operation).data, status=202)

    @extend_schema(request=PromotionSerializer, responses={200: EvaluationSerializer})
    def promote(self, request: Request, tenant: str, pk: int) -> Response:
        """Let the corpus be answered as was measured; its own choice about the web stays."""
        body = PromotionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        evaluation = self.get_object()
        evaluations.promote(
            evaluation,
            replaces=body.seen,
            actor=self.actor,
            reason=body.validated_data["reason"],
        )
        return Response(self._shown([evaluation])[0])

    @extend_schema(request=None, responses={200: EvaluationSerializer})
    def restore(self, request: Request, tenant: str, pk: int) -> Response:
        """Take a promotion back."""
        evaluation = self.get_object()
        evaluations.restore(evaluation, actor=self.actor)
        return Response(self._shown([evaluation])[0])

    @extend_schema(responses={200: ComparisonSerializer})
    def comparison(self, request: Request, tenant: str, pk: int, other: int) -> Response:
        """What changed from this evaluation to the other, and whether it is more than chance."""
        before, after = self.get_object(), evaluations.visible_evaluation(other)
        metrics = evaluations.differences(before, after)
        return Response(
            {
                "before": before.pk,
                "after": after.pk,
                "metrics": {name: asdict(found) for name, found in metrics.items()},
            }
        )

    def _shown(self, rows: Sequence[Evaluation]) -> Any:  # Any: what DRF makes of them.
        context = {"operations": evaluations.operation_by_evaluation(rows)}
        return EvaluationSerializer(rows, many=True, context=context).data


class EvaluationAnswerViewSet(ListModelMixin, TenantViewSet[EvaluationAnswer]):
    """The questions of one evaluation."""

    serializer_class = EvaluationAnswerSerializer
    lookup_field = "position"
    read_action = Action.TRAIN
    write_action = Action.TRAIN

    def rows(self) -> QuerySet[EvaluationAnswer]:
        """The evaluation's questions, in the order of the set."""
        return evaluations.visible_evaluation(self.kwargs["pk"]).answers.all()

    @extend_schema(responses={200: EvaluationAnswerDetailSerializer})
    def retrieve(self, request: Request, tenant: str, pk: int, position: int) -> Response:
        """One question with its ranking, its answer and its trace."""
        return Response(EvaluationAnswerDetailSerializer(self.get_object()).data)
