"""The OpenAI-compatible API, as the official client meets it: only the base URL is another."""

import base64
import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import openai
import pytest
import redis
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from ragapp.api import openai as openai_api
from ragapp.domain.followup import Exchange
from ragapp.domain.reader import ANYBODY
from ragapp.models import Chunk, Run, UsageEntry
from ragapp.services import conversations, embedding, runs
from ragapp.services.answer import answer
from ragapp.tests.api.test_runs import Doors, door, keys
from ragapp.tests.factories import CorpusFactory, indexed
from tenants.domain.states import OperationState
from tenants.models import tenant_scope
from tenants.tests.broker import read
from tenants.tests.factories import QuotaFactory

__all__ = ["door", "keys"]

MESSAGES = [{"role": "user", "content": "What is a SNAT pool for?"}]
TEXT = "A SNAT pool holds the addresses that a tenant goes out with."
ANSWER = "It holds addresses [1]. Nobody else has them [1]."
SENTENCES = [
    {
        "text": "It holds addresses.",
        "support": "Cited",
        "passages": [1],
        "claimed": [1],
        "missing_literals": [],
        "spans": [{"passage": 1, "start": 0, "end": len(TEXT)}],
    },
    {
        "text": "Nobody else has them.",
        "support": "Unsupported",
        "passages": [],
        "claimed": [1],
        "missing_literals": [],
        "spans": [],
    },
]
WORK = {"ragapp.answer_run": answer, "ragapp.embed_texts": embedding.embed}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("services")]


OPEN: list[openai.OpenAI] = []


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    """Each client's connections are closed with its test."""
    yield
    while OPEN:
        OPEN.pop().close()


def kept(made: openai.OpenAI) -> openai.OpenAI:
    """``made``, to be closed when the test is over."""
    OPEN.append(made)
    return made


def client(door: Doors, key: str = "slc_acme", tenant: str = "acme") -> openai.OpenAI:
    """The official client at the portal's address of the tenant."""
    url = f"http://127.0.0.1:{door.port('portal')}/api/v1/tenants/{tenant}/openai/v1"
    return kept(openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60))


def at_address(door: Doors, key: str = "slc_acme") -> openai.OpenAI:
    """The same at the tenant's own address, with what the cluster proxy adds."""
    return kept(
        openai.OpenAI(
            base_url=f"http://127.0.0.1:{door.port('ingress')}/v1",
            api_key=key,
            max_retries=0,
            timeout=60,
            default_headers={"X-Sluice-Tenant": "acme", "X-Sluice-Rule": "acme/web"},
        )
    )


@contextmanager
def engine(work=None) -> Iterator[list[str]]:
    """A worker of this process: takes each message of the engine's queue and does ``work``."""
    store = redis.Redis.from_url(settings.REDIS_URL)
    store.delete("engine")
    taken: list[str] = []
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            if (got := store.brpop(["engine"], timeout=1)) is None:
                continue
            task, argument = read(got[1])
            taken.append(task)
            (work or WORK[task])(argument)
            close_old_connections()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join(60)
        store.close()


def written(acme, document, **columns) -> Callable[[int], None]:
    """Work that ends a run as a model that cites would; ``columns`` are otherwise."""

    def end(run_id: int) -> None:
        citation = {
            "number": 1,
            "is_cited": True,
            "source": "local",
            "title": "Pools",
            "section": [],
            "page": 3,
            "url": document.url,
            "chunk_id": chunk_id(document),
            "document_id": document.pk,
            "start": 0,
            "end": len(TEXT),
            "score": 1.0,
            "text": "",
        }
        with tenant_scope(acme.pk):
            Run.objects.filter(pk=run_id).update(
                **{
                    "state": OperationState.SUCCEEDED,
                    "end": "Found",
                    "answer": ANSWER,
                    "citations": [citation],
                    "sentences": SENTENCES,
                    "usage": {"tokens_in": 30, "tokens_out": 12},
                    "ended_at": timezone.now(),
                    **columns,
                }
            )

    return end


