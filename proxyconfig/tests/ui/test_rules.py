"""Egress rules as lines of text, and the numbers that they keep."""

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError

from proxyconfig.domain.fields import Action, PortRange, Transport
from proxyconfig.domain.intent import EgressRule, Grant
from proxyconfig.ui import rules

GRANT = Grant(by="ada", at=datetime(2026, 11, 1, tzinfo=UTC))


def rule(order=10, host=None, *ports, **more) -> EgressRule:
    return EgressRule(
        order=order, host=host, ports=tuple(map(PortRange.parse, ports or (443,))), **more
    )


def read(text: str) -> list[EgressRule]:
    return [line.rule for line in rules.parse(text)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("docs.example.org:443", rule(0, "docs.example.org", 443)),
        ("docs.example.org:443,8443", rule(0, "docs.example.org", 443, 8443)),
        ("Docs.Example.org 443, 8000-8099", rule(0, "docs.example.org", 443, "8000-8099")),
        ("allow *.example.org:443/tcp", rule(0, "*.example.org", 443)),
        ("203.0.113.0/24:443", rule(0, cidr="203.0.113.0/24")),
        ("203.0.113.7:443", rule(0, cidr="203.0.113.7/32")),
        ("2001:db8::1:443", rule(0, cidr="2001:db8::1/128")),
        ("[2001:db8::1]:443", rule(0, cidr="2001:db8::1/128")),
        ("[2001:db8::]/32 443", rule(0, cidr="2001:db8::/32")),
        (
            "deny 10.0.0.0/8:53/udp",
            rule(0, None, 53, cidr="10.0.0.0/8", action=Action.DENY, protocol=Transport.UDP),
        ),
        ("deny:443", rule(0, "deny")),
        ("deny 443", rule(0, "deny")),
    ],
)
def test_line_is_read(line, expected):
    assert read(line) == [expected]


def test_lists_are_named_with_an_at_sign():
    (found,) = read("@partners:443,@web/udp")

    assert (found.address_list, found.ports, found.port_lists, found.protocol) == (
        "partners",
        (PortRange.single(443),),
        ("web",),
        Transport.UDP,
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("b.example", "names no port"),
        ("10.0.0.1/8:443", "write 10.0.0.1/8 as 10.0.0.0/8"),
        ("fe80::1%eth0:443", "'fe80::1%eth0' names an interface; leave out %eth0"),
        ("::ffff:1.2.3.4:443", "write ::ffff:1.2.3.4 as 1.2.3.4."),
        ("[::ffff:1.2.3.4]:443", "write ::ffff:1.2.3.4 as 1.2.3.4."),
        ("1.2.3:443", "'1.2.3' is not an IP address"),
        ("*.2.3:443", "'*.2.3' is not an IP address"),
        ("010.0.0.1:443", "write 010.0.0.1 as 10.0.0.1."),
        ("docs.example:80:443", "'docs.example:80' is not an IP address"),
        ("[2001:DB8::]/32 443", "write 2001:DB8::/32 as 2001:db8::/32"),
        ("[2001:DB8::1]:443", "write 2001:DB8::1 as 2001:db8::1"),
        ("127.1:443", "'127.1' is not an IP address"),
        ("b.example:99999", "not within 1 to 65535"),
        ("@No:443", "not the name of a list"),
    ],
)
def test_wrong_line_is_named_by_its_number(line, said):
    with pytest.raises(ValidationError) as caught:
        rules.parse(f"a.example:443\n\n{line}")

    (message,) = caught.value.messages
    assert message.startswith("Line 3: ")
    assert said in message


def test_rules_that_stay_keep_their_numbers_and_grants():
    old = [rule(10, "a.example"), rule(20, None, 80, 443, cidr="10.0.0.0/8", granted=GRANT)]
    new = read("b.example:443\na.example:443\nc.example:443\n10.0.0.0/8:443")

    kept = rules.renumber(old, new)

    assert [found.order for found in kept] == [5, 10, 15, 20]
    assert kept[3].granted == GRANT


def test_grant_does_not_reach_further_than_before():
    old = [rule(20, cidr="10.0.0.0/8", granted=GRANT)]

    (wider,) = rules.renumber(old, read("10.0.0.0/8:22,443"))

    assert (wider.order, wider.granted) == (20, None)


def test_rules_are_numbered_anew_where_there_is_no_room():
    old = [rule(1, "a.example"), rule(2, "b.example")]

    found = rules.renumber(old, read("a.example:443\nnew.example:443\nb.example:443"))

    assert [entry.order for entry in found] == [10, 20, 30]


def test_rules_that_changed_places_get_new_numbers():
    old = [rule(10, "a.example"), rule(20, "b.example")]

    found = rules.renumber(old, read("b.example:443\na.example:443"))

    orders = [entry.order for entry in found]
    assert orders == sorted(set(orders))


def test_nothing_changes_without_a_change():
    old = [rule(7, "a.example"), rule(9, "a.example"), rule(1000, cidr="10.0.0.0/8", granted=GRANT)]

    assert rules.renumber(old, read(rules.write(old))) == tuple(old)


def test_many_wrong_words_are_read_quickly():
    with pytest.raises(ValidationError):
        rules.parse("a " + "@a," * 5000 + "!")
