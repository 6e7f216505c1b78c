"""Which changes a rule may approve: sets and names are judged, never their spelling."""

import ipaddress
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyconfig.domain.codec import from_plain, to_plain
from proxyconfig.domain.guardrails import (
    APPROVAL_REQUIRED,
    DESTINATION_LIMIT,
    MANY_DELETES,
    OPEN_TO_ANY_DESTINATION,
    OPEN_TO_ANY_SOURCE,
    POOL_LIMIT,
    PORT_LIMIT,
    PRIVATE_DESTINATION,
    PROTOCOL_LIMIT,
    Finding,
    findings,
    is_broad_name,
)
from proxyconfig.domain.intent import (
    Action,
    EgressPolicy,
    EgressRule,
    Intent,
    Mode,
    PortList,
    PortRange,
    Protocol,
    Segment,
    SnatPool,
    Subnet,
    Transport,
)
from proxyconfig.domain.limits import Limits
from proxyconfig.domain.objects import merge, put
from proxyconfig.tests.domain.builders import (
    EIGHTS,
    EMPTY,
    GRANT,
    NOW,
    egress,
    ingress,
    listed,
    rule,
)
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents, pairs

EVERY_PORT = (PortRange(1, 65535),)


def codes(after: Intent, *, before: Intent = EMPTY, **how: object) -> list[str]:
    """What the guardrails find."""
    return [finding.code for finding in findings(before, after, **how)]


def test_nothing_is_found_in_nothing():
    assert codes(EMPTY) == []


@WHOLE_INTENTS
@given(intent=intents())
def test_no_change_asks_nobody(intent):
    assert findings(intent, intent, auto_apply=False) == ()


@WHOLE_INTENTS
@given(pair=pairs())
def test_deciding_twice_gives_the_same_answer(pair):
    before, after = pair

    assert findings(before, after) == findings(before, after)
    assert codes(after, before=before, auto_apply=False)[-1:] == (
        [APPROVAL_REQUIRED] if replace(after) != before else []
    )


@pytest.mark.parametrize(
    "sources",
    [
        [()],
        [("0.0.0.0/0",)],
        [("0.0.0.0/1", "128.0.0.0/1")],
        [("0.0.0.0/1",), ("128.0.0.0/1",)],
        [EIGHTS],
        [EIGHTS[:100], EIGHTS[100:]],
        [("10.0.0.0/8",), ()],
    ],
)
def test_any_client_on_a_low_port_waits(sources):
    assert codes(ingress(*sources)) == [OPEN_TO_ANY_SOURCE]


@pytest.mark.parametrize(
    "rules",
    [
        [rule(cidr="0.0.0.0/0")],
        [rule(cidr="::/0")],
        [rule(cidr="0.0.0.0/1"), rule(cidr="128.0.0.0/1")],
        [rule(cidr=text) for text in EIGHTS],
        [rule(cidr=text, ports=(PortRange.single(n),)) for n, text in enumerate(EIGHTS, start=1)],
        [rule(cidr="0.0.0.0/0", action=Action.DENY), rule(cidr="0.0.0.0/0")],
        [rule(host="*.com", ports=EVERY_PORT), rule(host="*.net", ports=EVERY_PORT)],
        [rule(host="*.co.uk")],
        [rule(host="*.github.io")],
        [rule(host="*.internal")],
        [rule(cidr="0.0.0.0/0", protocol=Transport.UDP)],
        [rule(cidr="128.0.0.0/1")],
        [rule(cidr="2000::/3")],
    ],
)
def test_a_good_part_of_the_internet_waits(rules):
    assert codes(egress(*rules)) == [OPEN_TO_ANY_DESTINATION]


@pytest.mark.parametrize("closed", [("10.0.0.0/8",), ("203.0.114.0/24",)])
def test_leaving_sources_out_or_rolling_back_to_that_waits(closed):
    assert codes(ingress(()), before=ingress(closed)) == [OPEN_TO_ANY_SOURCE]