def chunk_id(document) -> int:
    with tenant_scope(document.tenant_id):
        return Chunk.objects.get(document_id=document.pk).id


@pytest.fixture
def document(acme):
    return indexed(CorpusFactory(tenant=acme, name="docs"), [TEXT])


def test_each_corpus_is_a_model(door, keys, document):
    ask = client(door)

    assert [model.id for model in ask.models.list()] == ["sluice", "sluice/docs"]
    assert ask.models.retrieve("sluice/docs").owned_by == "acme"
    with pytest.raises(openai.NotFoundError) as refused:
        ask.models.retrieve("sluice/none")
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("where", [client, at_address])
def test_completion_has_marks_annotations_and_the_egress_id(door, keys, acme, document, where):
    with engine(written(acme, document)):
        answer = where(door).chat.completions.create(model="sluice/docs", messages=MESSAGES)

    message = answer.choices[0].message
    assert (message.content, answer.choices[0].finish_reason) == (ANSWER, "stop")
    places = [annotation.url_citation for annotation in message.annotations]
    assert [ANSWER[place.start_index : place.end_index] for place in places] == ["[1]", "[1]"]
    assert places[0].url == (
        f"{settings.PORTAL_URL}/t/acme/documents/{document.pk}/?passage=0#passage-0"
    )
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (30, 42)
    with tenant_scope(acme.pk):
        run = Run.objects.get()
    assert answer.egress_id == run.trace_id
    assert (places[0].number, places[0].page, places[0].start, places[0].end) == (
        1, 3, 0, len(TEXT),
    )  # fmt: skip
    assert answer.sentences == SENTENCES
    assert run.corpus_id == document.corpus_id


def test_run_that_somebody_stopped_is_no_whole_answer(door, keys, acme, document):
    stopped = {"state": OperationState.CANCELLED, "end": "", "end_message": runs.STOPPED}
    ask = client(door)
    with engine(written(acme, document, answer="It holds", sentences=[], **stopped)):
        whole = ask.chat.completions.create(model="sluice", messages=MESSAGES)
        chunks = list(ask.chat.completions.create(model="sluice", messages=MESSAGES, stream=True))

    assert whole.choices[0].message.content == "It holds"
    assert [whole.choices[0].finish_reason, chunks[-1].choices[0].finish_reason] == ["length"] * 2
    assert (whole.end, whole.end_message) == ("", runs.STOPPED)


def test_follow_up_is_answered_with_what_was_said_before(door, keys, acme, document):
    said = [*MESSAGES, {"role": "assistant", "content": "For addresses [1]."}]
    with engine(written(acme, document)):
        client(door).chat.completions.create(
            model="sluice/docs", messages=[*said, {"role": "user", "content": "And why?"}]
        )

    with tenant_scope(acme.pk):
        run = Run.objects.get()
        told = conversations.history(run, ANYBODY)
    assert run.question == "And why?"
    assert told == (Exchange("What is a SNAT pool for?", "For addresses ."),)


def test_stream_ends_with_annotations_usage_and_done(door, keys, acme, document):
    with engine(written(acme, document)):
        chunks = list(
            client(door).chat.completions.create(
                model="sluice",
                messages=MESSAGES,
                stream=True,
                stream_options={"include_usage": True},
            )
        )

    first, *deltas, last, usage = chunks
    assert first.choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content for chunk in deltas) == ANSWER
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].delta.annotations[0]["url_citation"]["title"] == "Pools"
    assert last.choices[0].delta.annotations[0]["url_citation"]["page"] == 3
    assert last.sentences == SENTENCES
    assert (usage.choices, usage.usage.completion_tokens) == ([], 12)
    assert usage.egress_id == last.egress_id


