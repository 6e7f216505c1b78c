"""The models that questions may be answered with; the list is the platform's."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.models import Dtype, LanguageModel, ModelKind
from ragapp.services import language_models
from tenants.api.strict import StrictSerializer
from tenants.api.views import RowViewSet, UserView


class LanguageModelSerializer(serializers.ModelSerializer[LanguageModel]):
    """A model; where its files are is the platform's business."""

    class Meta:
        """Fields."""

        model = LanguageModel
        fields = ["name", "kind", "dtype", "context_tokens", "is_allowed"]


class LanguageModelWriteSerializer(StrictSerializer):
    """What the list says of a model."""

    kind = serializers.ChoiceField(ModelKind.choices, default=ModelKind.LOCAL.value)
    location = serializers.CharField(
        max_length=500,
        help_text="A folder, a GGUF file, or a hub id; on a server: the model's name there.",
    )
    revision = serializers.CharField(max_length=100, default="main")
    base_url = serializers.URLField(
        default="", allow_blank=True, help_text="Of a server, up to and including /v1."
    )
    dtype = serializers.ChoiceField(Dtype.choices, default=Dtype.BFLOAT16.value)
    context_tokens = serializers.IntegerField(min_value=256, default=None, allow_null=True)
    is_allowed = serializers.BooleanField(default=True)


class LanguageModelViewSet(ListModelMixin, RowViewSet[LanguageModel], UserView):
    """Everybody who is signed in sees what is allowed; platform administrators write."""

    serializer_class = LanguageModelSerializer

    def rows(self) -> QuerySet[LanguageModel]:
        """What is allowed; all of it for platform administrators."""
        everything = LanguageModel.objects.all()
        return everything if self.actor.is_platform_admin else everything.filter(is_allowed=True)

    @extend_schema(request=LanguageModelWriteSerializer, responses={200: LanguageModelSerializer})
    def update(self, request: Request, **kwargs: Any) -> Response:
        """Put a model on the list or change it; platform administrators only."""
        values = self.read_body(LanguageModelWriteSerializer)
        model = language_models.save(kwargs["name"], values, actor=self.actor)
        return Response(LanguageModelSerializer(model).data)
