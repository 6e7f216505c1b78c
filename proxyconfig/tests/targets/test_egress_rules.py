"""Matching: what a rule opens, what it never opens, and in which order rules speak."""

import asyncio
import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain.destinations import is_public
from proxyconfig.targets.local.egress_dial import routes
from proxyconfig.targets.local.egress_rules import (
    Decision,
    Destination,
    NoSourceError,
    TenantPolicy,
    decide,
    decide_unresolved,
    source_address,
)
from proxyconfig.tests.targets.local_processes import entry, rule
from tenants.domain.notation import IpAddress
from tenants.domain.states import Verdict
from tenants.errors import InvalidError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
PUBLIC = ipaddress.ip_address("93.184.216.34")
DEFAULT = "acme/default-deny"

any_address = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
any_port = st.integers(1, 65535)


def policy(*rules: dict[str, object]) -> TenantPolicy:
    return TenantPolicy.parse("acme", entry("acme", *rules))


def at(authority: str) -> Destination:
    return Destination.parse(authority)


@pytest.mark.parametrize(
    ("authority", "host", "port"),
    [
        ("example.org:443", "example.org", 443),
        ("EXAMPLE.org.:443", "example.org", 443),
        ("xn--bcher-kva.example:80", "xn--bcher-kva.example", 80),
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[2001:DB8:0::1]:443", "2001:db8::1", 443),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1", 80),
    ],
)
def test_destination_is_normalised(authority, host, port):
    destination = at(authority)

    assert (destination.host, destination.port) == (host, port)


@pytest.mark.parametrize(
    "authority",
    [
        "example.org",
        "example.org:",
        "example.org:0",
        "example.org:65536",
        "example.org:+80",
        "user@example.org:80",
        "user:pw@example.org:80",
        "example.org\\@evil.org:80",
        "exa mple.org:80",
        "bücher.example:80",
        "0x7f.1:80",
        "127.1:80",
        "2130706433:80",
        "017700000001:80",
        "127.0.0.1.:80",
        "::1:80",
        "[::1]80",
        "[::1:80",
        "[fe80::1%eth0]:80",
        "[v1.x]:80",
        "[127.0.0.1]:80",
        "..:80",
        ":80",
        "a/b:80",
        "a\x00b:80",
    ],
)
def test_destination_that_could_be_read_twice_is_refused(authority):
    with pytest.raises(ValueError, match=r"plain host|port"):
        at(authority)


@given(address=any_address, port=any_port)
def test_without_rules_nothing_passes(address, port):
    destination = Destination(str(address), port, address)

    decision = decide(policy(), destination, address, now=NOW)

    assert (decision.verdict, decision.rule_id) == (Verdict.DENIED, DEFAULT)
    assert "acme" in decision.message


@given(address=any_address, port=any_port)
def test_no_ungranted_rule_ever_opens_an_address_that_is_not_public(address, port):
    wide = rule(networks=["0.0.0.0/0", "::/0"], granted=False)
    named = rule(2, host="*.example.org")
    name = Destination("www.example.org", port)

    for destination in (Destination(str(address), port, address), name):
        decision = decide(policy(wide, named), destination, address, now=NOW)
        assert decision.is_allowed == is_public(address)


@given(address=any_address, port=any_port)
def test_a_host_rule_with_grant_opens_no_private_address_either(address, port):
    granted = rule(host="www.example.org", granted=True)

    decision = decide(policy(granted), Destination("www.example.org", port), address, now=NOW)

    assert decision.is_allowed == is_public(address)


@given(port=any_port, bounds=st.tuples(any_port, any_port).map(sorted))
def test_ports_are_inclusive(port, bounds):
    low, high = bounds
    limited = rule(networks=["93.184.216.0/24"], ports=[[low, high]])

    decision = decide(policy(limited), Destination(str(PUBLIC), port, PUBLIC), PUBLIC, now=NOW)

    assert decision.is_allowed == (low <= port <= high)


@pytest.mark.parametrize(
    ("host", "named", "fits"),
    [
        ("example.org", "example.org", True),
        ("example.org", "www.example.org", False),
        ("*.example.org", "www.example.org", True),
        ("*.example.org", "a.b.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "badexample.org", False),
        ("*.example.org", "example.org.evil.net", False),
    ],
)
def test_host_rules(host, named, fits):
    decision = decide(policy(rule(host=host)), at(f"{named}:443"), PUBLIC, now=NOW)

    assert decision.is_allowed == fits


def test_an_address_is_no_name():
    assert not decide(
        policy(rule(host="93.184.216.34")), at("93.184.216.34:443"), PUBLIC, now=NOW
    ).is_allowed


def test_granted_network_opens_its_addresses_and_no_others():
    granted = policy(rule(networks=["127.30.0.10/32"]))
    inside, outside = ipaddress.ip_address("127.30.0.10"), ipaddress.ip_address("127.30.0.11")

    assert decide(granted, at("127.30.0.10:80"), inside, now=NOW).is_allowed
    assert not decide(granted, at("127.30.0.11:80"), outside, now=NOW).is_allowed
    # A name that resolves there is let in by the network, not by the name.
    assert decide(granted, at("search.example:80"), inside, now=NOW).is_allowed


def test_private_address_behind_an_allowed_name_is_explained():
    private = ipaddress.ip_address("169.254.169.254")

    decision = decide(policy(rule(host="meta.example")), at("meta.example:80"), private, now=NOW)

    assert decision.rule_id == DEFAULT
    assert decision.message == (
        "Rule acme/web/1 names meta.example:80, but 169.254.169.254 is not a public address. "
        "Only a rule by CIDR that a platform administrator granted can open it."
    )


def test_the_first_rule_that_fits_decides():
    deny = rule(1, networks=["93.184.216.34/32"], action="deny")
    allow = rule(2, host="example.org")
    destination = at("example.org:443")

    assert decide(policy(deny, allow), destination, PUBLIC, now=NOW).rule_id == "acme/web/1"
    assert decide(policy(allow, deny), destination, PUBLIC, now=NOW).rule_id == "acme/web/2"


def test_staged_rules_allow_nothing_and_mark_what_they_would_deny():
    staged_allow = rule(1, host="example.org", mode="staged")
    staged_deny = rule(2, host="example.org", mode="staged", action="deny")
    allow = rule(3, host="example.org")
    destination = at("example.org:443")

    marked = decide(policy(staged_deny, allow), destination, PUBLIC, now=NOW)

    assert not decide(policy(staged_allow), destination, PUBLIC, now=NOW).is_allowed
    assert (marked.verdict, marked.rule_id) == (Verdict.WOULD_DENY, "acme/web/2")
    assert marked.is_allowed


def test_an_expired_rule_fits_nothing():
    ends = rule(host="example.org", expires_at=NOW.isoformat())
    moment = timedelta(microseconds=1)
    destination = at("example.org:443")

    assert decide(policy(ends), destination, PUBLIC, now=NOW - moment).is_allowed
    assert not decide(policy(ends), destination, PUBLIC, now=NOW).is_allowed
    assert policy(ends).next_expiry(NOW - moment) == NOW
    assert policy(ends).next_expiry(NOW) is None


@pytest.mark.parametrize(
    ("rules", "certain"),
    [
        ([], DEFAULT),
        ([rule(host="other.example")], DEFAULT),
        ([rule(host="example.org", ports=[[80, 80]])], DEFAULT),
        ([rule(host="example.org", mode="staged")], DEFAULT),
        ([rule(host="example.org", action="deny"), rule(2, host="example.org")], "acme/web/1"),
        ([rule(host="example.org")], None),
        ([rule(networks=["192.0.2.0/24"])], None),
    ],
)
def test_names_that_no_rule_can_allow_are_not_looked_up(rules, certain):
    decision = decide_unresolved(policy(*rules), at("example.org:443"), now=NOW)

    assert (decision.rule_id if decision else None) == certain


@pytest.mark.parametrize(
    ("snat", "address", "source"),
    [
        (["127.20.1.1"], "127.30.0.10", "127.20.1.1"),
        (["203.0.113.5"], "93.184.216.34", "203.0.113.5"),
        (["2001:db8::5", "203.0.113.5"], "93.184.216.34", "203.0.113.5"),
        (["127.20.1.1", "203.0.113.5"], "93.184.216.34", "203.0.113.5"),
        (["203.0.113.5"], "10.1.2.3", "203.0.113.5"),
        (["127.20.1.1"], "::ffff:127.0.0.1", "127.20.1.1"),
        # A demonstration on one machine.
        (["127.20.1.1"], "93.184.216.34", None),
        (["127.20.1.1"], "2606:4700::1", None),
    ],
)
def test_source_address(snat, address, source):
    pool = [ipaddress.ip_address(text) for text in snat]
    chosen = source_address(pool, ipaddress.ip_address(address))

    assert (str(chosen) if chosen else None) == source


@pytest.mark.parametrize(
    ("snat", "address", "family"),
    [
        ([], "127.0.0.1", "IPv4"),
        ([], "93.184.216.34", "IPv4"),
        ([], "2606:4700::1", "IPv6"),
        (["203.0.113.5"], "2606:4700::1", "IPv6"),
        (["127.20.1.1", "203.0.113.5"], "2606:4700::1", "IPv6"),
        (["127.20.1.1"], "10.1.2.3", "IPv4"),
        (["127.20.1.1"], "::1", "IPv6"),
    ],
)
def test_without_a_source_of_the_family_nothing_leaves(snat, address, family):
    pool = [ipaddress.ip_address(text) for text in snat]

    with pytest.raises(NoSourceError, match=f"No SNAT address of this tenant for {family}"):
        source_address(pool, ipaddress.ip_address(address))


def ways_of(snat: list[str], *addresses: str) -> list[str] | Decision:
    """The addresses that a client of a rule with these SNAT addresses may reach, by name."""

    async def resolver(host: str, port: int) -> list[IpAddress]:
        return [ipaddress.ip_address(address) for address in addresses]

    known = policy(rule(host="example.org", snat=snat))
    found = asyncio.run(
        routes(known, at("example.org:443"), resolver=resolver, timeout_seconds=1, now=NOW)
    )
    return found if isinstance(found, Decision) else [str(route.address) for route in found]


def test_tenant_without_a_snat_address_is_denied_with_a_reason():
    denied = ways_of([], "93.184.216.34")

    assert denied == Decision(
        Verdict.DENIED,
        "acme/web/1",
        "No SNAT address of this tenant for IPv4 destinations. Ask NetOps to add one.",
    )


def test_family_without_a_snat_address_is_no_way_to_a_name_that_has_both():
    assert ways_of(["203.0.113.5"], "2606:4700::1", "93.184.216.34") == ["93.184.216.34"]
    assert ways_of(["203.0.113.5"], "2606:4700::1").message == (
        "No SNAT address of this tenant for IPv6 destinations. Ask NetOps to add one."
    )


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        entry("globex"),
        entry("acme") | {"credential_sha256": "short"},
        entry("acme", {"id": "x"}),
        entry("acme", rule(action="maybe")),
        entry("acme", rule(networks=["10.0.0.1/8"])),
        entry("acme", rule(ports=[443])),
    ],
)
def test_an_entry_that_cannot_be_read_is_refused(body):
    with pytest.raises(InvalidError, match="The entry of acme cannot be read"):
        TenantPolicy.parse("acme", body)
