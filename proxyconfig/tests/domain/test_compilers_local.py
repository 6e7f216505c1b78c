"""The local flavour: golden cases, determinism, and what it refuses by name."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain.compilers import COMPILERS
from proxyconfig.domain.compilers.local import (
    CADDY_SERVER,
    UNSUPPORTED,
    LocalEnvironment,
    compile,
    server_name,
    unsupported,
)
from proxyconfig.domain.intent import Intent, Mode
from proxyconfig.domain.manifest import from_yaml, to_yaml
from proxyconfig.domain.plan import diff
from proxyconfig.domain.validation import validate
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents, shuffled

CASES = sorted((Path(__file__).parent / "cases" / "local").iterdir())
ENVIRONMENT = LocalEnvironment(ingress_socket="/run/ingress.sock", credential_sha256="ab" * 32)
WHOLE = """\
apiVersion: sluice/v2
kind: TenantIntent
metadata: {name: acme}
spec:
  namespaces: [{name: acme-prod, cluster: local}]
  virtualAddresses:
  - {address: 127.10.1.1, cluster: local}
  - {address: 127.10.1.2, cluster: local, vrf: blue}
  snatPools: [{name: pool, cluster: local, addresses: [127.20.1.1], vrf: blue}]
  listeners:
  - {name: dns, cluster: local, virtualAddress: 127.10.1.1, port: 53, protocol: udp}
  - {name: raw, cluster: local, virtualAddress: 127.10.1.1, port: 22, protocol: tcp}
  - {name: web, cluster: local, virtualAddress: 127.10.1.1, port: 443, tls: cert}
  bgpPeers: [{name: spine, cluster: local, address: 10.0.0.1, asn: 64512, localAsn: 64513}]
  egressPolicies:
  - {name: ntp, rules: [{order: 1, host: time.example.org, ports: [123], protocol: udp}]}
  tlsReferences: [{name: cert, namespace: acme-prod, secret: web-tls}]
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case, golden):
    intent = from_yaml((case / "intent.yaml").read_text())
    resources = compile(intent, environment=ENVIRONMENT)

    assert [problem for problem in validate(intent) if problem.blocks] == []
    assert to_yaml(intent) == (case / "intent.yaml").read_text()
    text = json.dumps(
        [{"kind": r.kind, "name": r.name, "body": r.body} for r in resources], indent=2
    )
    golden(case / "resources.json", text + "\n")


@WHOLE_INTENTS
@given(data=st.data(), intent=intents())
def test_equal_wishes_compile_to_equal_bytes(data, intent):
    other = data.draw(shuffled(intent))

    assert compile(intent, environment=ENVIRONMENT) == compile(other, environment=ENVIRONMENT)


@WHOLE_INTENTS
@given(intent=intents())
def test_compiled_resources_are_distinct_and_planning_them_again_is_nothing(intent):
    resources = compile(intent, environment=ENVIRONMENT)

    assert diff(resources, resources).is_empty


@WHOLE_INTENTS
@given(intent=intents())
def test_no_server_without_an_enforced_policy(intent):
    staged = tuple(replace(policy, mode=Mode.STAGED) for policy in intent.ingress_policies)

    resources = compile(replace(intent, ingress_policies=staged), environment=ENVIRONMENT)

    assert [resource for resource in resources if resource.kind == CADDY_SERVER] == []


def test_server_names_of_tenants_that_share_a_beginning_differ():
    assert server_name("acme", "web-8080") != server_name("acme-web", "8080")
    assert not server_name("acme-web", "x").startswith(server_name("acme", ""))


def test_what_the_local_proxy_cannot_do_is_refused_by_name():
    problems = unsupported(from_yaml(WHOLE))

    assert [(problem.path, problem.code, problem.severity) for problem in problems] == [
        ("spec.listeners[dns].protocol", "udp-listener", "error"),
        ("spec.listeners[raw].protocol", "tcp-listener", "error"),
        ("spec.listeners[web].tls", "tls-listener", "error"),
        ("spec.virtualAddresses[local:127.10.1.2].vrf", "vrf-address", "error"),
        ("spec.snatPools[pool].vrf", "vrf-address", "error"),
        ("spec.egressPolicies[ntp].rules[1].protocol", "udp-egress", "error"),
        ("spec.bgpPeers[spine]", "not-acted-on", "warning"),
    ]
    assert {problem.code for problem in problems if problem.blocks} == set(UNSUPPORTED)


def test_what_is_refused_is_not_compiled_either():
    (egress,) = compile(from_yaml(WHOLE), environment=ENVIRONMENT)

    assert egress.body["rules"] == []


def test_registry_offers_the_local_flavour():
    compiler = COMPILERS["local"]
    environment = compiler.environment(ingress_socket="/run/x", credential_sha256="0" * 64)

    assert compiler.compile(Intent(tenant="acme"), environment=environment)
    assert compiler.unsupported(Intent(tenant="acme")) == []
