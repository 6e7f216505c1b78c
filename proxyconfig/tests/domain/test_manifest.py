"""The manifest: exact round trips, and refusals that say where."""

import contextlib
from dataclasses import replace

import pytest
import yaml
from hypothesis import given

from proxyconfig.domain.intent import EgressPolicy, EgressRule, Grant, Intent, PortRange, canonical
from proxyconfig.domain.manifest import (
    MAX_BYTES,
    canonical_bytes,
    from_json,
    from_mapping,
    from_stored,
    from_yaml,
    intent_hash,
    to_mapping,
    to_yaml,
)
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents
from tenants.errors import InvalidError

CANONICAL = """\
apiVersion: sluice/v2
kind: TenantIntent
metadata:
  name: acme
spec:
  namespaces:
  - name: acme-prod
    cluster: local
  segments:
  - name: acme-vlan
    cluster: local
    vlan:
      interface: '1.1'
      tag: 101
    subnets:
    - cidr: 10.101.0.0/24
      gateway: 10.101.0.1
  virtualAddresses:
  - address: 127.10.1.1
    cluster: local
  snatPools:
  - name: acme-snat
    cluster: local
    addresses:
    - 127.20.1.1
  listeners:
  - name: rag
    cluster: local
    virtualAddress: 127.10.1.1
    port: 8080
  ingressPolicies:
  - name: people
    listener: rag
    backend:
      namespace: acme-prod
      service: rag
      port: 8080
    sources:
    - 127.0.0.0/8
  egressPolicies:
  - name: web
    rules:
    - order: 10
      host: '*.example.org'
      ports:
      - 443
      - 8000-8099
    - order: 20
      cidr: 127.30.0.10/32
      ports:
      - 8081
      granted:
        by: admin@example.org
        at: '2026-11-24T12:00:00Z'
    owner: netops@example.org
    expiresAt: '2027-01-31T12:00:00Z'
"""
# As an earlier version wrote it.
FIRST = """\
apiVersion: sluice/v1
kind: TenantIntent
metadata: {name: acme}
spec:
  namespaces: [acme-prod]
  segments:
  - name: acme-vlan
    vlan: {cluster: local, interface: '1.1', tag: 101}
    subnets: [{cidr: 10.101.0.0/24, gateway: 10.101.0.1}]
  snatPools: [{name: acme-snat, addresses: [127.20.1.1]}]
  listeners: [{name: rag, virtualAddress: 127.10.1.1, port: 8080}]
  ingressPolicies:
  - name: people
    listener: rag
    backend: {namespace: acme-prod, service: rag, port: 8080}
    sources: [127.0.0.0/8]
  egressPolicies:
  - name: web
    rules:
    - {order: 10, host: '*.example.org', ports: [443, 8000-8099]}
    - {order: 20, cidr: 127.30.0.10/32, ports: [8081], granted: true}
    owner: netops@example.org
    expiresAt: '2027-01-31T12:00:00Z'
"""


def test_canonical_yaml_is_reproduced_exactly():
    assert to_yaml(from_yaml(CANONICAL)) == CANONICAL


def test_first_version_is_read_as_the_present_one():
    document = yaml.safe_load(FIRST)
    (policy,) = from_yaml(CANONICAL).egress_policies
    unknown = replace(policy.rules[1], granted=Grant(by=""))
    policy = replace(policy, rules=(policy.rules[0], unknown))

    intent = from_mapping(document, home="local")

    assert intent == replace(from_yaml(CANONICAL), egress_policies=(policy,))
    assert from_stored(document, home="local") == intent


def test_first_version_is_refused_where_no_cluster_is_known():
    with pytest.raises(InvalidError) as caught:
        from_yaml(FIRST)

    assert caught.value.fields["apiVersion"] == ["apiVersion must be sluice/v2"]


@pytest.mark.parametrize("vlan", ["cluster: west, ", ""])
def test_segment_of_the_first_version_is_on_the_cluster_of_its_link(vlan):
    document = yaml.safe_load(FIRST.replace("cluster: local, ", vlan))

    (segment,) = from_mapping(document, home="local").segments

    assert segment.cluster == ("west" if vlan else "local")


@pytest.mark.parametrize(
    "spec",
    [
        {"namespaces": 3},
        {"segments": [{"vlan": 3}, None]},
        {"listeners": ["x"]},
        {"egressPolicies": [{"rules": None}, {"rules": [1]}]},
    ],
)
def test_broken_documents_of_the_first_version_are_refused(spec):
    document = {
        "apiVersion": "sluice/v1",
        "kind": "TenantIntent",
        "metadata": {"name": "acme"},
        "spec": spec,
    }

    for read in (from_mapping, from_stored):
        with contextlib.suppress(InvalidError):
            read(document, home="local")


def test_stored_intents_are_read_though_a_rule_became_stricter():
    document = to_mapping(from_yaml(CANONICAL))
    document["spec"]["listeners"][0]["virtualAddress"] = "::FFFF:7f0a:101"
    document["spec"]["listeners"][0]["gone"] = True

    assert from_stored(document, home="").listeners[0].virtual_address == "::FFFF:7f0a:101"
    with pytest.raises(InvalidError):
        from_mapping(document)


