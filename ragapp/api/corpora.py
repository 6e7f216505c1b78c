"""Corpora, their training, their documents and the passages that answers cite."""

from dataclasses import fields
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.api.serializers import (
    ChunkSerializer,
    CorpusDetailSerializer,
    CorpusSerializer,
    CorpusWriteSerializer,
    DocumentRightsSerializer,
    DocumentSerializer,
)
from ragapp.domain.answering import Answering
from ragapp.domain.reader import reader_of
from ragapp.domain.source_lines import Wanted
from ragapp.models import Chunk, Corpus, Document, DocumentState, Schedule
from ragapp.models.rights import readable
from ragapp.services import corpora, rights
from tenants.api import filters
from tenants.api.serializers import OperationSerializer
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action


class CorpusViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Corpus]):
    """What the tenant's agent may read."""

    serializer_class = CorpusSerializer
    lookup_field = "name"
    write_action = Action.TRAIN
    filters = {"name": filters.text("name")}

    def rows(self) -> QuerySet[Corpus]:
        """The tenant's corpora."""
        corpora = Corpus.objects.select_related("tenant")
        return corpora.prefetch_related("sources") if self.action == "retrieve" else corpora

    @extend_schema(responses={200: CorpusDetailSerializer})
    def retrieve(self, request: Request, tenant: str, name: str) -> Response:
        """One corpus with its sources."""
        return Response(CorpusDetailSerializer(self.get_object()).data)

    @extend_schema(request=CorpusWriteSerializer, responses={201: CorpusDetailSerializer})
    def create(self, request: Request, tenant: str) -> Response:
        """Make a corpus; train it to have its sources read."""
        corpus = self._save(None)
        location = reverse("ragapp-api:corpus-detail", args=[tenant, corpus.name])
        body = CorpusDetailSerializer(corpus).data
        return Response(body, status=201, headers={"Location": location})

    @extend_schema(request=CorpusWriteSerializer, responses={200: CorpusDetailSerializer})
    def update(self, request: Request, tenant: str, name: str) -> Response:
        """Replace a corpus's sources; its settings stay as they are where they are left out."""
        return Response(CorpusDetailSerializer(self._save(self.get_object())).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, name: str) -> Response:
        """Delete a corpus with all of its documents."""
        corpora.delete_corpus(self.get_object(), actor=self.actor)
        return Response(status=204)

    @extend_schema(request=None, responses={202: OperationSerializer})
    def train(self, request: Request, tenant: str, name: str) -> Response:
        """Have a worker read the corpus's sources."""
        operation = corpora.start_training(self.get_object(), actor=self.actor)
        location = reverse("tenants-api:operation-detail", args=[tenant, operation.pk])
        body = OperationSerializer(operation).data
        return Response(body, status=202, headers={"Location": location})

    def _save(self, corpus: Corpus | None) -> Corpus:
        values = self.read_body(CorpusWriteSerializer)
        now = corpus.answering if corpus else Answering()
        given: dict[str, Any] = {  # Any: as many types as an Answering has.
            field.name: values.pop(field.name, getattr(now, field.name))
            for field in fields(Answering)
        }
        schedule = values.pop("schedule", corpus.schedule if corpus else Schedule.NEVER)
        sources = [Wanted(**source) for source in values.pop("sources", ())]
        saved = corpora.save_corpus(
            self.tenant, **values, sources=sources, actor=self.actor, corpus=corpus
        )
        corpora.configure(saved, answering=Answering(**given), schedule=schedule, actor=self.actor)
        return saved


class DocumentViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Document]):
    """What training has read."""

    serializer_class = DocumentSerializer
    write_action = Action.TRAIN
    filters = {
        "corpus": filters.text("corpus__name", "The corpus's name."),
        "state": filters.choice("state", DocumentState.values),
        "url": filters.text("url"),
    }

    def rows(self) -> QuerySet[Document]:
        """The tenant's documents, without their texts."""
        return (
            Document.objects.select_related("corpus__tenant")
            .defer("text", "stripped")
            .filter(readable(reader_of(self.actor)))
        )

    @extend_schema(request=DocumentRightsSerializer, responses={200: DocumentSerializer})
    def update(self, request: Request, tenant: str, pk: int) -> Response:
        """Say who may read a document, and which labels searches can narrow to."""
        values = self.read_body(DocumentRightsSerializer)
        document = rights.set_rights(self.get_object(), **values, actor=self.actor)
        return Response(DocumentSerializer(document).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, pk: int) -> Response:
        """Delete a document and its source: nothing of it can be retrieved or cited any more."""
        corpora.delete_document(self.get_object(), actor=self.actor)
        return Response(status=204)

    @extend_schema(request=None, responses={202: OperationSerializer})
    def retry(self, request: Request, tenant: str, pk: int) -> Response:
        """Have a worker read the document anew, with what else changed in its corpus."""
        operation = corpora.retry_document(self.get_object(), actor=self.actor)
        location = reverse("tenants-api:operation-detail", args=[tenant, operation.pk])
        body = OperationSerializer(operation).data
        return Response(body, status=202, headers={"Location": location})


class ChunkViewSet(TenantViewSet[Chunk]):
    """Passages, as citations name them."""

    lookup_field = "id"

    def rows(self) -> QuerySet[Chunk]:
        """The tenant's chunks, without their vectors."""
        return Chunk.objects.defer("embedding").filter(
            document_id__in=Document.objects.filter(readable(reader_of(self.actor))).values("pk")
        )

    @extend_schema(responses={200: ChunkSerializer})
    def retrieve(self, request: Request, tenant: str, id: int) -> Response:
        """One passage."""
        chunk = self.get_object()
        url = Document.objects.values_list("url", flat=True).get(pk=chunk.document_id)
        return Response(ChunkSerializer(chunk, context={"url": url}).data)