def test_list_of_sources_is_an_option(door, keys, acme, document):
    with engine(written(acme, document)):
        answer = client(door).chat.completions.create(
            model="sluice", messages=MESSAGES, extra_body={"sources": True}
        )

    assert answer.choices[0].message.content.startswith(f"{ANSWER}\n\nSources:\n[1] Pools: http")
    assert len(answer.choices[0].message.annotations) == 2


@pytest.mark.usefixtures("generator")
def test_tenant_without_egress_is_told_which_rule_and_whom_to_ask(door, keys, acme, egress):
    egress.deny(acme)
    with engine():
        answer = client(door).chat.completions.create(model="sluice", messages=MESSAGES)

    assert answer.end == "Blocked"
    assert "NetOps of acme can add" in answer.choices[0].message.content
    assert "acme/default-deny" in answer.end_message
    with tenant_scope(acme.pk):
        assert UsageEntry.objects.get().trace_id == answer.egress_id


def test_failed_run_is_an_error_of_the_server(door, keys, acme):
    def fail(run_id: int) -> None:
        with tenant_scope(acme.pk):
            Run.objects.filter(pk=run_id).update(
                state=OperationState.FAILED, error="No model.", ended_at=timezone.now()
            )

    ask = client(door)
    with engine(fail):
        with pytest.raises(openai.InternalServerError, match="No model"):
            ask.chat.completions.create(model="sluice", messages=MESSAGES)
        with pytest.raises(openai.APIError, match="No model"):
            list(ask.chat.completions.create(model="sluice", messages=MESSAGES, stream=True))


def test_errors_are_the_clients_own(door, keys, acme):
    ask = client(door)
    with pytest.raises(openai.AuthenticationError):
        client(door, "slc_wrong").models.list()
    with pytest.raises(openai.NotFoundError):
        client(door, "slc_globex").models.list()
    with pytest.raises(openai.PermissionDeniedError) as foreign:
        at_address(door, "slc_globex").models.list()
    with pytest.raises(openai.NotFoundError) as absent:
        ask.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with pytest.raises(openai.BadRequestError) as wrong:
        ask.chat.completions.create(model="sluice", messages=MESSAGES, n=3)

    assert foreign.value.code == "foreign-token"
    assert (absent.value.code, absent.value.type) == ("model_not_found", "invalid_request_error")
    assert (wrong.value.param, wrong.value.type) == ("n", "invalid_request_error")


def test_half_a_surrogate_pair_is_answered(door, keys, acme, document):
    # The client itself cannot encode it: sent as other languages' JSON has it.
    body = {"model": "sluice", "messages": [{"role": "user", "content": "Why \ud83d\0?"}]}
    path = "/api/v1/tenants/acme/openai/v1/chat/completions"
    with engine(written(acme, document)):
        answer = door.ask("portal", "POST", path, body=body, Authorization="Bearer slc_acme")
        answer.read()

    assert answer.status == 200
    with tenant_scope(acme.pk):
        assert Run.objects.get().question == "Why \ufffd\ufffd?"