def test_two_harmless_halves_that_merge_to_a_broad_union_wait():
    base = egress(rule(host="example.org"))
    one, other = (
        put(base, EgressPolicy(name=name, rules=(rule(cidr=cidr),)))
        for name, cidr in (("one", "8.0.0.0/8"), ("two", "9.0.0.0/8"))
    )
    assert codes(one, before=base) == codes(other, before=base) == []

    merged = merge(base, one, other).intent

    assert codes(merged, before=one) == [OPEN_TO_ANY_DESTINATION]


def test_a_little_more_each_time_waits_as_soon_as_it_is_too_much():
    intents_so_far = [egress(*(rule(cidr=text) for text in EIGHTS[:n])) for n in range(4)]
    steps = itertools.pairwise(intents_so_far)

    assert [codes(after, before=before) for before, after in steps] == [
        [],
        [OPEN_TO_ANY_DESTINATION],
        [OPEN_TO_ANY_DESTINATION],
    ]


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        (ingress((), port=1023), [OPEN_TO_ANY_SOURCE]),
        (ingress((), port=1024), []),
        (ingress((), address="2001:db8::1"), [OPEN_TO_ANY_SOURCE]),
        (ingress(("::/0",), address="127.10.1.1"), []),  # Nobody speaks IPv6 to an IPv4 address.
        (ingress(("0.0.0.0/0",), address="2001:db8::1"), []),
        (ingress(("10.0.0.0/8", "192.168.0.0/16", "100.64.0.0/10")), []),
        (ingress(("8.0.0.0/8",)), []),
        (ingress(("8.0.0.0/7",)), [OPEN_TO_ANY_SOURCE]),
        (ingress(("8.0.0.0/8", "4.4.4.4")), [OPEN_TO_ANY_SOURCE]),
        (ingress((), mode=Mode.STAGED), []),
        (ingress((), listener="gone"), []),
        (ingress((), source_lists=("gone",)), []),
    ],
)
def test_who_can_reach_a_low_port(intent, expected):
    assert codes(intent) == expected


def test_address_lists_count_as_what_they_hold():
    through = replace(ingress((), source_lists=("all",)), address_lists=listed("all", *EIGHTS))

    assert codes(through) == [OPEN_TO_ANY_SOURCE]
    assert codes(through, before=replace(through, address_lists=listed("all", "8.8.8.8"))) == [
        OPEN_TO_ANY_SOURCE
    ]


def test_what_was_open_before_is_not_asked_about_again():
    before = ingress(())

    assert codes(before, before=before) == []
    assert codes(ingress(("0.0.0.0/1",)), before=before) == []
    assert codes(ingress((), ("0.0.0.0/0",), order=5), before=before) == []
    assert codes(ingress((), port=81), before=before) == [OPEN_TO_ANY_SOURCE]
    assert codes(ingress((), address="127.10.1.2"), before=before) == [OPEN_TO_ANY_SOURCE]


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        (egress(rule(cidr="8.0.0.0/8")), []),
        (egress(rule(cidr="203.0.114.0/24")), []),
        (egress(rule(cidr="0.0.0.0/0", action=Action.DENY)), []),
        (egress(rule(cidr="0.0.0.0/0"), mode=Mode.STAGED), []),
        (egress(rule(cidr="10.0.0.0/8", granted=GRANT)), []),
        (egress(rule(cidr="fc00::/7", granted=GRANT)), []),
        (egress(rule(host="docs.example.org"), rule(host="*.example.org")), []),
        (egress(rule(host="github.io"), rule(host="me.github.io"), rule(host="com")), []),
    ],
)
def test_harmless_destinations_ask_nobody(intent, expected):
    assert codes(intent) == expected


def test_what_is_allowed_already_is_not_asked_about_again():
    before = egress(rule(cidr="0.0.0.0/0"), rule(host="*.com"))

    assert codes(egress(rule(cidr="0.0.0.0/1"), rule(host="*.com")), before=before) == []
    assert codes(egress(rule(cidr="128.0.0.0/1"), rule(host="*.co.com")), before=before) == []
    assert codes(egress(rule(host="*.com"), rule(host="*.net")), before=before) == [
        OPEN_TO_ANY_DESTINATION
    ]


