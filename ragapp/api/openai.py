"""The OpenAI-compatible API: a corpus is a model, a question a chat completion.

A request is checked and its run is made in one short transaction, as everywhere; then the reply is
waited for without one. Only text that was checked is sent, since a client cannot be told to forget
what it has: the stream is kept alive until the answer stands, and then comes in small pieces.
"""

import asyncio
import base64
import json
import struct
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import wraps
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections, connection
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.api.openai_errors import defect_body, error_body, problem, status_headers
from ragapp.api.runs import entrance
from ragapp.domain import completion
from ragapp.domain.completion import Chat, Json, Link
from ragapp.domain.storable import storable
from ragapp.models import Chunk, Corpus, Run
from ragapp.services import embedding, runs, stream
from ragapp.services.corpora import visible_corpus
from tenants.api.parsers import JsonParser
from tenants.api.views import TenantViewSet
from tenants.domain.actor import Actor
from tenants.domain.roles import Action
from tenants.domain.states import OperationState
from tenants.errors import InvalidError, NotVisibleError, PermanentError, SluiceError
from tenants.models.scoped import tenant_scope

KEEP_ALIVE_SECONDS = 10.0
MOST_MODELS = 1000
_ANY = {"application/json": OpenApiTypes.OBJECT}
Reply = Callable[[], Awaitable[HttpResponseBase]]


@dataclass(frozen=True, slots=True)
class Ended:
    """A run's end as a client of this API gets it.

    Attributes:
        sentences: The answer's sentences with what each rests on, as the REST API has them.
        finish_reason: ``length`` where the text is not whole, since somebody stopped the run.
    """

    text: str
    annotations: list[Json]
    sentences: list[Json]
    finish_reason: str
    usage: Json
    extra: Json


class OpenAIParser(JsonParser):
    """JSON whose texts may be cut anywhere, as these clients send them."""

    def text(self, found: str) -> str:
        """The text with U+FFFD for what cannot be stored."""
        return storable(found)


class OpenAIViewSet(TenantViewSet[Corpus]):
    """Models, chat completions and embeddings, in OpenAI's shapes."""

    parser_classes = [OpenAIParser]
    read_action = Action.ASK
    write_action = Action.ASK

    def rows(self) -> QuerySet[Corpus]:
        """The corpora that are models here."""
        return Corpus.objects.all()

    def get_exception_handler(self) -> Any:  # Any: DRF's own signature.
        """Errors have OpenAI's shape."""
        return problem

    @extend_schema(
        operation_id="tenants_openai_v1_models_list", responses={200: OpenApiTypes.OBJECT}
    )
    def models(self, request: Request, tenant: str = "") -> Response:
        """Each corpus as a model, and one for all of them together."""
        found = self.rows().order_by("name")[:MOST_MODELS]
        names = [completion.ALL_CORPORA, *(completion.model_name(row.name) for row in found)]
        return Response({"object": "list", "data": [self._model(name) for name in names]})

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def model(self, request: Request, model: str, tenant: str = "") -> Response:
        """One model."""
        self._corpus(model)
        return Response(self._model(model))

    @extend_schema(request=_ANY, responses={200: OpenApiTypes.OBJECT})
    def chat(self, request: Request, tenant: str = "") -> HttpResponseBase:
        """Answer the last message of the user, with ``url_citation`` annotations."""
        chat = completion.read_chat(request.data)
        corpus = self._corpus(chat.model)
        if chat.is_task:
            return _task_response(chat, self.actor.trace_id)
        run = runs.ask(
            self.tenant,
            chat.question,
            actor=self.actor,
            channel=entrance(request),
            corpus=corpus,
            earlier=chat.earlier,
        )
        if chat.is_streamed:
            return _stream_response(_chunks(chat, run, self.actor))
        _reply_later(request, lambda: _completion(chat, run, self.actor))
        return Response(status=202)

    @extend_schema(request=_ANY, responses={200: OpenApiTypes.OBJECT})
    def embeddings(self, request: Request, tenant: str = "") -> Response:
        """Vectors of texts."""
        body = request.data if isinstance(request.data, dict) else {}
        self._corpus(completion.read_model(body))
        encoding = body.get("encoding_format") or "float"
        if encoding not in ("float", "base64"):
            raise _wrong("encoding_format", "Write float or base64.")
        job = embedding.submit(self.tenant, _texts(body.get("input")), actor=self.actor)
        _reply_later(request, lambda: _embeddings(job, encoding, str(body["model"])))
        return Response(status=202)

    def _corpus(self, model: str) -> Corpus | None:
        name = completion.corpus_name(model)
        if name == "":
            return None
        try:
            return visible_corpus(name or "")
        except NotVisibleError as error:
            raise NotVisibleError(
                f"There is no model {model}. GET /v1/models lists those that there are.",
                code="model_not_found",
            ) from error

    def _model(self, name: str) -> Json:
        created = int(self.tenant.created_at.timestamp())
        return {"id": name, "object": "model", "created": created, "owned_by": self.tenant.slug}


def replying(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """``view``, and after its transaction the reply that it put off, which is awaited."""

    @wraps(view)
    async def replied(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        def begin() -> HttpResponseBase:
            response = view(request, *args, **kwargs)
            _give_back()
            return response

        response = await sync_to_async(begin)()
        later: Reply | None = getattr(request, "reply_later", None)
        if later is None or response.status_code != 202:
            return response
        trace_id = str(getattr(request, "trace_id", ""))
        try:
            return await later()
        except SluiceError as error:
            return JsonResponse(
                error_body(error, trace_id), status=error.status, headers=status_headers(error)
            )
        except Exception as error:  # noqa: BLE001 - OpenAI's clients read no other error.
            return JsonResponse(defect_body(error, trace_id), status=500)

    # Django takes views of both kinds; its stubs know only one.
    return cast("Callable[..., HttpResponseBase]", replied)


def _give_back() -> None:
    """Who waits for a model holds no connection; an outer transaction keeps its own."""
    if not connection.in_atomic_block:
        close_old_connections()


def _reply_later(request: Request, reply: Reply) -> None:
    request._request.reply_later = reply  # type: ignore[attr-defined]  # for ``replying`` alone


async def _completion(chat: Chat, run: Run, actor: Actor) -> HttpResponseBase:
    async for _ in _waited(run, actor):
        pass
    ended = await sync_to_async(_ended)(run, chat)
    message = {"role": "assistant", "content": ended.text, "annotations": ended.annotations}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": ended.finish_reason,
        "logprobs": None,
    }
    head = _head(chat, run.trace_id, "chat.completion")
    body = {**head, "choices": [choice], "usage": ended.usage, "sentences": ended.sentences}
    return JsonResponse({**body, **ended.extra})


async def _chunks(chat: Chat, run: Run, actor: Actor) -> AsyncIterator[bytes]:
    """The events of a streamed completion; an error after the first is one of them."""
    head = _head(chat, run.trace_id, "chat.completion.chunk")
    said = _event(_delta(head, {"role": "assistant", "content": ""}))
    try:
        async with aclosing(_waited(run, actor)) as waiting:
            async for _ in waiting:
                yield said
                said = b": keep-alive\n\n"
        ended = await sync_to_async(_ended)(run, chat)
    except SluiceError as error:
        yield _event(error_body(error, run.trace_id))
        return
    except Exception as error:  # noqa: BLE001 - a stream that began ends with one of its events.
        yield _event(defect_body(error, run.trace_id))
        return
    for piece in completion.pieces(ended.text):
        yield _event(_delta(head, {"content": piece}))
    last = _delta(head, {"annotations": ended.annotations}, finish_reason=ended.finish_reason)
    yield _event({**last, "sentences": ended.sentences, **ended.extra})
    if chat.with_usage:
        yield _event({**head, "choices": [], "usage": ended.usage, **ended.extra})
    yield b"data: [DONE]\n\n"


async def _waited(run: Run, actor: Actor) -> AsyncGenerator[None, None]:
    """Until the run has ended; something at once and then every ten seconds.

    A client that leaves stops the run.
    """
    alive = time.monotonic()
    try:
        yield None
        async with aclosing(stream.read(run.tenant_id, run.trace_id)) as events:
            async for _ in events:
                if time.monotonic() - alive >= KEEP_ALIVE_SECONDS:
                    alive = time.monotonic()
                    yield None
    except (asyncio.CancelledError, GeneratorExit):
        await asyncio.shield(sync_to_async(_stop)(run, actor))
        raise


def _stop(run: Run, actor: Actor) -> None:
    try:
        with tenant_scope(run.tenant_id):
            runs.request_stop(run, actor=actor)
    except SluiceError:
        # It has ended meanwhile, which is as good.
        return
    finally:
        _give_back()


def _ended(run: Run, chat: Chat) -> Ended:
    """The run as it stands in its row.

    Raises:
        PermanentError: it failed; the message says why.
    """
    try:
        with tenant_scope(run.tenant_id):
            row = Run.objects.select_related("tenant").get(pk=run.pk)
            links = _links(row)
    finally:
        _give_back()
    if row.state == OperationState.FAILED:
        raise PermanentError(row.error, code="run-failed", data={"egress_id": row.trace_id})
    text = completion.with_sources(row.answer, links) if chat.with_sources else row.answer
    tokens_in, tokens_out = row.usage.get("tokens_in", 0), row.usage.get("tokens_out", 0)
    return Ended(
        text=text,
        # Marks of the list of sources are no citations.
        annotations=completion.annotations(row.answer, links),
        sentences=row.sentences,
        # OpenAI's own word for a text that was cut; it has none for one that somebody stopped.
        finish_reason="length" if row.state == OperationState.CANCELLED else "stop",
        usage={
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        },
        extra={"egress_id": row.trace_id, "end": row.end, "end_message": row.end_message},
    )


def _links(run: Run) -> dict[int, Link]:
    """Where each cited passage can be read: pages of the portal, which ask for the right to it."""
    cited = [citation for citation in run.citations if citation["is_cited"]]
    ids = [citation["chunk_id"] for citation in cited if citation["chunk_id"]]
    chunks = {chunk.id: chunk for chunk in Chunk.objects.defer("embedding").filter(id__in=ids)}
    return {
        citation["number"]: Link(
            _link(run, citation, chunks.get(citation["chunk_id"])),
            citation["title"] or citation["url"] or "Source",
            citation["page"],
            citation["start"],
            citation["end"],
        )
        for citation in cited
    }


def _link(run: Run, citation: Json, chunk: Chunk | None) -> str:
    if chunk is not None:
        page = reverse(
            "ragapp:document-detail",
            args=[run.tenant.slug, chunk.document_id],
            urlconf=settings.ROOT_URLCONF,
        )
        return f"{settings.PORTAL_URL}{page}?passage={chunk.ordinal}#passage-{chunk.ordinal}"
    if citation["chunk_id"] is None and citation["url"]:
        return str(citation["url"])
    trace = reverse(
        "ragapp:run-detail", args=[run.tenant.slug, run.trace_id], urlconf=settings.ROOT_URLCONF
    )
    return f"{settings.PORTAL_URL}{trace}"


def _task_response(chat: Chat, trace_id: str) -> HttpResponseBase:
    text = completion.task_reply(chat)
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    if not chat.is_streamed:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        head = _head(chat, trace_id, "chat.completion")
        return JsonResponse({**head, "choices": [choice], "usage": usage})
    head = _head(chat, trace_id, "chat.completion.chunk")

    async def events() -> AsyncIterator[bytes]:
        yield _event(_delta(head, {"role": "assistant", "content": text}))
        yield _event(_delta(head, {}, finish_reason="stop"))
        if chat.with_usage:
            yield _event({**head, "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    return _stream_response(events())


async def _embeddings(job: embedding.Job, encoding: str, model: str) -> HttpResponseBase:
    embedded = await embedding.reply(job)
    rows = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector, encoding)}
        for index, vector in enumerate(embedded.vectors)
    ]
    usage = {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens}
    return JsonResponse({"object": "list", "data": rows, "model": model, "usage": usage})


def _encoded(vector: Sequence[float], encoding: str) -> str | Sequence[float]:
    """Numbers, or their little-endian float32 bytes in base64, as the official client asks."""
    if encoding == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _texts(given: object) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _wrong("input", "Give a text, or a list of texts; token numbers are not taken.")
    return [storable(text) for text in texts]


def _wrong(parameter: str, message: str) -> InvalidError:
    return InvalidError(message, fields={parameter: [message]})


def _head(chat: Chat, trace_id: str, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{trace_id}",
        "object": kind,
        "created": int(time.time()),
        "model": chat.model,
    }


def _delta(head: Json, delta: Json, *, finish_reason: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    return {**head, "choices": [choice]}


def _event(data: Json) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def _stream_response(events: AsyncIterator[bytes]) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        # Django's stubs know synchronous bodies only; under ASGI it awaits this one.
        cast("list[bytes]", events),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )
