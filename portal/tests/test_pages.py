"""Every page: who may see it, that nothing in it is inline, and what it costs."""

import re
from collections.abc import Callable, Iterable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from portal.tests.conftest import Furnished
from proxyconfig.domain.intent import (
    Backend,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Listener,
    Namespace,
    PortRange,
    Segment,
    SelfIp,
    SnatPool,
    Subnet,
    VirtualAddress,
    VlanLink,
)
from proxyconfig.tests.factories import (
    ConnectionFactory,
    PlacementFactory,
    PlanFactory,
    RevisionFactory,
)
from proxyconfig.tests.holding import settle
from ragapp.tests.factories import CorpusFactory, RunFactory, SourceFactory, indexed
from tenants.tests.factories import (
    ApiTokenFactory,
    AuditEntryFactory,
    ClusterFactory,
    OperationFactory,
)

NAMESPACES = ("portal", "tenants", "proxyconfig", "ragapp")
# What a page must never have: each would need a hole in the content security policy.
INLINE = re.compile(
    r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=|javascript:", re.IGNORECASE
)

Arguments = Callable[[Furnished], list[object]]
Statuses = dict[str, int]


def none(furnished: Furnished) -> list[object]:
    return []


# Each page of a tenant that GET shows, with what its address names.
PAGES: dict[str, Arguments] = {
    "portal:tenant-overview": none,
    "tenants:operation-list": none,
    "tenants:operation-detail": lambda rows: [rows.operation.pk],
    "tenants:token-list": none,
    "tenants:audit-list": none,
    "tenants:member-list": none,
    "tenants:pause-edit": none,
    "proxyconfig:guardrails-edit": none,
    "proxyconfig:network-list": none,
    "proxyconfig:network-create": lambda rows: ["segments"],
    "proxyconfig:network-object": lambda rows: ["segments", "front"],
    "proxyconfig:network-delete": lambda rows: ["segments", "front"],
    "proxyconfig:policy-list": none,
    "proxyconfig:policy-create": lambda rows: ["address-lists"],
    "proxyconfig:policy-object": lambda rows: ["address-lists", "offices"],
    "proxyconfig:policy-delete": lambda rows: ["address-lists", "offices"],
    "proxyconfig:ingress-create": none,
    "proxyconfig:ingress-edit": lambda rows: ["web"],
    "proxyconfig:ingress-delete": lambda rows: ["web"],
    "proxyconfig:egress-create": none,
    "proxyconfig:egress-edit": lambda rows: ["docs"],
    "proxyconfig:egress-delete": lambda rows: ["docs"],
    "proxyconfig:plan-list": none,
    "proxyconfig:plan-detail": lambda rows: [rows.plan.pk],
    "proxyconfig:sync-detail": none,
    "proxyconfig:connection-list": none,
    "ragapp:corpus-list": none,
    "ragapp:corpus-create": none,
    "ragapp:corpus-detail": lambda rows: ["product"],
    "ragapp:corpus-edit": lambda rows: ["product"],
    "ragapp:document-detail": lambda rows: [rows.document.pk],
    "ragapp:document-edit": lambda rows: [rows.document.pk],
    "ragapp:search": none,
    "ragapp:web-search-edit": none,
    "ragapp:ask": none,
    "ragapp:ask-run": lambda rows: [rows.run.trace_id],
    "ragapp:run-list": none,
    "ragapp:run-detail": lambda rows: [rows.run.trace_id],
    "ragapp:evaluation-list": none,
    "ragapp:evaluation-create": none,
    "ragapp:evaluation-detail": lambda rows: [rows.measured.evaluation_id],
    "ragapp:evaluation-answer": lambda rows: [rows.measured.evaluation_id, 1],
    "ragapp:question-set-list": none,
    "ragapp:question-set-create": none,
    "ragapp:question-set-detail": lambda rows: ["people"],
    "ragapp:question-set-edit": lambda rows: ["people"],
    "ragapp:question-create": lambda rows: ["people"],
    "ragapp:question-edit": lambda rows: ["people", rows.question.pk],
    "ragapp:feedback-list": none,
    "ragapp:feedback-review": lambda rows: [rows.feedback.pk],
    "ragapp:usage-detail": none,
}
# What only POST reaches, and who may not: a reader.
ACTIONS: dict[str, Arguments] = {
    "tenants:operation-cancel": lambda rows: [rows.operation.pk],
    "tenants:token-revoke": lambda rows: [rows.token.pk],
    "tenants:member-edit": lambda rows: [1],
    "tenants:member-remove": lambda rows: [1],
    "proxyconfig:plan-decide": lambda rows: [rows.plan.pk],
    "proxyconfig:plan-cancel": lambda rows: [rows.plan.pk],
    "proxyconfig:plan-again": lambda rows: [rows.plan.pk],
    "ragapp:corpus-train": lambda rows: ["product"],
    "ragapp:corpus-upload": lambda rows: ["product"],
    "ragapp:corpus-documents-delete": lambda rows: ["product"],
    "ragapp:document-retry": lambda rows: [rows.document.pk],
    "ragapp:document-delete": lambda rows: [rows.document.pk],
    "ragapp:run-cancel": lambda rows: [rows.run.trace_id],
    "ragapp:evaluation-promote": lambda rows: [rows.measured.evaluation_id],
    "ragapp:evaluation-restore": lambda rows: [rows.measured.evaluation_id],
    "ragapp:evaluation-continue": lambda rows: [rows.measured.evaluation_id],
    "ragapp:evaluation-delete": lambda rows: [rows.measured.evaluation_id],
    "ragapp:question-set-freeze": lambda rows: ["people"],
    "ragapp:question-set-delete": lambda rows: ["people"],
    "ragapp:question-delete": lambda rows: ["people", rows.question.pk],
    "ragapp:feedback-give": lambda rows: [rows.run.trace_id],
    "ragapp:usage-limit": none,
}
# A rollback needs an older revision, a comparison two evaluations, and the stream is no page: they
# have tests of their own.
ELSEWHERE = {
    # The platform's: test_platform_pages.py.
    "portal:tenant-list",
    "proxyconfig:cluster-check",
    "proxyconfig:cluster-detail",
    "proxyconfig:template-create",
    "proxyconfig:template-delete",
    "proxyconfig:template-edit",
    "proxyconfig:template-list",
    "proxyconfig:tenant-create",
    "tenants:person-create",
    "tenants:person-edit",
    "tenants:person-list",
    "tenants:space-clusters",
    "tenants:space-create",
    "tenants:space-delete",
    "tenants:space-detail",
    "tenants:space-edit",
    "tenants:space-grants",
    "tenants:space-list",
    "tenants:space-reserved",
    "tenants:space-vrfs",
    # Of a tenant.
    "proxyconfig:plan-rollback",
    "ragapp:evaluation-compare",
    "ragapp:run-events",
    "ragapp:document-original",
    "ragapp:usage-export",
    "ragapp:usage-overview",
    "portal:overview",
    "portal:theme",
}
# Lists, with how many queries each costs, whatever the number of its rows.
LISTS = {
    "portal:tenant-overview": 28,
    "proxyconfig:network-list": 23,
    "tenants:operation-list": 18,
    "tenants:token-list": 19,
    "tenants:audit-list": 18,
    "proxyconfig:policy-list": 20,
    "proxyconfig:plan-list": 18,
    "proxyconfig:sync-detail": 18,
    "proxyconfig:connection-list": 18,
    "ragapp:corpus-list": 19,
    "ragapp:run-list": 18,
    "ragapp:ask": 20,
}
# Pages that a reader may not open, since they exist to change something.
WRITERS_ONLY = {
    name
    for name in PAGES
    if name.endswith(("-create", "-delete"))
    or name in {"ragapp:corpus-edit", "ragapp:document-edit", "ragapp:web-search-edit"}
} | {
    name
    for name in PAGES
    if name.startswith(("ragapp:evaluation", "ragapp:question", "ragapp:feedback"))
}


