"""Questions by REST and at the tenant's own address; the stream over a real server."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time

import pytest
import uvicorn

from ragapp.models import Run
from ragapp.services.stream import Place, Publisher, Stored
from ragapp.tests.factories import CorpusFactory, RunFactory
from tenants.domain.roles import Role
from tenants.domain.states import OperationState
from tenants.models import tenant_scope
from tenants.tests.factories import ApiTokenFactory

BASE = "/api/v1/tenants/acme"
QUESTION = {"question": "What is a SNAT pool for?"}


def post(person, path, body):
    return person.client.post(f"{BASE}/{path}", body, content_type="application/json")


@pytest.mark.django_db
def test_question_is_accepted_and_carries_the_trace_of_its_request(alice, broker):
    with broker.taking() as sent:
        answer = post(alice, "runs", QUESTION)

    run = answer.json()
    assert (answer.status_code, run["state"]) == (202, "Queued")
    assert answer["Location"] == f"{BASE}/runs/{run['trace_id']}"
    assert answer["X-Trace-Id"] == run["trace_id"]
    assert [task for task, _ in sent] == ["ragapp.answer_run"]


@pytest.mark.django_db
def test_run_is_read_with_its_trace_and_connections(alice):
    run = post(alice, "runs", QUESTION).json()

    read = alice.client.get(f"{BASE}/runs/{run['trace_id']}").json()

    assert read["entries"][0]["kind"] == "ingress"
    assert (read["connections"], read["citations"], read["sentences"]) == ([], [], [])


@pytest.mark.django_db
def test_question_to_one_corpus(alice, charlie):
    CorpusFactory(tenant=alice.tenant, name="handbook")
    CorpusFactory(tenant=charlie.tenant, name="secret")

    assert post(alice, "runs", {**QUESTION, "corpus": "handbook"}).json()["corpus"] == "handbook"
    assert post(alice, "runs", {**QUESTION, "corpus": "secret"}).status_code == 404


@pytest.mark.django_db
def test_follow_up_names_its_conversation_and_only_the_owners_own(alice, bob, charlie):
    first = post(alice, "runs", {"question": "What is SNAT?"}).json()
    follow_up = {"question": "Why?", "conversation": first["conversation"]}

    second = post(alice, "runs", follow_up)

    assert (second.status_code, second.json()["conversation"]) == (202, first["conversation"])
    assert post(bob, "runs", follow_up).status_code == 404
    assert post(charlie, "runs", follow_up).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("body", [{}, {"question": ""}, {"question": "x" * 4001}, {"query": "x"}])
def test_question_that_is_none_is_refused(alice, body):
    assert post(alice, "runs", body).status_code == 400


@pytest.mark.django_db
def test_reader_may_ask_and_stop(alice, bob):
    run = post(bob, "runs", QUESTION).json()

    stopped = post(bob, f"runs/{run['trace_id']}/stop", {})

    assert (stopped.status_code, stopped.json()["state"]) == (202, "Cancelled")
    assert post(alice, f"runs/{run['trace_id']}/stop", {}).status_code == 409


@pytest.mark.django_db
@pytest.mark.parametrize("tenant", ["acme", "globex"])
@pytest.mark.parametrize("path", ["runs/{}", "runs/{}/events"])
def test_stranger_sees_no_run(alice, charlie, tenant, path):
    run = post(alice, "runs", QUESTION).json()
    wanted = path.format(run["trace_id"])

    assert charlie.client.get(f"/api/v1/tenants/{tenant}/{wanted}").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("rows", [1, 3])
def test_query_count_of_runs_does_not_grow(alice, rows, django_assert_num_queries):
    for _ in range(rows):
        RunFactory(tenant=alice.tenant, corpus=CorpusFactory(tenant=alice.tenant))
    with django_assert_num_queries(13):
        answer = alice.client.get(f"{BASE}/runs")

    assert len(answer.json()["results"]) == rows


@pytest.fixture
def keys(alice, charlie) -> dict[str, str]:
    """A key of each tenant."""
    for person in (alice, charlie):
        ApiTokenFactory(
            tenant=person.tenant,
            user=person.user,
            role=Role.READER.value,
            key=f"slc_{person.tenant.slug}",
        )
    return {"acme": "slc_acme", "globex": "slc_globex"}


@pytest.fixture
def door():
    """The two doors of the web tier on real sockets, as uvicorn serves them."""
    with _serving("portal.asgi:application") as portal, _serving("portal.asgi:ingress") as ingress:
        doors = Doors(portal, ingress)
        yield doors
        doors.close()


class Doors:
    def __init__(self, portal: int, ingress: int) -> None:
        self._port = {"portal": portal, "ingress": ingress}
        self._open: list[contextlib.AbstractContextManager] = []

    def port(self, door: str) -> int:
        """Where that door listens."""
        return self._port[door]

    def close(self) -> None:
        for thing in self._open:
            thing.close()

    def ask(self, door, method, path, *, body=None, **headers):
        """One request; the answer is open, for streams."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port[door], timeout=60)
        content = None if body is None else json.dumps(body)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            given["Content-Type"] = "application/json"
        connection.request(method, path, content, {"Accept": "*/*", **given})
        answer = connection.getresponse()
        self._open += [answer, connection]
        return answer

    def ingress(self, method, path, *, tenant="acme", key="", body=None, **headers):
        """As the cluster proxy asks for a client at the tenant's address."""
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return self.ask(
            "ingress",
            method,
            path,
            body=body,
            X_Sluice_Tenant=tenant,
            X_Sluice_Rule=f"{tenant}/web",
            X_Forwarded_For="127.0.0.7",
            **headers,
        )


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services")
def test_address_says_whose_it_is_and_takes_its_own_keys_only(door, keys):
    health = door.ingress("GET", "/healthz")
    assert (health.status, json.load(health)) == (200, {"tenant": "acme"})

    assert door.ingress("GET", "/v1/runs").status == 401
    foreign = door.ingress("GET", "/v1/runs", key=keys["globex"])
    assert (foreign.status, json.load(foreign)["title"]) == (403, "foreign-token")
    assert door.ingress("GET", "/v1/runs", key=keys["acme"]).status == 200
    assert door.ingress("GET", "/api/v1/tenants", key=keys["acme"]).status == 404
    assert door.ingress("GET", "/admin/").status == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services")
