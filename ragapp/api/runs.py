"""Questions and their answers: under the REST API, and at a tenant's own virtual address."""

from typing import cast

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from proxyconfig import facade
from ragapp.api.serializers import QuestionSerializer, RunDetailSerializer, RunSerializer
from ragapp.domain.reader import reader_of
from ragapp.models import Channel, Conversation, Run
from ragapp.models.rights import visible_runs
from ragapp.services import runs, stream
from ragapp.services.conversations import visible_conversation
from ragapp.services.corpora import visible_corpus
from tenants.api import filters
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action
from tenants.domain.states import AnswerEnd, OperationState

_EVENTS = OpenApiResponse(
    OpenApiTypes.STR,
    "Server-sent events: snapshot, token, step and end. Send Last-Event-ID to go on from there.",
)


class RunViewSet(ListModelMixin, TenantViewSet[Run]):
    """Runs of the tenant's agent."""

    serializer_class = RunSerializer
    lookup_field = "trace_id"
    write_action = Action.ASK
    filters = {
        "channel": filters.choice("channel", Channel.values),
        "corpus": filters.text("corpus__name", "The corpus's name."),
        "end": filters.choice("end", [end.value for end in AnswerEnd]),
        "state": filters.choice("state", [state.value for state in OperationState]),
    }

    def rows(self) -> QuerySet[Run]:
        """The tenant's runs."""
        return Run.objects.select_related("corpus", "tenant").filter(
            visible_runs(reader_of(self.actor))
        )

    @extend_schema(request=QuestionSerializer, responses={202: RunSerializer, 200: _EVENTS})
    def create(self, request: Request, tenant: str = "") -> HttpResponseBase:
        """Ask a question; a worker answers it."""
        values = self.read_body(QuestionSerializer)
        run = runs.ask(
            self.tenant,
            values["question"],
            corpus=visible_corpus(values["corpus"]) if values["corpus"] else None,
            channel=entrance(request),
            conversation=self._conversation(values["conversation"]),
            actor=self.actor,
        )
        if values["stream"]:
            return event_stream(run, "")
        location = f"{request.path}/{run.trace_id}"
        return Response(RunSerializer(run).data, status=202, headers={"Location": location})

    def _conversation(self, pk: int | None) -> Conversation | None:
        return visible_conversation(pk, actor=self.actor) if pk else None

    @extend_schema(responses={200: RunDetailSerializer})
    def retrieve(self, request: Request, trace_id: str, tenant: str = "") -> Response:
        """One run: its answer, its sources, its trace and its connections."""
        run = self.get_object()
        context = {"connections": facade.connections(run.trace_id)}
        return Response(RunDetailSerializer(run, context=context).data)

    @extend_schema(responses={(200, "text/event-stream"): _EVENTS})
    def events(self, request: Request, trace_id: str, tenant: str = "") -> HttpResponseBase:
        """The run as it goes on, token by token, until its end."""
        return event_stream(self.get_object(), request.headers.get("Last-Event-ID", ""))

    @extend_schema(request=None, responses={202: RunSerializer})
    def stop(self, request: Request, trace_id: str, tenant: str = "") -> Response:
        """Stop a run; what was written until then is kept."""
        run = runs.request_stop(self.get_object(), actor=self.actor)
        return Response(RunSerializer(run).data, status=202)


def entrance(request: Request) -> runs.Entrance:
    """Which way a request came in; at the ingress door the proxy said from where and by what."""
    rule = request.headers.get("X-Sluice-Rule", "")
    if getattr(request, "ingress_tenant", ""):
        forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        return runs.Entrance(Channel.INGRESS, forwarded, rule)
    return runs.Entrance(Channel.API, request.META.get("REMOTE_ADDR") or "")


def event_stream(run: Run, last_id: str) -> StreamingHttpResponse:
    """The run's events as a response; the reader's right to them has been checked.

    The transaction of the request is over before the first event is read.

    Raises:
        InvalidError: ``last_id`` is no id of such a stream.
    """
    if last_id:
        stream.Place.parse(last_id)
    body = cast(
        # Django's stubs know synchronous bodies only; under ASGI it awaits this one.
        "list[bytes]",
        stream.frames(run.tenant_id, run.trace_id, last_id),
    )
    return StreamingHttpResponse(
        body,
        content_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )
