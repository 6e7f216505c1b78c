"""Templates by themselves: their JSON, what is wrong with them, and what they expand to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain import template
from proxyconfig.domain.codec import Unreadable
from proxyconfig.domain.intent import EgressRule, Grant, PortRange
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.template import (
    AddressTemplate,
    EgressTemplate,
    IngressTemplate,
    SegmentTemplate,
    SubnetTemplate,
    Taken,
    TakenAddress,
    TakenSegment,
    Template,
)
from proxyconfig.domain.validation import blocking, validate

BOTH_FAMILIES = Template(
    cluster="local",
    vrf="red",
    segments=(
        SegmentTemplate(
            name="{tenant}-net",
            subnets=(
                SubnetTemplate(pool="v4", length=28),
                SubnetTemplate(pool="v6", length=64, gateway=False),
                SubnetTemplate(pool="v4", length=28, gateway=False),
            ),
            self_ips=2,
            mtu=9000,
        ),
    ),
    snat_addresses=(AddressTemplate(pool="back"),),
    snat_pool="{tenant}-out",
)
TAKEN = Taken(
    segments=(TakenSegment(prefixes=("10.0.0.0/28", "2001:db8::/64", "10.0.0.16/28")),),
    snat_addresses=(TakenAddress("192.0.2.1", "red"),),
)


def read(stored: object) -> Template:
    return template.read(stored, problems=[])


def test_a_template_survives_its_json():
    assert read(template.plain(BOTH_FAMILIES)) == BOTH_FAMILIES


def test_what_is_left_out_has_its_default():
    said = read({"cluster": "local"})

    assert said == Template(cluster="local")
    assert said.namespaces == ("{tenant}",)


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"cluster": "Local"}, "cluster"),
        ({"cluster": "local", "namespaces": ["{other}"]}, "namespaces[0]"),
        ({"cluster": "local", "namespaceGrants": ["*a"]}, "namespaceGrants[0]"),
        ({"cluster": "local", "virtualAddresses": [{"pool": "a", "count": 0}]}, "count"),
        ({"cluster": "local", "quotas": [{"resource": "cows", "limit": 1}]}, "resource"),
        ({"cluster": "local", "cows": 1}, "cows"),
    ],
)
def test_a_wrong_field_is_named(wrong, path):
    problems: list[Problem] = []

    with pytest.raises(Unreadable):
        template.read(wrong, problems=problems)

    assert path in problems[0].path


def test_self_ips_lie_on_the_first_subnet_of_each_family_behind_the_gateway():
    intent = template.expand(BOTH_FAMILIES, "acme", TAKEN)

    (segment,) = intent.segments
    assert (segment.name, segment.vrf, segment.mtu) == ("acme-net", "red", 9000)
    assert [subnet.gateway for subnet in segment.subnets] == ["10.0.0.1", None, None]
    assert sorted((ip.number, ip.address) for ip in intent.self_ips) == [
        (1, "10.0.0.2"),
        (1, "2001:db8::1"),
        (2, "10.0.0.3"),
        (2, "2001:db8::2"),
    ]
    assert [(pool.name, pool.vrf) for pool in intent.snat_pools] == [("acme-out", "red")]
    assert blocking(validate(intent)) == []


def test_the_default_vrf_is_not_written_and_a_vrf_of_its_own_has_the_tenants_name():
    own = template.expand(
        Template(cluster="local", own_vrf=True, segments=(SegmentTemplate(name="a"),)),
        "acme",
        Taken(segments=(TakenSegment(),)),
    )
    shared = template.expand(
        Template(cluster="local", segments=(SegmentTemplate(name="a"),)),
        "acme",
        Taken(segments=(TakenSegment(),)),
    )

    assert (own.segments[0].vrf, shared.segments[0].vrf) == ("acme", None)


def test_what_was_not_taken_is_a_defect():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        template.expand(BOTH_FAMILIES, "acme", Taken())


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Template(cluster="c", vrf="red", own_vrf=True), "two-vrfs"),
        (
            Template(
                cluster="c",
                segments=(SegmentTemplate(name="a", vlan_range="v", vni_range="x"),),
            ),
            "two-links",
        ),
        (Template(cluster="c", ingress=(IngressTemplate(port=80),)), "no-address"),
        (
            Template(
                cluster="c",
                virtual_addresses=(AddressTemplate(pool="p"),),
                ingress=(IngressTemplate(port=80, namespace="other"),),
            ),
            "foreign-namespace",
        ),
    ],
)
def test_parts_that_contradict_each_other_are_complained_about(wanted, code):
    assert [problem.code for problem in template.complaints(wanted)] == [code]
    assert list(template.complaints(BOTH_FAMILIES)) == []


def test_a_template_grants_no_private_network():
    rule = EgressRule(
        order=1, cidr="10.0.0.0/8", ports=(PortRange.single(443),), granted=Grant(by="eve")
    )
    wanted = Template(cluster="c", egress=(EgressTemplate(rules=(rule,)),))

    assert template.without_grants(wanted).egress[0].rules[0].granted is None


NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)


@given(NAMES, st.integers(0, 4), st.integers(1, 3))
def test_every_tenant_of_a_template_is_a_valid_intent(tenant, self_ips, count):
    wanted = Template(
        cluster="local",
        segments=(
            SegmentTemplate(
                name="{tenant}-net",
                vlan_range="v",
                subnets=(SubnetTemplate(pool="n", length=24),),
                self_ips=self_ips,
            ),
        ),
        virtual_addresses=(AddressTemplate(pool="f", count=count),),
        namespaces=("{tenant}", "{tenant}-rag"),
        ingress=(IngressTemplate(port=8080, namespace="{tenant}-rag"),),
    )
    taken = Taken(
        segments=(TakenSegment(trunk="1.1", tag=101, prefixes=("10.0.0.0/24",)),),
        virtual_addresses=tuple(TakenAddress(f"127.10.0.{n}") for n in range(1, count + 1)),
    )

    intent = template.expand(wanted, tenant, taken)

    assert blocking(validate(intent)) == []
    assert template.expand(wanted, tenant, taken) == intent
