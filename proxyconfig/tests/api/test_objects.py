from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from proxyconfig.domain.intent import (
    Intent,
    Namespace,
    Segment,
    SelfIp,
    SnatPool,
    Subnet,
    VirtualAddress,
    VlanLink,
)
from proxyconfig.domain.objects import COLLECTIONS
from proxyconfig.models import IntentObject, Plan, Revision
from proxyconfig.tests.conftest import ADDRESS
from proxyconfig.tests.holding import grant, publish
from tenants.domain.roles import Role
from tenants.models import AuditEntry, VlanClaim, platform_scope, tenant_scope
from tenants.tests.factories import (
    AddressPoolFactory,
    ApiTokenFactory,
    ClusterFactory,
    PrefixGrantFactory,
    TenantFactory,
    VlanGrantFactory,
    VlanRangeFactory,
)
from tenants.tests.people import person

TENANT = "/api/v1/tenants/acme"
INGRESS = f"{TENANT}/ingress-policies"
EGRESS = f"{TENANT}/egress-policies"
SEGMENTS = f"{TENANT}/segments"
WEB = {
    "name": "web",
    "virtual_address": ADDRESS,
    "port": 8080,
    "namespace": "acme-rag",
    "allowed_sources": ["127.0.0.0/8"],
}
# Beyond the guardrails: it waits for approval.
DOCS = {"name": "docs", "rules": [{"host": "docs.example.org", "ports": [443]}]}


def send(person, method: str, path: str, body: dict | None = None, **headers: str):
    return getattr(person.client, method)(
        path, body, content_type="application/json", headers=headers
    )


def test_ingress_policy_lives_from_post_to_delete(alice, network):
    made = send(alice, "post", INGRESS, {**WEB, "reason": "Open the door"})
    read = alice.client.get(f"{INGRESS}/web").json()
    changed = send(alice, "put", f"{INGRESS}/web", {**WEB, "port": 8081, "reason": "Move"})
    gone = alice.client.delete(f"{INGRESS}/web?reason=Close")

    assert [response.status_code for response in (made, changed, gone)] == [201, 200, 204]
    assert {name: read[name] for name in WEB} == WEB
    assert (read["protocol"], read["service"], read["is_enabled"]) == ("http", "ragapp", True)
    assert (read["cluster"], read["listener"]) == ("local", "http-127-110-1-1-8080")
    assert alice.client.get(f"{INGRESS}/web").status_code == 404
    with tenant_scope(alice.tenant.pk):
        reasons = Revision.objects.order_by("generation").values_list("reason", flat=True)
        assert list(reasons) == ["test", "Open the door", "Move", "Close"]


def test_write_in_force_answers_with_the_object_and_names_its_plan(alice, network):
    made = send(alice, "post", INGRESS, {**WEB, "reason": "Open the door"})

    assert made["Location"] == f"{INGRESS}/web"
    assert made["ETag"] == f'"{made.json()["version"]}"'
    link = made["Link"].partition(">")[0].strip("<")
    plan = alice.client.get(link).json()
    assert (plan["state"], plan["reason"], plan["author_name"]) == (
        "Approved",
        "Open the door",
        "alice",
    )
    assert plan["entries"] != []
    assert [change["action"] for change in plan["changes"]] == ["add", "add"]