def test_defect_is_an_error_of_the_server_in_openais_shape(door, keys, acme, document, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("a secret of ours")

    ask = client(door)
    monkeypatch.setattr(openai_api, "visible_corpus", broken)
    with pytest.raises(openai.InternalServerError) as at_once:
        ask.models.retrieve("sluice/docs")
    monkeypatch.setattr(openai_api, "_ended", broken)
    with engine(written(acme, document)):
        with pytest.raises(openai.InternalServerError) as later:
            ask.chat.completions.create(model="sluice", messages=MESSAGES)
        with pytest.raises(openai.APIError) as streamed:
            list(ask.chat.completions.create(model="sluice", messages=MESSAGES, stream=True))

    for refused in (at_once, later, streamed):
        assert (refused.value.code, refused.value.type) == ("internal-server-error", "server_error")
        assert len(refused.value.body["request_id"]) == 32
        assert "secret" not in str(refused.value)


def test_spent_limit_is_a_rate_limit_error_with_the_quota(door, keys, acme):
    QuotaFactory(tenant=acme, resource="requests-per-day", limit=0)

    with pytest.raises(openai.RateLimitError) as refused:
        client(door).chat.completions.create(model="sluice", messages=MESSAGES)

    assert refused.value.code == "quota-exceeded"
    assert (refused.value.body["data"]["used"], refused.value.body["data"]["limit"]) == (0, 0)
    assert int(refused.value.response.headers["Retry-After"]) > 0


def test_stream_is_kept_alive_and_a_client_that_leaves_stops_the_run(door, keys, acme, monkeypatch):
    monkeypatch.setattr(openai_api, "KEEP_ALIVE_SECONDS", 0.5)
    body = {"model": "sluice", "messages": MESSAGES, "stream": True}
    path = "/api/v1/tenants/acme/openai/v1/chat/completions"
    answer = door.ask("portal", "POST", path, body=body, Authorization="Bearer slc_acme")
    lines = iter(answer.readline, b"")
    assert json.loads(next(lines).removeprefix(b"data: "))["choices"][0]["delta"]["content"] == ""
    assert next(line for line in lines if line.startswith(b":")) == b": keep-alive\n"

    door.close()

    for _ in range(100):
        with tenant_scope(acme.pk):
            state = Run.objects.get().state
        if state == OperationState.CANCELLED:
            return
        time.sleep(0.1)
    pytest.fail(f"the run is still {state}")


def test_front_ends_errand_makes_no_run(door, keys, acme):
    task = "### Task:\nGenerate a title\n### Chat History:\nUSER: What is a pool?"
    ask = client(door)
    messages = [{"role": "user", "content": task}]

    whole = ask.chat.completions.create(model="sluice", messages=messages)
    streamed = list(ask.chat.completions.create(model="sluice", messages=messages, stream=True))

    assert json.loads(whole.choices[0].message.content) == {"title": "What is a pool?"}
    assert streamed[0].choices[0].delta.content == whole.choices[0].message.content
    with tenant_scope(acme.pk):
        assert not Run.objects.exists()


@pytest.mark.model
@pytest.mark.usefixtures("embedder")
def test_embeddings_are_vectors_and_are_charged(door, keys, acme):
    ask = client(door)
    with engine():
        floats = ask.embeddings.create(
            model="sluice", input=["A pool.", "An address."], encoding_format="float"
        )
        # The official client asks for base64 by itself, and decodes it.
        whole = ask.embeddings.create(model="sluice", input="A pool.")
        raw = ask.embeddings.with_raw_response.create(
            model="sluice", input="A pool.", encoding_format="base64"
        )

    assert [len(row.embedding) for row in floats.data] == [384, 384]
    assert whole.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
    packed = base64.b64decode(json.loads(raw.text)["data"][0]["embedding"])
    assert struct.unpack("<384f", packed) == pytest.approx(floats.data[0].embedding, abs=1e-6)
    with tenant_scope(acme.pk):
        charged = [entry.tokens_in for entry in UsageEntry.objects.order_by("pk")]
    assert charged[0] == floats.usage.prompt_tokens
    assert len(charged) == 3


@pytest.mark.parametrize("given", [[], [""], ["x" * 8001], ["x"] * 129, [1, 2, 3]])
def test_texts_that_cannot_be_embedded_are_refused(door, keys, given):
    with pytest.raises(openai.BadRequestError) as refused:
        client(door).embeddings.create(model="sluice", input=given)

    assert refused.value.param == "input"


def test_embedding_without_a_worker_is_unavailable_for_now(door, keys, monkeypatch):
    monkeypatch.setattr(embedding, "DEADLINE_SECONDS", 1)

    with pytest.raises(openai.InternalServerError) as refused:
        client(door).embeddings.create(model="sluice", input="x")

    assert refused.value.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) == 5