@WHOLE_INTENTS
@given(intent=intents())
def test_yaml_and_json_give_the_intent_back(intent):
    assert from_yaml(to_yaml(intent)) == canonical(intent)
    assert from_json(canonical_bytes(intent)) == canonical(intent)
    assert from_mapping(to_mapping(intent)) == canonical(intent)


@WHOLE_INTENTS
@given(intent=intents())
def test_dumping_what_was_loaded_changes_nothing(intent):
    text = to_yaml(intent)

    assert to_yaml(from_yaml(text)) == text


def test_stored_form_names_every_default():
    stored = to_mapping(Intent(tenant="acme", egress_policies=(_policy(),)))

    policy = stored["spec"]["egressPolicies"][0]
    assert policy["mode"] == "enforced"
    assert policy["rules"][0]["granted"] is None


def test_hash_changes_with_the_wish_and_not_with_its_order():
    left, right = (
        EgressRule(order=n, host="example.org", ports=(PortRange(n, n),)) for n in (1, 2)
    )
    one = Intent(tenant="acme", egress_policies=(EgressPolicy(name="web", rules=(left, right)),))
    two = Intent(tenant="acme", egress_policies=(EgressPolicy(name="web", rules=(right, left)),))
    other = Intent(tenant="acme", egress_policies=(EgressPolicy(name="web", rules=(left,)),))

    assert intent_hash(one) == intent_hash(two)
    assert intent_hash(one) != intent_hash(other)


@pytest.mark.parametrize(
    ("before", "after", "path", "complaint"),
    [
        (
            "virtualAddress:",
            "virtualAdress:",
            "spec.listeners[rag].virtualAdress",
            "virtualAdress is not known here; did you mean virtualAddress?",
        ),
        (
            "tag: 101",
            "tag: 4095",
            "spec.segments[acme-vlan].vlan.tag",
            "4095 is not within 1 to 4094",
        ),
        (
            "tag: 101",
            "tag: '101'",
            "spec.segments[acme-vlan].vlan.tag",
            "expected a whole number, found the text '101'",
        ),
        (
            "interface: '1.1'",
            "interface: 1.1",
            "spec.segments[acme-vlan].vlan.interface",
            "expected text, found the number 1.1 (write it in quotes)",
        ),
        (
            "10.101.0.0/24",
            "10.101.0.7/24",
            "spec.segments[acme-vlan].subnets[0].cidr",
            "write 10.101.0.7/24 as 10.101.0.0/24",
        ),
        (
            "'*.example.org'",
            "Example.org.",
            "spec.egressPolicies[web].rules[0].host",
            "write Example.org. as example.org",
        ),
        (
            "'*.example.org'",
            "0x7f.1",
            "spec.egressPolicies[web].rules[0].host",
            "'0x7f.1' looks like an address, not a host name",
        ),
        (
            "8000-8099",
            "8099-8000",
            "spec.egressPolicies[web].rules[0].ports[1]",
            "8099-8000 is not within 1 to 65535, lower port first",
        ),
        (
            "2027-01-31T12:00:00Z",
            "2027-01-31T12:00:00",
            "spec.egressPolicies[web].expiresAt",
            "'2027-01-31T12:00:00' has no time zone; end it with Z for UTC",
        ),
        ("sluice/v2", "sluice/v3", "apiVersion", "apiVersion must be sluice/v2"),
        ("spec:", "spce:", "spce", "spce is not known here; policies go below spec"),
    ],
)
def test_a_mistake_is_named_by_its_path(before, after, path, complaint):
    with pytest.raises(InvalidError) as caught:
        from_yaml(CANONICAL.replace(before, after, 1))

    assert caught.value.fields[path] == [complaint]
    assert caught.value.code == "manifest.invalid"


def test_all_mistakes_are_named_at_once():
    broken = CANONICAL.replace("tag: 101", "tag: 0").replace("port: 8080", "port: 0")

    with pytest.raises(InvalidError) as caught:
        from_yaml(broken)

    assert sorted(caught.value.fields) == [
        "spec.ingressPolicies[people].backend.port",
        "spec.listeners[rag].port",
        "spec.segments[acme-vlan].vlan.tag",
    ]
    assert "(and 2 more)" in caught.value.message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1,\nb: }", "line 2, column 4"),
        ("a: 1\na: 2", "a stands here twice"),
        ("a: &x 1", "anchors and aliases are not read"),
        ("1: a", "a key must be text"),
        ("[" * 100, "nested deeper than 16"),
        ("a: 1\n---\nb: 2", "line 2"),
        ("a: !!python/object:os.system {}", "tags are not read"),
        ("a: !!bool x", "tags are not read"),
        ("a: !!timestamp x", "tags are not read"),
        ("a: " + "1" * 5000, "Exceeds the limit"),
        ("a: \ud800", "not text that can be stored"),
        ("x" * (MAX_BYTES + 1), "bytes; at most"),
    ],
)
def test_dangerous_or_broken_yaml_is_refused_with_its_place(text, complaint):
    with pytest.raises(InvalidError, match=complaint):
        from_yaml(text)


@pytest.mark.parametrize("text", ["", "[]", "null", "a", "spec: 3", "metadata: {name: [x]}"])
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(InvalidError):
        from_yaml(text)


def _policy() -> EgressPolicy:
    rule = EgressRule(order=1, host="example.org", ports=(PortRange.single(443),))
    return EgressPolicy(name="web", rules=(rule,))