def test_write_that_waits_answers_with_its_plan_and_leaves_the_object(alice, network):
    send(alice, "post", INGRESS, {**WEB, "reason": "Open the door"})

    waits = send(
        alice,
        "put",
        f"{INGRESS}/web",
        {**WEB, "port": 80, "allowed_sources": [], "reason": "To everybody"},
    )

    plan = waits.json()
    assert (waits.status_code, plan["state"]) == (202, "AwaitingApproval")
    assert waits["Location"] == f"{TENANT}/plans/{plan['id']}"
    read = alice.client.get(f"{INGRESS}/web").json()
    assert (read["port"], read["is_enabled"]) == (8080, True)
    assert read["pending"] == [{"plan": plan["id"], "action": "change", "author_name": "alice"}]
    pending = alice.client.get(f"{TENANT}/pending").json()
    assert ("ingress-policies", "web", "change") in {
        (line["collection"], line["name"], line["action"]) for line in pending
    }


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", INGRESS, {**WEB, "name": "other", "port": 9090}),
        ("put", f"{INGRESS}/web", {**WEB, "port": 9090}),
        ("delete", f"{INGRESS}/web", None),
        ("post", EGRESS, {**DOCS, "name": "other"}),
        ("put", f"{EGRESS}/docs", {**DOCS, "is_enabled": False}),
        ("delete", f"{EGRESS}/docs", None),
    ],
)
def test_dry_run_answers_with_the_plan_and_stores_nothing(alice, network, method, path, body):
    send(alice, "post", INGRESS, {**WEB, "reason": "x"})
    send(alice, "post", EGRESS, {**DOCS, "reason": "x"})
    before = stored(alice)

    response = send(alice, method, f"{path}?dry_run=All", body)

    assert response.status_code == 200
    assert response.json()["id"] is None
    assert response.json()["entries"] != []
    assert stored(alice) == before


def stored(person) -> list[object]:
    with tenant_scope(person.tenant.pk):
        person.tenant.refresh_from_db()
        return [
            person.tenant.generation,
            *(model.objects.count() for model in (Plan, Revision, AuditEntry)),
            *IntentObject.objects.values_list("collection", "name", "version"),
        ]


def test_dry_run_of_what_cannot_be_taken_says_so(alice, network):
    response = send(alice, "post", f"{INGRESS}?dry_run=All", {**WEB, "namespace": "theirs"})

    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/namespace"]


def test_dry_run_is_all_or_left_out(alice, network):
    response = send(alice, "post", f"{INGRESS}?dry_run=yes", WEB)

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/dry_run"


def test_write_without_a_reason_is_refused(alice, network):
    response = send(alice, "post", INGRESS, WEB)

    assert (response.status_code, response.json()["title"]) == (400, "reason-missing")
    assert response.json()["errors"][0]["pointer"] == "/reason"


def test_misspelt_allow_list_is_refused_and_not_dropped(alice, network):
    body = {**WEB, "reason": "x", "allowed_source": ["127.0.0.0/8"]}
    del body["allowed_sources"]

    response = send(alice, "post", INGRESS, body)

    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "pointer": "/allowed_source",
            "code": "unknown-name",
            "message": "There is no field allowed_source. Did you mean allowed_sources?",
        }
    ]