def test_more_ports_of_the_internet_are_more():
    before = egress(rule(cidr="0.0.0.0/0"), rule(host="*.com"))
    narrow = rule(cidr="8.8.8.0/24", ports=EVERY_PORT)

    assert codes(egress(rule(cidr="0.0.0.0/0", ports=EVERY_PORT)), before=before) == [
        OPEN_TO_ANY_DESTINATION
    ]
    assert codes(egress(rule(host="*.com", ports=EVERY_PORT)), before=before) == [
        OPEN_TO_ANY_DESTINATION
    ]
    assert codes(egress(rule(cidr="0.0.0.0/0"), rule(host="*.com"), narrow), before=before) == []


def test_the_internet_spread_over_the_ports_is_still_the_internet():
    before = egress(rule(cidr="0.0.0.0/0"))
    spread = [rule(cidr=text, ports=(PortRange.single(1000 + n),)) for n, text in enumerate(EIGHTS)]

    assert codes(egress(rule(cidr="0.0.0.0/0"), *spread), before=before) == [
        OPEN_TO_ANY_DESTINATION
    ]


def test_a_later_expiry_is_more():
    def until(days):
        expires_at = None if days is None else NOW + timedelta(days=days)
        return egress(rule(cidr="0.0.0.0/0"), expires_at=expires_at)

    assert codes(until(1), before=until(2)) == []
    assert codes(until(1), before=until(None)) == []
    assert codes(until(2), before=until(1)) == [OPEN_TO_ANY_DESTINATION]
    assert codes(until(None), before=until(1)) == [OPEN_TO_ANY_DESTINATION]


def test_making_a_staged_policy_enforced_is_what_opens():
    staged = egress(rule(cidr="0.0.0.0/0"), mode=Mode.STAGED)

    assert codes(egress(rule(cidr="0.0.0.0/0")), before=staged) == [OPEN_TO_ANY_DESTINATION]


@pytest.mark.parametrize(
    ("name", "is_broad"),
    [
        ("*", True),
        ("*.com", True),
        ("*.co.uk", True),
        ("*.github.io", True),
        ("*.xn--p1ai", True),
        ("*.xn--55qx5d.cn", True),
        ("*.compute.amazonaws.com", True),  # The list has *.compute.amazonaws.com.
        ("*.s3.amazonaws.com", True),
        ("*.amazonaws.com", True),  # Above s3.amazonaws.com.
        ("*.eu-west-1.amazonaws.com", True),
        ("*.core.windows.net", True),  # Above blob.core.windows.net.
        ("*.windows.net", True),
        ("*.googleapis.com", True),  # On the list itself.
        ("*.xn--mre-og-romsdal-qqb.no", True),  # Above sande.møre-og-romsdal.no.
        ("*.local", True),
        ("*.example.org", False),
        ("*.github.com", False),
        ("*.python.org", False),
        ("*.bucket.s3.amazonaws.com", False),
        ("*.city.kobe.jp", False),  # An exception: the list has *.kobe.jp.
        ("*.me.github.io", False),
        ("*.svc.cluster.local", False),
        ("com", False),
        ("github.io", False),
    ],
)
def test_names_under_which_anybody_registers_are_broad(name, is_broad):
    assert is_broad_name(name) == is_broad


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"cidr": "10.0.0.0/8"}, [PRIVATE_DESTINATION]),
        ({"cidr": "127.0.0.1/32"}, [PRIVATE_DESTINATION]),
        ({"cidr": "169.254.169.254/32"}, [PRIVATE_DESTINATION]),
        ({"cidr": "fd00::/64"}, [PRIVATE_DESTINATION]),
        ({"cidr": "10.0.0.0/8", "granted": GRANT}, []),
        ({"cidr": "10.0.0.0/8", "action": Action.DENY}, []),
        # No proxy opens their private part, so there is nothing to grant.
        ({"cidr": "10.0.0.0/7"}, []),
        ({"address_list": "private"}, []),
    ],
)
def test_private_networks_wait_for_a_grant(fields, expected):
    intent = replace(egress(rule(**fields)), address_lists=listed("private", "10.0.0.0/8"))

    assert codes(intent) == expected


