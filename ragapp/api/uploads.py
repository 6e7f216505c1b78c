"""Files that people hand over for a corpus."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.api.serializers import UploadSerializer, UploadWriteSerializer
from ragapp.models import Upload
from ragapp.services import corpora, uploads
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action


class UploadViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Upload]):
    """A corpus's files; training reads them."""

    serializer_class = UploadSerializer
    parser_classes = [MultiPartParser]
    read_action = write_action = Action.TRAIN
    lookup_field = "pk"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:  # Any: DRF's own.
        """Find the corpus that the URL names."""
        super().initial(request, *args, **kwargs)
        self.corpus = corpora.visible_corpus(str(kwargs["name"]))

    def rows(self) -> QuerySet[Upload]:
        """The corpus's files, without their contents."""
        return uploads.listed(self.corpus)

    @extend_schema(
        request={"multipart/form-data": UploadWriteSerializer},
        responses={201: UploadSerializer(many=True)},
    )
    def create(self, request: Request, tenant: str, name: str) -> Response:
        """Keep files, all or none; one of the same name is replaced. Train to have them read."""
        files = self.read_body(UploadWriteSerializer)["file"]
        saved = [uploads.save_upload(self.corpus, file, actor=self.actor) for file in files]
        return Response(UploadSerializer(saved, many=True).data, status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, name: str, pk: int) -> Response:
        """Delete a file and its document: nothing of it can be retrieved or cited any more."""
        uploads.delete_upload(self.get_object(), actor=self.actor)
        return Response(status=204)