def test_protocol_that_the_proxy_cannot_serve_is_refused_by_name(alice, network):
    response = send(alice, "post", INGRESS, {**WEB, "protocol": "udp", "reason": "x"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/protocol"


def test_taken_name_is_a_conflict(alice, network):
    send(alice, "post", INGRESS, {**WEB, "reason": "x"})

    response = send(alice, "post", INGRESS, {**WEB, "port": 9090, "reason": "x"})

    assert (response.status_code, response.json()["title"]) == (409, "taken")


def test_egress_policy_shows_its_rules_in_order(alice, network):
    rules = [
        {"host": "docs.example.org", "ports": [443]},
        {"host": "*.example.net", "ports": [80, 443]},
    ]
    send(alice, "post", EGRESS, {"name": "docs", "rules": rules, "reason": "Read"})

    read = alice.client.get(f"{EGRESS}/docs").json()

    assert [(rule["order"], rule["host"], rule["ports"]) for rule in read["rules"]] == [
        (1, "docs.example.org", [443]),
        (2, "*.example.net", [80, 443]),
    ]


def test_private_network_waits_for_an_explicit_grant(alice, ada, network):
    body = {"name": "lab", "rules": [{"network": "10.9.0.0/24", "ports": [443]}], "reason": "Lab"}
    plan = send(alice, "post", EGRESS, body).json()
    path = f"{TENANT}/plans/{plan['id']}/approve"

    own = send(alice, "post", path, {"comment": "I"})
    silent = send(ada, "post", path, {"comment": "Fine"})
    granted = send(ada, "post", path, {"comment": "Fine", "grant": True})

    assert plan["state"] == "AwaitingApproval"
    assert own.status_code == 403
    assert (silent.status_code, silent.json()["title"]) == (400, "grant-missing")
    assert (granted.status_code, granted.json()["state"]) == (202, "Approved")
    (rule,) = alice.client.get(f"{EGRESS}/lab").json()["rules"]
    assert (rule["is_granted"], rule["granted_by"]) == (True, "ada")


def test_platform_administrators_own_write_grants_nothing_silently(ada, network):
    body = {"name": "lab", "rules": [{"network": "10.9.0.0/24", "ports": [443]}], "reason": "Lab"}

    assert send(ada, "post", EGRESS, body).status_code == 202
    assert send(ada, "post", EGRESS, {**body, "name": "lab2", "grant": True}).status_code == 201


def test_grant_is_the_platforms_right(alice, network):
    body = {"name": "lab", "rules": [{"network": "10.9.0.0/24", "ports": [443]}], "reason": "Lab"}

    assert send(alice, "post", EGRESS, {**body, "grant": True}).status_code == 403


def test_etag_guards_against_a_lost_update(alice, network):
    send(alice, "post", INGRESS, {**WEB, "reason": "x"})
    tag = alice.client.get(f"{INGRESS}/web")["ETag"]
    send(alice, "patch", f"{INGRESS}/web", {"description": "theirs", "reason": "first"})

    late = send(
        alice,
        "put",
        f"{INGRESS}/web",
        {**WEB, "description": "mine", "reason": "second"},
        **{"If-Match": tag},
    )

    assert (late.status_code, late.json()["title"]) == (412, "precondition-failed")
    fresh = alice.client.get(f"{INGRESS}/web")
    assert fresh.json()["description"] == "theirs"
    again = send(
        alice,
        "put",
        f"{INGRESS}/web",
        {**WEB, "description": "mine", "reason": "second"},
        **{"If-Match": fresh["ETag"]},
    )
    assert again.status_code == 200


def test_weak_tag_matches_nothing(alice, network):
    send(alice, "post", INGRESS, {**WEB, "reason": "x"})
    tag = alice.client.get(f"{INGRESS}/web")["ETag"]

    def change(**headers: str) -> int:
        path, body = f"{INGRESS}/web", {"order": 7, "reason": "x"}
        return send(alice, "patch", path, body, **headers).status_code

    assert change(**{"If-Match": f"W/{tag}"}) == 412
    assert change(**{"If-Match": f'W/{tag}, "other"'}) == 412
    assert change(**{"If-Match": f'W/"other", {tag}'}) == 200
    assert change(**{"If-Match": "*"}) == 200


def test_etag_of_a_policy_covers_the_listener_that_it_shows(alice, network):
    listener = send(alice, "post", INGRESS, {**WEB, "reason": "x"}).json()["listener"]
    tag = alice.client.get(f"{INGRESS}/web")["ETag"]
    send(alice, "patch", f"{TENANT}/listeners/{listener}", {"port": 9001, "reason": "x"})

    late = send(alice, "put", f"{INGRESS}/web", {**WEB, "reason": "x"}, **{"If-Match": tag})
    read = alice.client.get(f"{INGRESS}/web")
    tag = read["ETag"]
    put = send(alice, "put", f"{INGRESS}/web", {**WEB, "reason": "x"}, **{"If-Match": tag})

    assert (late.status_code, read.json()["port"], put.status_code) == (412, 9001, 200)
    assert put["ETag"] == alice.client.get(f"{INGRESS}/web")["ETag"]
    left = alice.client.get(f"{TENANT}/listeners").json()["results"]
    assert [(entry["name"], entry["port"]) for entry in left] == [(listener, 8080)]


def test_patch_changes_what_it_names(alice, network):
    send(alice, "post", INGRESS, {**WEB, "order": 7, "hostnames": ["a.example"], "reason": "x"})

    changed = send(alice, "patch", f"{INGRESS}/web", {"port": 8081, "reason": "Move"})

    assert changed.status_code == 200
    read = changed.json()
    assert (read["port"], read["order"], read["hostnames"]) == (8081, 7, ["a.example"])
    assert read["allowed_sources"] == ["127.0.0.0/8"]
    staged = send(alice, "patch", f"{INGRESS}/web", {"is_enabled": False, "reason": "Later"})
    assert (staged.json()["mode"], staged.json()["is_enabled"]) == ("staged", False)


EVERYTHING = {
    "namespaces": {"name": "acme-two", "cluster": "local"},
    "segments": {
        "name": "back",
        "cluster": "local",
        "kind": "vlan",
        "vlan_tag": 150,
        "internal": True,
        "mtu": 9000,
        "subnets": [{"prefix": "10.150.0.0/24", "gateway": "10.150.0.1"}],
        "description": "storage",
    },
    "self-ips": {"segment": "front", "number": 1, "address": "10.101.0.5"},
    "virtual-addresses": {"address": "127.110.5.5", "cluster": "local", "description": "spare"},
    "snat-pools": {
        "name": "second",
        "cluster": "local",
        "addresses": ["127.120.5.2", "127.120.5.1"],
        "shared": True,
    },
    "static-routes": {
        "name": "beyond",
        "cluster": "local",
        "destination": "10.200.0.0/16",
        "next_hop": "10.101.0.1",
    },
    "bgp-peers": {
        "name": "tor",
        "cluster": "local",
        "address": "10.101.0.1",
        "asn": 64513,
        "local_asn": 64512,
        "bfd": True,
        "advertise": ["virtualAddresses", "subnets"],
    },
    "listeners": {"name": "spare", "cluster": "local", "virtual_address": ADDRESS, "port": 9999},
    "ingress-policies": {**WEB, "order": 3, "mode": "staged", "description": "later"},
    "egress-policies": {
        "name": "docs",
        "order": 5,
        "owner": "data team",
        "snat_pool": "default",
        "expires_at": "2030-01-01T00:00:00Z",
        "rules": [
            {"order": 10, "host": "bad.example.org", "ports": ["1-65535"], "action": "deny"},
            {"order": 20, "host": "*.example.org", "ports": [443, "8000-8099"]},
        ],
    },
    "address-lists": {"name": "office", "addresses": ["10.0.0.0/8", "192.0.2.7"]},
    "port-lists": {"name": "web-ports", "ports": [80, "8000-8099"]},
    "tls-references": {"name": "cert", "namespace": "acme-rag", "secret": "tls"},
}


@pytest.mark.parametrize("entry", COLLECTIONS, ids=lambda entry: entry.name)
def test_every_kind_of_object_is_entered_read_changed_and_deleted(alice, network, entry):
    body = EVERYTHING[entry.name]
    _grant_everything(alice.tenant)
    place = f"{TENANT}/{entry.name}"

    made = send(alice, "post", place, {**body, "reason": "x"})

    assert made.status_code == 201, made.json()
    read = alice.client.get(made["Location"]).json()
    assert {name: read[name] for name in body if name != "rules"} == {
        name: content for name, content in body.items() if name != "rules"
    }
    for sent, shown in zip(body.get("rules", ()), read.get("rules", ()), strict=True):
        assert {name: shown[name] for name in sent} == sent
    same = send(alice, "put", made["Location"], {**body, "reason": "again"})
    assert (same.status_code, same["ETag"]) == (200, made["ETag"])
    assert alice.client.get(place).json()["results"][0]["version"]
    assert alice.client.delete(f"{made['Location']}?reason=x").status_code == 204
    assert alice.client.get(made["Location"]).status_code == 404


def _grant_everything(tenant) -> None:
    grant(
        tenant,
        Intent(
            tenant=tenant.slug,
            namespaces=(Namespace(name="acme-two", cluster="local"),),
            segments=(
                Segment(
                    name="back",
                    cluster="local",
                    vlan=VlanLink(interface="1.1", tag=150),
                    subnets=(Subnet(cidr="10.150.0.0/24", gateway="10.150.0.1"),),
                ),
            ),
            virtual_addresses=(VirtualAddress(address="127.110.5.5", cluster="local"),),
            snat_pools=(
                SnatPool(name="x", cluster="local", addresses=("127.120.5.2", "127.120.5.1")),
            ),
        ),
    )


def test_objects_are_addressed_by_name_without_the_cluster_too(alice, network):
    assert alice.client.get(f"{TENANT}/virtual-addresses/{ADDRESS}").json()["cluster"] == "local"
    assert alice.client.get(f"{TENANT}/namespaces/acme-rag").json()["cluster"] == "local"
    assert alice.client.get(f"{TENANT}/namespaces/local:acme-rag").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["virtual-addresses/7", "virtual-addresses/:7", "self-ips/v4", "self-ips/1:v4"],
)
@pytest.mark.parametrize("method", ["get", "delete"])
def test_only_the_cluster_in_front_of_a_name_can_be_left_out(alice, network, method, path):
    publish(
        alice.tenant,
        VirtualAddress(address="fd50::7", cluster="local"),
        SelfIp(segment="front", number=1, address="10.101.0.5"),
    )

    query = "?reason=x" if method == "delete" else ""
    answer = getattr(alice.client, method)(f"{TENANT}/{path}{query}")

    assert answer.status_code == 404
    assert alice.client.get(f"{TENANT}/virtual-addresses/fd50::7").status_code == 200
    assert alice.client.get(f"{TENANT}/self-ips/front:1:v4").status_code == 200


@pytest.mark.parametrize(
    ("collection", "body", "shows"),
    [
        ("virtual-addresses", {"address": "::ffff:1.2.3.4"}, "1.2.3.4"),
        ("virtual-addresses", {"address": "fe80::1%eth0"}, "leave out %eth0"),
        ("virtual-addresses", {"address": "127.0.0.5"}, "portal itself"),
        ("virtual-addresses", {"address": "fe80::1"}, "link-local"),
        ("address-lists", {"name": "x", "addresses": ["0/0"]}, "0.0.0.0/0"),
        ("address-lists", {"name": "x", "addresses": [" 10.9.0.0/16 "]}, "as 10.9.0.0/16"),
        ("address-lists", {"name": "x", "addresses": ["2001:DB8::/32"]}, "as 2001:db8::/32"),
        (
            "segments",
            {"name": "x", "kind": "subnet", "subnets": [{"prefix": " 10.9.0.0/24"}]},
            "as 10.9.0.0/24",
        ),
        (
            "segments",
            {
                "name": "x",
                "kind": "subnet",
                "subnets": [{"prefix": "fe80::%eth0/64", "gateway": "next"}],
            },
            "leave out %eth0",
        ),
        ("address-lists", {"name": "x", "addresses": ["10.1.2.3/8"]}, "10.0.0.0/8"),
        ("address-lists", {"name": "x", "addresses": ["::FFFF:10.0.0.0/104"]}, "10.0.0.0/8"),
        (
            "segments",
            {"name": "x", "kind": "subnet", "subnets": [{"prefix": "10.9.0.5/24"}]},
            "10.9.0.0/24",
        ),
        (
            "segments",
            {
                "name": "x",
                "kind": "subnet",
                "subnets": [{"prefix": "10.9.0.0/24", "gateway": "fe80::1"}],
            },
            "10.9.0.0/24",
        ),
    ],
)
def test_odd_spellings_are_refused_with_the_right_one(alice, network, collection, body, shows):
    where = {} if collection == "address-lists" else {"cluster": "local"}

    refused = send(alice, "post", f"{TENANT}/{collection}", {**where, **body, "reason": "x"})

    assert refused.status_code == 400
    assert shows in refused.json()["detail"] + str(refused.json()["errors"])


SEGMENT = {"name": "x", "cluster": "local", "kind": "subnet"}


def test_next_free_of_everything_in_one_call(alice, network):
    vlans = VlanRangeFactory(cluster=ClusterFactory(), first=300, last=309)
    VlanGrantFactory(tenant=alice.tenant, vlan_range=vlans)
    pool = AddressPoolFactory(prefix="10.240.0.0/16", purpose="subnets")
    PrefixGrantFactory(tenant=alice.tenant, pool=pool)
    body = {
        "name": "auto",
        "cluster": "local",
        "vlan_tag": "next",
        "subnets": [{"prefix": "next/24", "gateway": "next"}, {"prefix": "next/26"}],
        "reason": "x",
    }

    made = send(alice, "post", SEGMENTS, body)

    assert made.status_code == 201, made.json()
    read = made.json()
    assert read["vlan_tag"] in range(101, 310)
    first, second = read["subnets"]
    assert first == {"prefix": "10.240.0.0/24", "gateway": "10.240.0.1"}
    assert second["prefix"] == "10.240.1.0/26"


@pytest.mark.django_db(transaction=True)
def test_sixteen_parallel_callers_get_sixteen_tags(cluster):
    """Over REST, of four tenants that share a range: distinct tags, no 5xx, no deadlock."""
    vlans = VlanRangeFactory(cluster=cluster, first=100, last=199)
    keys = {}
    for number in range(4):
        tenant = TenantFactory(slug=f"t{number}")
        VlanGrantFactory(tenant=tenant, vlan_range=vlans)
        ApiTokenFactory(tenant=tenant, key=f"slc_{tenant.slug}")
        keys[tenant.slug] = f"slc_{tenant.slug}"

    def take(number: int) -> tuple[int, int]:
        slug = f"t{number % 4}"
        body = {"name": f"s{number}", "cluster": "local", "vlan_tag": "next", "reason": "x"}
        answer = Client().post(
            f"/api/v1/tenants/{slug}/segments",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {keys[slug]}"},
        )
        connection.close()
        return answer.status_code, answer.json().get("vlan_tag", answer.json())

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(take, range(16)))

    assert {status for status, _ in answers} == {201}, answers
    assert len({tag for _, tag in answers}) == 16
    with platform_scope("test"):
        assert VlanClaim.objects.count() == 16