def test_question_at_the_address_has_its_way_in_on_record(door, keys):
    trace_id = "c" * 32

    answer = door.ingress(
        "POST", "/v1/runs", key=keys["acme"], body=QUESTION, X_Sluice_Trace=trace_id
    )

    run = json.load(answer)
    assert (answer.status, answer.headers["Location"]) == (202, f"/v1/runs/{trace_id}")
    read = json.load(door.ingress("GET", f"/v1/runs/{run['trace_id']}", key=keys["acme"]))
    assert read["channel"] == "ingress"
    assert (read["entries"][0]["source"], read["entries"][0]["rule"]) == ("127.0.0.7", "acme/web")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services")
def test_events_stream_while_the_run_goes_on(door, keys, acme):
    run = RunFactory(tenant=acme, state=OperationState.RUNNING)
    path = f"{BASE}/runs/{run.trace_id}/events"
    stream = door.ask(
        "portal", "GET", path, Authorization="Bearer slc_acme", Accept="text/event-stream"
    )
    assert stream.headers["Content-Type"] == "text/event-stream"
    assert next_event(stream)[1] == "snapshot"

    publisher = Publisher(run.trace_id)
    for number, word in enumerate(["A ", "SNAT "]):
        before = Place(0, 1, len("A ") if number else 0)
        after = Place(0, 1, before.characters + len(word))
        publisher.publish(Stored("token", before, after, {"text": word}))
        assert next_event(stream) == (str(after), "token", {"text": word})

    again = door.ask("portal", "GET", path, Authorization="Bearer slc_acme", Last_Event_ID="0-1-2")
    assert next_event(again) == ("0-1-7", "token", {"text": "SNAT "})
    with tenant_scope(acme.pk):
        Run.objects.filter(pk=run.pk).update(state=OperationState.SUCCEEDED, answer="A SNAT pool.")
    for reader in (stream, again):
        assert next_event(reader) == ("0-1-12", "token", {"text": "pool."})
        assert next_event(reader)[1] == "end"
        assert reader.read() == b""
    publisher.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services")
def test_events_are_for_the_tenants_own_readers(door, keys, acme):
    run = RunFactory(tenant=acme, state=OperationState.RUNNING)
    path = f"{BASE}/runs/{run.trace_id}/events"
    asking = {"Accept": "text/event-stream"}

    assert door.ask("portal", "GET", path, **asking).status == 401
    foreign = door.ask("portal", "GET", path, Authorization="Bearer slc_globex", **asking)
    assert (foreign.status, json.load(foreign)["title"]) == (404, "not-visible")
    wrong = door.ask(
        "portal", "GET", path, Authorization="Bearer slc_acme", Last_Event_ID="0-0", **asking
    )
    assert (wrong.status, json.load(wrong)["title"]) == (400, "event-id-invalid")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services")
def test_question_may_be_answered_as_a_stream_at_once(door, keys):
    answer = door.ingress("POST", "/v1/runs", key=keys["acme"], body={**QUESTION, "stream": True})

    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
    _, name, shown = next_event(answer)
    assert (name, shown["steps"][0]["title"]) == ("snapshot", "Asked")
    answer.close()


def next_event(stream) -> tuple[str, str, dict]:
    """The next event of an open stream, signs of life left out."""
    fields: dict[str, str] = {}
    for raw in iter(stream.readline, b""):
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            return fields["id"], fields["event"], json.loads(fields["data"])
    pytest.fail("the stream ended without an event")


@contextlib.contextmanager
def _serving(application):
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, lifespan="off", log_level="warning", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
    )
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(30)
