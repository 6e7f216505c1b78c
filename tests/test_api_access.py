"""Who may do what by REST: each tenant URL of the resolver, each method, each person.

A route that is not in the table below fails the test, so nobody adds one without saying who may.
"""

from collections.abc import Iterator, Mapping

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from proxyconfig.api.objects import route_of
from proxyconfig.domain.objects import COLLECTIONS, key_of
from proxyconfig.tests.samples import one_of_each
from tenants.domain.roles import GRANTS, PLATFORM_GRANTS, Action, PlatformRole, Role
from tenants.tests.people import (
    Person,
    acme,
    ada,
    alice,
    bob,
    charlie,
    cluster,
    globex,
    person,
)
from tests.world import World, world

__all__ = ["acme", "ada", "alice", "bob", "charlie", "cluster", "globex"]

NAMESPACES = ("tenants-api", "proxyconfig-api", "ragapp-api")
V, M, E, A, T, ASK = (
    Action.VIEW,
    Action.MANAGE_TENANT,
    Action.EDIT_POLICY,
    Action.APPROVE_PLAN,
    Action.TRAIN,
    Action.ASK,
)
COLLECTION = {"get": V, "post": M}
ROW = {"get": V, "delete": M}

# What each method of each route needs. VIEW on a write means that the service asks for more.
NEEDED: dict[str, dict[str, Action]] = {
    "tenants-api:tenant-detail": {"get": V},
    "tenants-api:pause-detail": {"get": V, "put": Action.MANAGE_GUARDRAILS},
    "tenants-api:pause-resume": {"post": Action.MANAGE_GUARDRAILS},
    "tenants-api:member-list": COLLECTION,
    "tenants-api:member-detail": ROW,
    "tenants-api:token-list": COLLECTION,
    "tenants-api:token-detail": ROW,
    "tenants-api:operation-list": {"get": V},
    "tenants-api:operation-detail": {"get": V},
    "tenants-api:operation-cancel": {"post": T},
    "tenants-api:audit-list": {"get": V},
    "proxyconfig-api:plan-list": {"get": V},
    "proxyconfig-api:plan-detail": {"get": V},
    "proxyconfig-api:plan-approve": {"post": A},
    "proxyconfig-api:plan-refuse": {"post": A},
    "proxyconfig-api:plan-cancel": {"post": A},
    "proxyconfig-api:plan-rebase": {"post": E},
    "proxyconfig-api:pending-list": {"get": V},
    "proxyconfig-api:revision-list": {"get": V},
    "proxyconfig-api:revision-detail": {"get": V},
    "proxyconfig-api:revision-rollback": {"post": E},
    "proxyconfig-api:placement-list": {"get": V},
    "proxyconfig-api:placement-detail": {"get": V},
    "proxyconfig-api:connection-list": {"get": V},
    "ragapp-api:corpus-list": {"get": V, "post": T},
    "ragapp-api:corpus-detail": {"get": V, "put": T, "delete": T},
    "ragapp-api:corpus-train": {"post": T},
    "ragapp-api:upload-list": {"get": T, "post": T},
    "ragapp-api:upload-detail": {"get": T, "delete": T},
    "ragapp-api:document-list": {"get": V},
    "ragapp-api:document-detail": {"get": V, "put": T, "delete": T},
    "ragapp-api:document-retry": {"post": T},
    "ragapp-api:chunk-detail": {"get": V},
    "ragapp-api:question-set-list": {"get": T, "post": T},
    "ragapp-api:question-set-detail": {"get": T, "put": T, "delete": T},
    "ragapp-api:question-set-upload": {"post": T},
    "ragapp-api:judged-question-list": {"get": T, "post": T},
    "ragapp-api:judged-question-detail": {"get": T, "put": T, "delete": T},
    "ragapp-api:evaluation-list": {"get": T, "post": T},
    "ragapp-api:evaluation-detail": {"get": T, "delete": T},
    "ragapp-api:evaluation-continue": {"post": T},
    "ragapp-api:evaluation-promote": {"post": T},
    "ragapp-api:evaluation-restore": {"post": T},
    "ragapp-api:evaluation-comparison": {"get": T},
    "ragapp-api:evaluation-answer-list": {"get": T},
    "ragapp-api:evaluation-answer-detail": {"get": T},
    "ragapp-api:feedback-list": {"get": T},
    "ragapp-api:feedback-detail": {"get": T},
    "ragapp-api:feedback-accept": {"post": T},
    "ragapp-api:feedback-dismiss": {"post": T},
    "ragapp-api:run-feedback": {"get": ASK, "put": ASK, "delete": ASK},
    "ragapp-api:search": {"get": ASK},
    "ragapp-api:run-list": {"get": V, "post": ASK},
    "ragapp-api:run-detail": {"get": V},
    "ragapp-api:run-events": {"get": V},
    "ragapp-api:run-stop": {"post": ASK},
    "ragapp-api:web-search-detail": {"get": V, "put": T},
    "ragapp-api:openai-model-list": {"get": ASK},
    "ragapp-api:openai-model-detail": {"get": ASK},
    "ragapp-api:openai-chat": {"post": ASK},
    "ragapp-api:openai-embedding-list": {"post": ASK},
    "ragapp-api:usage-sums": {"get": V},
    "ragapp-api:usage-list": {"get": V},
    "ragapp-api:usage-export": {"get": V},
    "ragapp-api:quota-list": {"get": V},
    "ragapp-api:token-quota-list": {"get": V},
    "ragapp-api:token-quota-detail": {"put": M, "delete": M},
}
for _entry in COLLECTIONS:
    _needs = Action.EDIT_NETWORK if _entry.is_network else E
    _stem = f"proxyconfig-api:{route_of(_entry.name)}"
    NEEDED[f"{_stem}-list"] = {"get": V, "post": _needs}
    NEEDED[f"{_stem}-detail"] = {"get": V, **dict.fromkeys(("put", "patch", "delete"), _needs)}
