"""What cannot be taken by REST: each refusal points at the field that has to change."""

import pytest

from proxyconfig.api.bodies import shape_of
from proxyconfig.domain.codec import fields_of, is_record
from proxyconfig.domain.intent import Segment, SelfIp, VlanLink
from proxyconfig.domain.objects import COLLECTIONS
from proxyconfig.services.complaints import field_at
from proxyconfig.tests.api.test_objects import EGRESS, INGRESS, SEGMENTS, TENANT, WEB, send
from proxyconfig.tests.conftest import SNAT_ADDRESS
from proxyconfig.tests.holding import settle
from tenants.models import Cluster, VlanGrant, platform_scope

SEGMENT = {"name": "x", "cluster": "local", "kind": "subnet"}


@pytest.mark.parametrize("query", ["", "?dry_run=All"])
@pytest.mark.parametrize(
    ("collection", "body", "pointer"),
    [
        ("virtual-addresses", {"address": "8.8.8.8", "cluster": "local"}, "/address"),
        (
            "snat-pools",
            {"name": "x", "cluster": "local", "addresses": [SNAT_ADDRESS, "8.8.8.8"]},
            "/addresses/1",
        ),
        ("segments", {**SEGMENT, "subnets": [{"prefix": "10.9.0.0/24"}]}, "/subnets/0/prefix"),
        ("segments", {**SEGMENT, "kind": "vlan", "vlan_tag": 7}, "/vlan_tag"),
        ("segments", {**SEGMENT, "kind": "vxlan", "vni": 7}, "/vni"),
        ("namespaces", {"name": "x", "cluster": "local"}, "/name"),
    ],
)
def test_what_was_not_granted_is_said_at_the_field_that_asks_for_it(
    alice, network, collection, body, pointer, query
):
    if collection == "snat-pools":
        collection, body = "snat-pools/default", {**body, "name": "default"}
        refused = send(alice, "put", f"{TENANT}/{collection}{query}", {**body, "reason": "mine"})
    else:
        refused = send(alice, "post", f"{TENANT}/{collection}{query}", {**body, "reason": "mine"})

    assert (refused.status_code, refused.json()["title"]) == (400, "not-granted")
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


def test_tag_of_another_tenant_is_taken_at_the_tag(alice, network, globex):
    mine = Segment(name="x", cluster="local", vlan=VlanLink(interface="1.1", tag=7))
    settle(globex, mine)
    with platform_scope("test"):
        VlanGrant.objects.create(
            tenant=alice.tenant, cluster=Cluster.objects.get(), trunk="1.1", first=7, last=7
        )

    refused = send(
        alice,
        "post",
        SEGMENTS,
        {**SEGMENT, "kind": "vlan", "vlan_tag": 7, "reason": "mine"},
    ).json()

    assert (refused["status"], refused["title"]) == (409, "taken")
    assert [error["pointer"] for error in refused["errors"]] == ["/vlan_tag"]
    assert refused["errors"][0]["message"].startswith("VLAN 7 on trunk 1.1 of cluster local is")


def test_what_another_object_needs_is_said_at_the_edited_ones_field(alice, network):
    settle(alice.tenant, SelfIp(segment="front", number=1, address="10.101.0.5"))
    front = {"name": "front", "cluster": "local", "kind": "vlan", "vlan_tag": 101}

    refused = send(alice, "put", f"{SEGMENTS}/front", {**front, "reason": "x"}).json()

    assert [(error["pointer"], error["message"]) for error in refused["errors"]] == [
        (
            "/subnets",
            "self-IP 10.101.0.5 of instance 1 needs a subnet that it is a host address of",
        )
    ]


def _fields(kind, prefix=""):
    """The path of each field of an object, with a list's items by their place."""
    for entry in fields_of(kind):
        place = f"{prefix}{entry.outer}" + ("[0]" if entry.shape.is_list else "")
        yield place.removesuffix("[0]")
        yield place
        if is_record(entry.shape.base):
            yield from _fields(entry.shape.base, f"{place}.")


@pytest.mark.parametrize("entry", COLLECTIONS, ids=lambda entry: entry.name)
def test_each_complaint_points_at_a_field_of_the_body(entry):
    for place in _fields(entry.kind):
        field = shape_of(entry.name).serializer()
        for step in field_at(entry.name, place).strip("/").split("/"):
            field = field.child if step.isdecimal() else field.fields[step]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (SEGMENTS, {**SEGMENT, "subnets": [{"prefix": "10.9.0.5/24"}]}, "/subnets/0/prefix"),
        (SEGMENTS, {**SEGMENT, "kind": "vlan", "vlan_tag": 7, "trunk": "-"}, "/trunk"),
        (EGRESS, {"name": "x", "rules": [{"network": "10/8", "ports": [1]}]}, "/rules/0/network"),
        (EGRESS, {"name": "x", "rules": [{"ports": [1]}]}, "/rules"),
        (INGRESS, {**WEB, "allowed_sources": ["10.1.2.3/8"]}, "/allowed_sources/0"),
        (INGRESS, {**WEB, "path_prefix": "api"}, "/path_prefix"),
    ],
)
def test_refusals_name_the_field_as_the_api_has_it(alice, network, path, body, pointer):
    refused = send(alice, "post", path, {**body, "reason": "x"}).json()

    assert [error["pointer"] for error in refused["errors"]] == [pointer]