@pytest.mark.parametrize("rows", [1, 3])
def test_ingress_list_query_count_does_not_grow(alice, network, django_assert_num_queries, rows):
    for number in range(rows):
        send(
            alice,
            "post",
            INGRESS,
            {**WEB, "name": f"w{number}", "port": 9000 + number, "reason": "x"},
        )

    with django_assert_num_queries(15):
        response = alice.client.get(INGRESS)

    assert len(response.json()["results"]) == rows


def test_devops_cannot_touch_the_network_by_rest(acme, network):
    dora = person("dora", acme, Role.DEVOPS)

    refused = send(
        dora, "post", SEGMENTS, {"name": "x", "cluster": "local", "kind": "subnet", "reason": "x"}
    )

    assert refused.status_code == 403


def test_new_change_set_waits_though_the_guardrails_are_silent(alice, network):
    path = f"{EGRESS}?change_set=new"

    looked = send(alice, "post", f"{path}&dry_run=All", {**DOCS, "reason": "look"}).json()
    asked = send(alice, "post", path, {**DOCS, "reason": "look"})

    assert [found["code"] for found in looked["findings"]] == ["approval-requested"]
    assert (asked.status_code, asked.json()["state"]) == (202, "AwaitingApproval")
    assert asked.headers["Location"].endswith(f"/plans/{asked.json()['id']}")
    assert alice.client.get(f"{EGRESS}/docs").status_code == 404


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_every_write_can_ask_for_approval(alice, network, method):
    send(alice, "post", EGRESS, {**DOCS, "reason": "open"})
    body = None if method == "delete" else {**DOCS, "description": "x", "reason": "why"}

    query = "change_set=new&reason=why" if method == "delete" else "change_set=new"
    asked = send(alice, method, f"{EGRESS}/docs?{query}", body)

    assert (asked.status_code, asked.json()["state"]) == (202, "AwaitingApproval")
    assert alice.client.get(f"{EGRESS}/docs").json()["description"] == ""
