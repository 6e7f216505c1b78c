"""The tenant's limits, as a question meets them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from ragapp.models import Channel, EmbeddingCall, Run, UsageEntry
from ragapp.services import embedding, limits, retention, runs
from ragapp.tests.factories import RunFactory
from tenants.domain.quota import Resource
from tenants.domain.states import OperationState
from tenants.errors import QuotaError
from tenants.models import tenant_scope
from tenants.services import quotas
from tenants.tests.factories import ApiTokenFactory, QuotaFactory

QUESTION = "What is a SNAT pool for?"


def ask_as(person) -> Run:
    with person.acting() as actor:
        return runs.ask(person.tenant, QUESTION, actor=actor, channel=Channel.API)


def standing(tenant, resource: Resource):
    with tenant_scope(tenant.pk):
        found = quotas.standings(tenant.pk, held=limits.held(tenant.pk))
    return next(standing for standing in found if standing.resource is resource)


def test_question_beyond_the_limit_is_refused_and_leaves_no_run(alice, acme):
    QuotaFactory(tenant=acme, resource=Resource.REQUESTS_PER_DAY, limit=1)
    ask_as(alice)

    with pytest.raises(QuotaError, match="1 of 1 are used"):
        ask_as(alice)

    with tenant_scope(acme.pk):
        assert Run.objects.count() == 1
    assert standing(acme, Resource.REQUESTS_PER_DAY).used == 1


def test_slot_is_free_again_when_its_run_has_ended(alice, acme):
    QuotaFactory(tenant=acme, resource=Resource.CONCURRENT_RUNS, limit=1)
    run = ask_as(alice)
    with pytest.raises(QuotaError, match="Questions at once"):
        ask_as(alice)

    with alice.acting() as actor:
        runs.request_stop(run, actor=actor)
    ask_as(alice)

    assert standing(acme, Resource.CONCURRENT_RUNS).used == 1


@pytest.mark.django_db(transaction=True)
def test_questions_at_once_never_exceed_their_limit(alice, acme):
    QuotaFactory(tenant=acme, resource=Resource.CONCURRENT_RUNS, limit=4)

    assert _admitted(alice, 30) == 4


@pytest.mark.django_db(transaction=True)
def test_tokens_are_overdrawn_by_at_most_one_answer(alice, acme, settings):
    settings.QUOTA_TOKENS_PER_ANSWER = 100
    QuotaFactory(tenant=acme, resource=Resource.TOKENS_PER_DAY, limit=250)

    admitted = _admitted(alice, 20)

    # Each of the three may use 100: the last one alone goes beyond what is left.
    assert admitted == 3


@pytest.mark.django_db(transaction=True)
def test_calls_for_vectors_together_never_exceed_the_tokens(alice, acme, monkeypatch):
    monkeypatch.setattr(embedding.wake, "send", lambda *_: None)
    QuotaFactory(tenant=acme, resource=Resource.TOKENS_PER_DAY, limit=50)

    def submit(person):
        with person.acting() as actor:
            embedding.submit(acme, ["A pool."], actor=actor)  # 7 bytes, 2 marks: 9 tokens.

    assert _admitted(alice, 12, submit) == 5
    assert standing(acme, Resource.TOKENS_PER_DAY).used == 45


@pytest.mark.usefixtures("services", "embedder")
def test_call_for_vectors_holds_its_tokens_until_it_is_charged_or_dead(alice, acme, monkeypatch):
    monkeypatch.setattr(embedding.wake, "send", lambda *_: None)
    with alice.acting() as actor:
        served, lost = (embedding.submit(acme, ["A pool."], actor=actor) for _ in range(2))
    assert standing(acme, Resource.TOKENS_PER_DAY).used == 18

    embedding.embed(served.id)
    with tenant_scope(acme.pk):
        (entry,) = UsageEntry.objects.all()
        (call,) = EmbeddingCall.objects.all()
    assert call.job_id == lost.id
    assert 0 < entry.tokens_in <= 9
    assert standing(acme, Resource.TOKENS_PER_DAY).used == entry.tokens_in + 9

    retention.sweep(call.expires_at + timedelta(seconds=1))
    assert standing(acme, Resource.TOKENS_PER_DAY).used == entry.tokens_in


@pytest.mark.usefixtures("services", "embedder")
def test_call_for_vectors_holds_enough_where_a_character_is_several_tokens(
    alice, acme, monkeypatch
):
    monkeypatch.setattr(embedding.wake, "send", lambda *_: None)
    with alice.acting() as actor:
        job = embedding.submit(acme, ["한국인"], actor=actor)
    held = standing(acme, Resource.TOKENS_PER_DAY).used

    embedding.embed(job.id)

    assert standing(acme, Resource.TOKENS_PER_DAY).used == 3 * 3 <= held


def test_token_limit_counts_what_the_token_asked(acme):
    token = ApiTokenFactory(tenant=acme)
    RunFactory(tenant=acme, token=token, state=OperationState.RUNNING)
    RunFactory(tenant=acme, state=OperationState.QUEUED)
    RunFactory(tenant=acme, token=token, state=OperationState.FAILED)
    with tenant_scope(acme.pk):
        count = limits.held(acme.pk)[Resource.CONCURRENT_RUNS]
        assert (count(None), count(token.pk)) == (2, 1)


def test_rest_refusal_has_the_quota_in_its_body_and_headers(alice, acme):
    QuotaFactory(tenant=acme, resource=Resource.REQUESTS_PER_DAY, limit=0)

    response = alice.client.post(
        f"/api/v1/tenants/{acme.slug}/runs",
        {"question": QUESTION},
        content_type="application/json",
    )

    body = response.json()
    assert (response.status_code, body["title"]) == (429, "quota-exceeded")
    assert (body["data"]["used"], body["data"]["limit"], body["data"]["requested"]) == (0, 0, 1)
    assert 0 < int(response["Retry-After"]) <= 86400
    assert response["RateLimit-Policy"] == '"requests-per-day";q=0;w=86400'
    assert response["RateLimit"].startswith('"requests-per-day";r=0;t=')


def _admitted(person, count: int, act=ask_as) -> int:
    def one(_: int) -> bool:
        try:
            act(person)
        except QuotaError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(12) as pool:
        return sum(pool.map(one, range(count)))