# Only the platform's administrators; everybody else in the tenant gets 403.
PLATFORM_ONLY = {
    "ragapp-api:quota-detail": {"put", "delete"},
}
# Only the plan's author, who is nobody of these.
AUTHORS_ONLY = {("proxyconfig-api:plan-rebase", "post")}
METHODS = ("get", "post", "put", "patch", "delete")
# A stream has no end to wait for; its own tests read it.
STREAMS = {"ragapp-api:run-events"}


def routes() -> dict[str, tuple[str, set[str]]]:
    """Each REST route below a tenant: its path's parameters and the methods that it takes."""
    found = {}
    for resolver in get_resolver().url_patterns:
        if isinstance(resolver, URLResolver) and resolver.namespace in NAMESPACES:
            for pattern in _patterns(resolver):
                parameters = set(pattern.pattern.converters)
                if "tenant" in parameters:
                    methods = set(pattern.callback.actions) - {"head"}
                    found[f"{resolver.namespace}:{pattern.name}"] = (parameters, methods)
    return found


def _patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _patterns(entry)
        else:
            yield entry


def address(route: str, parameters: set[str], rows: World) -> str:
    """The route's path for rows that exist."""
    noun = route.partition(":")[2].rsplit("-", 1)[0]
    number = rows.tenant.pk % 250
    values = {
        "tenant": rows.tenant.slug,
        "order": 1,
        "resource": "requests-per-day",
        "model": "sluice",
        "generation": 1,
        "cluster": "local",
        "trace_id": rows.run.trace_id,
        "id": rows.chunk_id,
        "position": 1,
        "other": rows.evaluation.pk,
        "name": {
            **{route_of(key.collection): key.name for key in map(key_of, one_of_each(number))},
            "corpus": "docs",
            "upload": "docs",
            "question-set": "people",
            "judged-question": "people",
        }.get(noun, "out"),
        "pk": {
            "member": rows.member_id,
            "token": rows.token.pk,
            "token-quota": rows.token.pk,
            "operation": rows.operation.pk,
            "plan": rows.plan_id,
            "document": rows.document.pk,
            "upload": rows.upload_id,
            "judged-question": rows.question.pk,
            "evaluation": rows.evaluation.pk,
            "evaluation-answer": rows.evaluation.pk,
            "feedback": rows.feedback.pk,
        }.get(noun),
    }
    return reverse(route, kwargs={name: values[name] for name in parameters})


