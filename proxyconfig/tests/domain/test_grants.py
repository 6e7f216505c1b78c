"""Grants never arrive silently, and are bound to policy, network and ports."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from proxyconfig.domain.grants import (
    asking,
    new_grants,
    new_ungranted,
    with_grants,
    with_kept_grants,
    without_new_grants,
)
from proxyconfig.domain.intent import Action, Grant, Intent, PortList, PortRange, Transport
from proxyconfig.tests.domain.builders import EMPTY, GRANT, NOW, egress, listed, rule
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents, pairs

FORGED = Grant(by="mallory@example.org", at=NOW + timedelta(days=1))
BEFORE = egress(rule(cidr="10.0.0.0/8", granted=GRANT, ports=(PortRange(80, 90),)))


def granted(intent: Intent) -> list[Grant | None]:
    """The grants of the rules, in order."""
    return [one.granted for policy in intent.egress_policies for one in policy.rules]


@pytest.mark.parametrize(
    ("fields", "is_kept"),
    [
        ({}, True),
        ({"cidr": "10.1.0.0/16"}, True),
        ({"cidr": "10.1.2.3/32"}, True),
        ({"cidr": "11.0.0.0/8"}, False),
        ({"cidr": "172.16.0.0/12"}, False),
        ({"ports": (PortRange(82, 85),)}, True),
        ({"ports": (PortRange(80, 85), PortRange(86, 90))}, True),
        ({"ports": (PortRange(80, 91),)}, False),
        ({"ports": (PortRange.single(443),)}, False),
        ({"port_lists": ("web",)}, False),
        ({"ports": (), "port_lists": ("inside",)}, True),
        ({"protocol": Transport.UDP}, False),
        ({"action": Action.DENY}, False),
    ],
)
def test_a_grant_is_bound_to_network_and_ports(fields, is_kept):
    wanted = {"cidr": "10.0.0.0/8", "granted": FORGED, "ports": (PortRange(80, 90),)} | fields
    after = replace(
        egress(rule(**wanted)),
        port_lists=(
            PortList(name="web", ports=(PortRange.single(443),)),
            PortList(name="inside", ports=(PortRange(81, 82),)),
        ),
    )

    assert granted(without_new_grants(BEFORE, after)) == [GRANT if is_kept else None]
    assert [one.granted for _, one in new_grants(BEFORE, after)] == ([] if is_kept else [FORGED])


def test_a_grant_is_bound_to_the_policy():
    after = egress(*BEFORE.egress_policies[0].rules, name="other")

    assert granted(without_new_grants(BEFORE, after)) == [None]


def test_a_grant_does_not_depend_on_how_rules_are_cut():
    halves = egress(
        rule(cidr="10.0.0.0/9", granted=GRANT), rule(cidr="10.128.0.0/9", granted=GRANT)
    )
    whole = egress(rule(host="example.org"), rule(cidr="10.0.0.0/8", granted=FORGED))

    assert granted(without_new_grants(halves, whole)) == [None, GRANT]
    assert granted(without_new_grants(whole, halves)) == [FORGED, FORGED]


def test_a_wider_port_list_takes_the_grant_away():
    def listing(last):
        ports = PortList(name="web", ports=(PortRange(80, last),))
        rules = rule(cidr="10.0.0.0/8", granted=GRANT, ports=(), port_lists=("web",))
        return replace(egress(rules), port_lists=(ports,))

    assert granted(without_new_grants(listing(90), listing(85))) == [GRANT]
    assert granted(without_new_grants(listing(90), listing(91))) == [None]


def test_edits_that_say_nothing_about_grants_keep_them():
    after = egress(rule(host="example.org"), rule(cidr="10.0.0.0/9", ports=(PortRange(80, 90),)))

    assert granted(with_kept_grants(BEFORE, after)) == [None, GRANT]
    assert granted(without_new_grants(BEFORE, after)) == [None, None]


def test_granting_names_who_and_when_and_keeps_what_was_granted():
    after = egress(
        rule(cidr="10.0.0.0/8", granted=FORGED, ports=(PortRange(80, 90),)),
        rule(cidr="172.16.0.0/12"),
        rule(cidr="8.0.0.0/8"),
        rule(cidr="192.168.0.0/16", action=Action.DENY),
        rule(address_list="private"),
    )
    after = replace(after, address_lists=listed("private", "10.0.0.0/8"))
    new = Grant(by="ada", at=NOW)

    assert granted(with_grants(BEFORE, after, by="ada", at=NOW)) == [GRANT, new, None, None, None]


def test_granting_a_change_grants_nothing_that_was_there_before():
    before = egress(rule(cidr="10.9.0.0/16", ports=(PortRange(1, 65535),)), name="hidden")
    asked = egress(rule(cidr="10.6.0.0/16"), name="wanted")
    after = replace(before, egress_policies=(*before.egress_policies, *asked.egress_policies))
    new = Grant(by="ada", at=NOW)

    assert granted(with_grants(before, after, by="ada", at=NOW)) == [None, new]


def test_a_grant_that_is_asked_for_by_name_is_given():
    before = egress(rule(cidr="10.9.0.0/16"))

    asked = asking(before, before, before.egress_policies[0].name)

    assert granted(without_new_grants(before, asked)) == [None]
    assert granted(with_grants(before, asked, by="ada", at=NOW)) == [Grant(by="ada", at=NOW)]


@pytest.mark.parametrize(
    ("was", "now", "is_kept"),
    [
        (NOW, None, False),
        (NOW, NOW + timedelta(days=1), False),
        (NOW, NOW - timedelta(days=1), True),
        (None, NOW, True),
    ],
)
def test_a_grant_lasts_as_long_as_it_was_given_for(was, now, is_kept):
    def until(moment):
        intent = egress(rule(cidr="10.0.0.0/8", granted=GRANT))
        (policy,) = intent.egress_policies
        return replace(intent, egress_policies=(replace(policy, expires_at=moment),))

    assert granted(without_new_grants(until(was), until(now))) == [GRANT if is_kept else None]


@WHOLE_INTENTS
@given(pair=pairs())
def test_laws_of_grants(pair):
    before, after = pair
    stripped = without_new_grants(before, after)
    full = with_grants(before, after, by="ada", at=NOW)

    assert list(new_grants(before, stripped)) == []
    assert without_new_grants(before, stripped) == stripped
    assert list(new_ungranted(before, full)) == []
    assert without_new_grants(EMPTY, full) == without_new_grants(EMPTY, after)


@WHOLE_INTENTS
@given(intent=intents())
def test_what_does_not_change_keeps_its_grants(intent):
    assert list(new_grants(intent, intent)) == []
    kept = without_new_grants(intent, intent)
    assert [one is None for one in granted(kept)] == [one is None for one in granted(intent)]
