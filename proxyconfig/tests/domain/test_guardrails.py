"""Which plans a rule may approve."""

from dataclasses import replace

import pytest

from proxyconfig.domain.guardrails import (
    APPROVAL_REQUIRED,
    MANY_DELETES,
    MOST_DELETES,
    OPEN_TO_ANY_DESTINATION,
    OPEN_TO_ANY_SOURCE,
    PRIVATE_DESTINATION,
    Proposal,
    findings,
)
from proxyconfig.domain.intent import (
    Backend,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Intent,
    Listener,
    Mode,
    PortRange,
)
from proxyconfig.domain.plan import Plan, diff
from proxyconfig.domain.resources import Resource

EMPTY = Intent(tenant="acme")


NOTHING_CHANGES = diff((), ())


def codes(
    after: Intent, *, before: Intent = EMPTY, auto_apply: bool = True, plan: Plan = NOTHING_CHANGES
) -> list[str]:
    """What the guardrails find."""
    return [finding.code for finding in findings(Proposal(auto_apply, before, after, plan))]


def opened(port: int, **fields: object) -> Intent:
    """An ingress policy on ``port``."""
    policy = IngressPolicy(
        name="web", listener="l", backend=Backend(namespace="n", service="s", port=80)
    )
    return replace(
        EMPTY,
        listeners=(Listener(name="l", virtual_address="10.0.0.1", port=port),),
        ingress_policies=(replace(policy, **fields),),
    )


def out(**fields: object) -> Intent:
    """An egress policy with one rule."""
    rule = EgressRule(order=1, ports=(PortRange.single(443),), **fields)
    return replace(EMPTY, egress_policies=(EgressPolicy(name="docs", rules=(rule,)),))


def test_nothing_is_found_in_nothing():
    assert codes(EMPTY) == []


def test_tenant_without_auto_apply_needs_a_second_person_each_time():
    assert codes(EMPTY, auto_apply=False) == [APPROVAL_REQUIRED]


@pytest.mark.parametrize(
    ("port", "fields", "expected"),
    [
        (80, {}, [OPEN_TO_ANY_SOURCE]),
        (1023, {}, [OPEN_TO_ANY_SOURCE]),
        (1024, {}, []),
        (80, {"sources": ("10.0.0.0/8",)}, []),
        (80, {"source_lists": ("office",)}, []),
        (80, {"mode": Mode.STAGED}, []),
    ],
)
def test_privileged_port_for_any_client_needs_a_second_look(port, fields, expected):
    assert codes(opened(port, **fields)) == expected


def test_what_was_open_before_is_not_asked_about_again():
    assert codes(opened(80), before=opened(80)) == []
    assert codes(opened(80), before=opened(80, sources=("10.0.0.0/8",))) == [OPEN_TO_ANY_SOURCE]


@pytest.mark.parametrize(
    ("cidr", "granted", "expected"),
    [
        ("10.0.0.0/8", False, [PRIVATE_DESTINATION]),
        ("127.0.0.1/32", False, [PRIVATE_DESTINATION]),
        ("169.254.169.254/32", False, [PRIVATE_DESTINATION]),
        ("fd00::/64", False, [PRIVATE_DESTINATION]),
        ("10.0.0.0/8", True, []),
        ("203.0.114.0/24", False, []),
        ("0.0.0.0/0", False, [OPEN_TO_ANY_DESTINATION]),
        ("::/0", False, [OPEN_TO_ANY_DESTINATION]),
        ("128.0.0.0/1", False, [OPEN_TO_ANY_DESTINATION]),
        ("2000::/3", False, [OPEN_TO_ANY_DESTINATION]),
        ("8.0.0.0/8", False, []),
        ("fc00::/7", True, []),
    ],
)
def test_networks_that_need_a_second_look(cidr, granted, expected):
    assert codes(out(cidr=cidr, granted=granted)) == expected


def test_host_names_need_none():
    assert codes(out(host="docs.example.org")) == []


def test_disabling_a_policy_is_no_way_around_the_grant():
    staged = out(cidr="10.0.0.0/8")
    (policy,) = staged.egress_policies
    staged = replace(staged, egress_policies=(replace(policy, mode=Mode.STAGED),))

    assert codes(staged) == [PRIVATE_DESTINATION]


@pytest.mark.parametrize(
    ("count", "expected"), [(MOST_DELETES, []), (MOST_DELETES + 1, [MANY_DELETES])]
)
def test_many_deletes_need_a_second_look(count, expected):
    objects = [Resource.of("Thing", f"t{number}", {}) for number in range(count)]
    policies = tuple(EgressPolicy(name=f"p{number}", rules=()) for number in range(count))

    assert codes(EMPTY, plan=diff((), objects)) == expected
    assert codes(EMPTY, before=replace(EMPTY, egress_policies=policies)) == expected


def test_finding_says_what_to_do():
    (finding,) = findings(Proposal(True, EMPTY, out(cidr="10.0.0.0/8"), diff((), ())))

    assert finding.plain() == {
        "code": PRIVATE_DESTINATION,
        "message": "Egress policy docs reaches the private network 10.0.0.0/8. A platform"
        " administrator has to grant that by approving this plan.",
    }