def test_staging_a_policy_is_no_way_around_the_grant():
    staged = egress(rule(cidr="10.0.0.0/8"), mode=Mode.STAGED)

    assert codes(staged) == [PRIVATE_DESTINATION]


def test_a_request_that_stands_is_not_made_again_and_a_withdrawal_asks_nobody():
    asked = egress(rule(cidr="10.0.0.0/8"))
    granted = egress(rule(cidr="10.0.0.0/8", granted=GRANT))

    assert codes(replace(asked, address_lists=listed("a", "8.8.8.8")), before=asked) == []
    assert codes(asked, before=granted) == []
    moved = egress(rule(cidr="10.0.0.0/8", ports=EVERY_PORT))
    assert codes(moved, before=granted) == [PRIVATE_DESTINATION]
    assert codes(moved, before=asked) == [PRIVATE_DESTINATION], "more ports are a new request"
    other = egress(rule(cidr="10.0.0.0/8"), name="other")
    both = replace(asked, egress_policies=(*asked.egress_policies, *other.egress_policies))
    assert codes(both, before=asked) == [PRIVATE_DESTINATION], "so is another policy"


broad_networks = st.one_of(
    st.sampled_from([("0.0.0.0/0",), EIGHTS, ("::/0",), ("2000::/3", "8.0.0.0/8")]),
    st.lists(
        st.builds(
            lambda address, bits: str(ipaddress.ip_network((address, bits), strict=False)),
            st.ip_addresses(v=4),
            st.integers(1, 9),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
)


@st.composite
def respelled(draw: st.DrawFn, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The same addresses, written in another way."""
    found = [ipaddress.ip_network(text) for text in texts]
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(found) - 1))
        depth = draw(st.integers(0, min(4, found[place].max_prefixlen - found[place].prefixlen)))
        found[place : place + 1] = found[place].subnets(depth) if depth else [found[place]] * 2
    return tuple(str(network) for network in draw(st.permutations(found)))


@st.composite
def spread(draw: st.DrawFn, texts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The same addresses in one to three groups, some of them twice."""
    again = draw(respelled(texts))
    cut, other = sorted((draw(st.integers(0, len(again))), draw(st.integers(0, len(again)))))
    return [group for group in (again[:cut], again[cut:other], again[other:]) if group]


EQUAL = settings(max_examples=25, deadline=None)


@EQUAL
@given(data=st.data(), texts=broad_networks)
def test_equal_sources_give_equal_findings(data, texts):
    plain = findings(EMPTY, ingress(texts))
    groups = data.draw(spread(texts))

    assert findings(EMPTY, ingress(*groups)) == plain
    through = replace(
        ingress(*[()] * len(groups), source_lists=("all",)),
        address_lists=listed("all", *data.draw(respelled(texts))),
    )
    assert findings(EMPTY, through) == plain
    assert findings(ingress(texts), ingress(*groups)) == ()
    assert findings(ingress(("8.8.8.8",)), ingress(*groups)) == findings(
        ingress(("8.8.8.8",)), ingress(texts)
    )


@EQUAL
@given(data=st.data(), texts=broad_networks)
def test_equal_destinations_give_equal_findings(data, texts):
    before = egress(rule(cidr="8.8.8.0/24"))
    plain = egress(*(rule(cidr=text) for text in texts))
    groups = data.draw(spread(texts))
    several = Intent(
        tenant="acme",
        egress_policies=tuple(
            EgressPolicy(
                name=f"p{place}",
                order=data.draw(st.integers(0, 9)),
                rules=tuple(rule(n, cidr=text) for n, text in enumerate(group)),
            )
            for place, group in enumerate(groups)
        ),
    )
    through = replace(
        egress(rule(address_list="all", ports=(), port_lists=("web",))),
        address_lists=listed("all", *data.draw(respelled(texts))),
        port_lists=(PortList(name="web", ports=(PortRange.single(443),)),),
    )
    limits = Limits(destinations=("8.8.8.0/24",))

    for other in (several, through):
        assert _opened(before, other) == _opened(before, plain)
        assert _opened(plain, other) == []
        assert _opened(before, other, limits=limits) == _opened(before, plain, limits=limits)


def _opened(before: Intent, after: Intent, **how: object) -> list[Finding]:
    """What is found about the set: not rules that are gone, nor requests for grants.

    A wider network or a list asks for no grant, and opens nothing private.
    """
    judged = (OPEN_TO_ANY_DESTINATION, DESTINATION_LIMIT)
    return [found for found in findings(before, after, **how) if found.code in judged]


def test_no_sources_and_everything_are_the_same():
    assert findings(EMPTY, ingress(())) == findings(EMPTY, ingress(("0.0.0.0/0", "::/0")))


def test_limits_are_data():
    limits = Limits(
        open_ports_from=1,
        ports=(PortRange(8000, 8099), PortRange.single(443)),
        protocols=(Protocol.HTTP,),
        destinations=("*.example.org", "203.0.113.0/24"),
        pools=("shared",),
        deletes=3,
    )
    stored = to_plain(limits, with_defaults=True)

    assert stored["ports"] == ["8000-8099", 443]
    assert stored["sourcePrefixV4"] == 8
    assert from_plain(Limits, stored, path="", problems=[]) == limits
    assert from_plain(Limits, {}, path="", problems=[]) == Limits()


def test_limits_move_the_line():
    assert codes(ingress(()), limits=Limits(open_ports_from=1)) == []
    assert codes(ingress((), port=8080), limits=Limits(open_ports_from=65536)) == [
        OPEN_TO_ANY_SOURCE
    ]
    assert codes(ingress(("8.8.0.0/15",)), limits=Limits(source_prefix_v4=16)) == [
        OPEN_TO_ANY_SOURCE
    ]
    assert codes(egress(rule(cidr="8.8.0.0/15")), limits=Limits(destination_prefix_v4=16)) == [
        OPEN_TO_ANY_DESTINATION
    ]
    assert codes(egress(rule(cidr="0.0.0.0/0")), limits=Limits(destination_prefix_v4=0)) == []


@pytest.mark.parametrize(
    ("port", "expected"), [(8000, []), (8099, []), (443, []), (8100, [PORT_LIMIT])]
)
def test_ports_that_a_rule_may_open(port, expected):
    limits = Limits(ports=(PortRange(8000, 8099), PortRange.single(443)))
    intent = ingress(("10.0.0.0/8",), port=port)

    assert codes(intent, limits=limits) == expected
    assert codes(replace(intent, address_lists=listed("a", "8.8.8.8")), before=intent) == []
    assert codes(ingress(("10.0.0.0/9",), port=port), before=intent, limits=limits) == []


def test_protocols_that_a_rule_may_open():
    intent = ingress(("10.0.0.0/8",))
    (listener,) = intent.listeners
    udp = replace(intent, listeners=(replace(listener, protocol=Protocol.UDP),))
    limits = Limits(protocols=(Protocol.HTTP, Protocol.TCP))

    assert codes(intent, limits=limits) == []
    assert codes(udp, limits=limits) == [PROTOCOL_LIMIT]
    assert codes(udp, before=udp, limits=limits) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"host": "docs.example.org"}, []),
        ({"host": "*.docs.example.org"}, []),
        ({"host": "example.org"}, [DESTINATION_LIMIT]),
        ({"host": "*.org"}, [OPEN_TO_ANY_DESTINATION, DESTINATION_LIMIT]),
        ({"cidr": "203.0.114.0/25"}, []),
        ({"cidr": "203.0.114.0/23"}, [DESTINATION_LIMIT]),
        ({"cidr": "10.0.0.0/8", "granted": GRANT}, []),  # The grant is a gate of its own.
        ({"cidr": "8.8.8.8/32", "action": Action.DENY}, []),
    ],
)
def test_destinations_that_a_rule_may_open(fields, expected):
    limits = Limits(destinations=("*.example.org", "203.0.114.0/24"))
    intent = egress(rule(**fields))

    assert codes(intent, limits=limits) == expected
    assert codes(intent, before=intent, limits=limits) == []