def address(name: str, furnished: Furnished) -> str:
    return reverse(name, args=["acme", *({**PAGES, **ACTIONS}[name](furnished))])


def names_of(patterns: list[URLPattern | URLResolver], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found |= names_of(pattern.url_patterns, f"{pattern.namespace}:")
        elif pattern.name:
            found.add(f"{prefix}{pattern.name}")
    return found


def test_no_page_is_left_out_of_the_matrix():
    names = names_of(get_resolver().url_patterns)

    ours = {name for name in names if name.partition(":")[0] in NAMESPACES and ":" in name}

    assert ours == {*PAGES, *ACTIONS, *ELSEWHERE}


def statuses(client: Client, method: str, names: Iterable[str], furnished: Furnished) -> Statuses:
    return {name: getattr(client, method)(address(name, furnished)).status_code for name in names}


def test_pages_are_shown_to_netops(furnished, alice):
    assert statuses(alice.client, "get", PAGES, furnished) == dict.fromkeys(PAGES, 200)


def test_pages_are_shown_to_a_platform_administrator(furnished, ada):
    assert statuses(ada.client, "get", PAGES, furnished) == dict.fromkeys(PAGES, 200)


def test_reader_reads_and_may_not_open_what_changes(furnished, bob):
    expected = {name: 403 if name in WRITERS_ONLY else 200 for name in PAGES}

    assert statuses(bob.client, "get", PAGES, furnished) == expected


def test_pages_of_another_tenant_are_not_found(furnished, charlie):
    assert statuses(charlie.client, "get", PAGES, furnished) == dict.fromkeys(PAGES, 404)


def test_pages_ask_for_sign_in(furnished, client):
    login = reverse("login")
    for name in PAGES:
        url = address(name, furnished)

        assert client.get(url).headers["Location"] == f"{login}?next={url}"


def test_actions_on_another_tenant_are_not_found(furnished, charlie):
    assert statuses(charlie.client, "post", ACTIONS, furnished) == dict.fromkeys(ACTIONS, 404)


def test_actions_are_refused_to_a_reader(furnished, bob):
    # Whoever may ask may stop, and say what they think of the answer. A limit's form answers with
    # what is wrong; the tests of its page hold who may set one.
    names = set(ACTIONS) - {"ragapp:run-cancel", "ragapp:feedback-give", "ragapp:usage-limit"}

    assert statuses(bob.client, "post", names, furnished) == dict.fromkeys(names, 403)


def test_actions_need_post(furnished, alice):
    assert statuses(alice.client, "get", ACTIONS, furnished) == dict.fromkeys(ACTIONS, 405)


def test_missing_things_are_not_found_in_words(furnished, alice):
    for name, arguments in PAGES.items():
        missing = [0 if isinstance(given, int) else "0" * 32 for given in arguments(furnished)]
        if not missing:
            continue

        response = alice.client.get(reverse(name, args=["acme", *missing]))

        assert response.status_code == 404
        assert response.headers["X-Trace-Id"] in response.text


def test_nothing_is_inline_so_the_content_security_policy_stays_strict(furnished, alice):
    for name in PAGES:
        response = alice.client.get(address(name, furnished))

        assert INLINE.findall(response.text) == []
        assert "unsafe" not in response.headers["Content-Security-Policy"]


def objects_of(number: int) -> tuple[object, ...]:
    """One of most kinds, each with references to the others."""
    where, address = "local", f"127.60.0.{number + 1}"
    return (
        Namespace(name=f"acme-{number}", cluster=where),
        Segment(
            name=f"segment-{number}",
            cluster=where,
            vlan=VlanLink(interface="1.1", tag=100 + number),
            subnets=(Subnet(cidr=f"10.{number}.0.0/24", gateway=f"10.{number}.0.1"),),
        ),
        SelfIp(segment=f"segment-{number}", number=1, address=f"10.{number}.0.2"),
        VirtualAddress(address=address, cluster=where),
        SnatPool(name=f"pool-{number}", cluster=where, addresses=(f"127.61.0.{number + 1}",)),
        Listener(name=f"web-{number}", cluster=where, virtual_address=address, port=8080),
        IngressPolicy(
            name=f"web-{number}",
            listener=f"web-{number}",
            backend=Backend(namespace=f"acme-{number}", service="rag", port=80),
        ),
        EgressPolicy(
            name=f"docs-{number}",
            snat_pool=f"pool-{number}",
            rules=(EgressRule(order=10, host="a.example.org", ports=(PortRange.single(443),)),),
        ),
    )


@pytest.mark.parametrize("rows", [1, 3])
def test_lists_cost_the_same_however_many_rows(rows, alice, cluster):
    acme = alice.tenant
    for number in range(rows):
        settle(acme, *objects_of(number))
        OperationFactory(tenant=acme)
        ApiTokenFactory(tenant=acme, user=alice.user, key=f"slc_{number}")
        AuditEntryFactory(tenant=acme)
        corpus = CorpusFactory(tenant=acme)
        RunFactory(tenant=acme, corpus=corpus)
        indexed(corpus, ["A SNAT pool is a set of addresses."])
        ConnectionFactory(tenant=acme)
        RevisionFactory(plan=PlanFactory(tenant=acme))
        PlacementFactory(tenant=acme, cluster=ClusterFactory(name=f"cluster-{number}"))
    counts = {}
    for name in LISTS:
        with CaptureQueriesContext(connection) as queries:
            alice.client.get(reverse(name, args=["acme"]))
        counts[name] = len(queries)

    assert counts == LISTS


@pytest.mark.parametrize("rows", [1, 3])
def test_pages_of_a_corpus_cost_the_same_however_much_it_has(
    rows, alice, django_assert_num_queries
):
    corpus = CorpusFactory(tenant=alice.tenant, name="product")
    for _ in range(rows):
        SourceFactory(corpus=corpus)
        document = indexed(corpus, ["A SNAT pool is a set of addresses."] * rows)

    for name, named in {"corpus-detail": "product", "document-detail": document.pk}.items():
        with django_assert_num_queries(28 if name == "corpus-detail" else 20):
            page = alice.client.get(reverse(f"ragapp:{name}", args=["acme", named])).context["page"]

        assert len(page) == rows