def statuses(client: Client, rows: World, **headers: str) -> dict[tuple[str, str], int]:
    """The status of each route and method, each tried on the same rows."""
    found = {}
    for route, (parameters, methods) in routes().items():
        for method in sorted(methods):
            if route in STREAMS and method == "get":
                continue
            with transaction.atomic():
                response = getattr(client, method)(
                    address(route, parameters, rows),
                    **({} if method == "get" else {"data": {}, "content_type": "application/json"}),
                    headers=headers,
                )
                transaction.set_rollback(True)
            found[route, method] = response.status_code
    return found


def needed() -> Mapping[tuple[str, str], Action]:
    return {
        (route, method): action
        for route, methods in NEEDED.items()
        for method, action in methods.items()
        if not (route in STREAMS and method == "get") and (route, method) not in AUTHORS_ONLY
    }


@pytest.fixture
def rows(alice: Person) -> World:
    return world(alice.tenant, alice.user)


def test_every_route_and_method_says_what_it_needs():
    listed = {(route, method) for route, methods in NEEDED.items() for method in methods}
    listed |= {(route, method) for route, methods in PLATFORM_ONLY.items() for method in methods}

    assert {(name, method) for name, (_, methods) in routes().items() for method in methods} == (
        listed
    )


def test_stranger_gets_the_answer_of_a_tenant_that_does_not_exist(charlie, rows):
    found = statuses(charlie.client, rows)

    assert {pair: status for pair, status in found.items() if status != 404} == {}


def test_anonymous_is_asked_to_sign_in(rows):
    found = statuses(Client(), rows)

    assert {pair: status for pair, status in found.items() if status != 401} == {}


def test_netops_may_everything_but_what_is_the_platforms(alice, rows):
    found = statuses(alice.client, rows)

    wrong = {pair: found[pair] for pair in needed() if found[pair] in {401, 403, 404, 405, 500}}
    assert wrong == {}
    platform = {(route, method) for route, methods in PLATFORM_ONLY.items() for method in methods}
    assert {found[pair] for pair in platform} == {403}


@pytest.mark.parametrize("role", [Role.READER, Role.MLOPS, Role.DEVOPS])
def test_role_may_what_it_grants_and_no_more(role, acme, rows):
    found = statuses(person("dora", acme, role).client, rows)

    refused = {pair for pair, action in needed().items() if action not in GRANTS[role]}
    assert {pair for pair in needed() if found[pair] == 403} == refused
    assert {pair: found[pair] for pair in needed() if found[pair] in {401, 404, 405, 500}} == {}


def test_platform_admin_may_everything(ada, rows):
    found = statuses(ada.client, rows)

    wrong = {pair: status for pair, status in found.items() if status in {401, 403, 404, 500}}
    assert wrong == dict.fromkeys(AUTHORS_ONLY, 403)


@pytest.mark.parametrize("role", [PlatformRole.AUDITOR, PlatformRole.NETOPS])
def test_platform_role_may_what_it_grants_in_each_tenant_and_no_more(role, acme, rows):
    found = statuses(person("olga", acme, None, platform_role=role).client, rows)

    refused = {pair for pair, action in needed().items() if action not in PLATFORM_GRANTS[role]}
    assert {pair for pair in needed() if found[pair] == 403} == refused
    assert {pair for pair in needed() if found[pair] in {401, 404}} == set()


def test_token_may_what_its_role_grants_in_its_own_tenant(rows):
    found = statuses(Client(), rows, Authorization=f"Bearer {rows.key}")

    assert {pair for pair in needed() if found[pair] in {401, 403, 404, 405, 500}} == set()


def test_token_of_another_tenant_sees_nothing(charlie, rows):
    foreign = world(charlie.tenant, charlie.user)

    found = statuses(Client(), rows, Authorization=f"Bearer {foreign.key}")

    assert {pair: status for pair, status in found.items() if status != 404} == {}


def test_methods_that_a_route_does_not_take_are_refused(alice, rows):
    found = {}
    for route, (parameters, methods) in routes().items():
        for method in set(METHODS) - methods:
            response = getattr(alice.client, method)(address(route, parameters, rows))
            found[route, method] = response.status_code

    assert {pair: status for pair, status in found.items() if status != 405} == {}