def test_pools_that_a_rule_may_send_from():
    pools = tuple(
        SnatPool(name=name, cluster=cluster, addresses=("127.20.1.1",))
        for name, cluster in (("shared", "local"), ("own", "west"))
    )
    limits = Limits(pools=("shared",))

    def sending(name):
        return replace(egress(rule(host="example.org"), snat_pool=name), snat_pools=pools)

    assert codes(sending("shared"), limits=limits) == []
    assert codes(sending("own"), limits=limits) == [POOL_LIMIT]
    assert codes(sending(None), limits=limits) == [POOL_LIMIT]  # It is the only one of west.
    assert codes(sending(None), before=sending("own"), limits=limits) == []


@pytest.mark.parametrize(("count", "expected"), [(10, []), (11, [MANY_DELETES])])
def test_many_deletes_wait(count, expected):
    policies = tuple(EgressPolicy(name=f"p{n}", rules=()) for n in range(count))
    subnets = tuple(Subnet(cidr=f"10.{n}.0.0/24") for n in range(count + 1))
    segment = Segment(name="s", cluster="local", subnets=subnets)
    rules = [rule(host=f"h{n}.example.org") for n in range(count + 1)]

    assert codes(EMPTY, before=replace(EMPTY, egress_policies=policies)) == expected
    assert codes(egress(rules[0]), before=egress(*rules)) == expected
    assert (
        codes(
            replace(EMPTY, segments=(replace(segment, subnets=subnets[:1]),)),
            before=replace(EMPTY, segments=(segment,)),
        )
        == expected
    )


def test_shortening_a_list_of_addresses_deletes_nothing():
    before = replace(EMPTY, address_lists=listed("all", *EIGHTS))

    assert codes(replace(EMPTY, address_lists=listed("all", "8.8.8.8")), before=before) == []


def test_tenant_without_auto_apply_needs_a_second_person_each_time():
    changed = replace(EMPTY, address_lists=listed("a", "8.8.8.8"))

    assert codes(EMPTY, auto_apply=False) == []
    assert codes(changed, auto_apply=False) == [APPROVAL_REQUIRED]


def test_order_of_the_same_parts_is_no_change():
    rules = tuple(rule(n, host=f"h{n}.example.org") for n in (1, 2))
    one = replace(EMPTY, egress_policies=(EgressPolicy(name="p", rules=rules),))
    other = replace(EMPTY, egress_policies=(EgressPolicy(name="p", rules=rules[::-1]),))

    assert codes(other, before=one, auto_apply=False) == []


@pytest.mark.parametrize(
    ("intent", "message"),
    [
        (
            ingress(()),
            "Any client can reach 127.10.1.1:80. Name the networks that may connect, or have"
            " another member approve it.",
        ),
        (
            ingress(("8.0.0.0/7", "10.0.0.0/8")),
            "Clients in 8.0.0.0/7 (0.9% of the public IPv4 addresses) can reach 127.10.1.1:80. Name"
            " the networks that may connect, or have another member approve it.",
        ),
        (
            egress(rule(cidr="8.0.0.0/7")),
            "Workloads can reach 8.0.0.0/7 (0.9% of the public IPv4 addresses). Name the hosts or"
            " networks that are needed, or have another member approve it.",
        ),
        (
            egress(rule(cidr="10.0.0.0/8")),
            "Private destinations without a grant: 10.0.0.0/8 on port 443. A platform administrator"
            " must grant them to open them.",
        ),
    ],
)
def test_finding_says_what_to_do(intent, message):
    (finding,) = findings(EMPTY, intent)

    assert finding == Finding(finding.code, message)
    assert finding.plain() == {"code": finding.code, "message": message}


def test_thousands_of_rules_are_judged():
    rules = tuple(
        EgressRule(
            order=n, cidr=f"{n % 100 + 11}.{n // 100}.0.0/16", ports=(PortRange.single(443),)
        )
        for n in range(2_000)
    )
    big = replace(EMPTY, egress_policies=(EgressPolicy(name="p", rules=rules),))

    assert codes(big) == [OPEN_TO_ANY_DESTINATION]
