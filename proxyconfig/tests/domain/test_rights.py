"""A change needs the rights of all its parts."""

from dataclasses import replace

import pytest
from hypothesis import given

from proxyconfig.domain.intent import BgpPeer, Intent, PortList, PortRange, canonical
from proxyconfig.domain.objects import COLLECTIONS, Key, difference, merge, objects, remove
from proxyconfig.domain.rights import parts_by_action, required_actions
from proxyconfig.tests.domain.builders import EMPTY, GRANT, egress, listed, rule
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents, pairs
from tenants.domain.roles import GRANTS, PLATFORM_GRANTS, Action, PlatformRole, Role

OWN = {Action.EDIT_NETWORK, Action.EDIT_POLICY}


@WHOLE_INTENTS
@given(intent=intents())
def test_no_change_needs_no_right(intent):
    assert required_actions(intent, intent) == frozenset()


@WHOLE_INTENTS
@given(pair=pairs())
def test_every_object_of_a_change_is_under_the_right_it_needs(pair):
    before, after = pair
    parts = parts_by_action(before, after)

    assert required_actions(before, after) == frozenset(parts)
    named = [key for action in OWN for key in parts.get(action, ())]
    assert sorted(named) == sorted(
        change.key for change in difference(canonical(before), canonical(after))
    )


@WHOLE_INTENTS
@given(pair=pairs())
def test_rolling_back_needs_the_same_rights_of_the_tenant(pair):
    before, after = pair

    assert required_actions(before, after) & OWN == required_actions(after, before) & OWN


@WHOLE_INTENTS
@given(pair=pairs())
def test_a_part_of_a_change_needs_no_more_than_the_whole(pair):
    before, after = pair
    for key in list(objects(before))[:3]:
        less = merge(before, before, remove(before, key)).intent
        if key not in objects(after) and key.collection != "bgp-peers":
            assert required_actions(before, less) <= required_actions(before, after)


@WHOLE_INTENTS
@given(intent=intents())
def test_each_collection_needs_its_right(intent):
    quiet = replace(intent, bgp_peers=())  # A peer makes the lists it is told network.
    for entry in COLLECTIONS:
        whole = intent if entry.name == "bgp-peers" else quiet
        expected = Action.EDIT_NETWORK if entry.is_network else Action.EDIT_POLICY

        found = required_actions(whole, replace(whole, **{entry.field: ()}))

        assert found == ({expected} if getattr(whole, entry.field) else set())


def test_an_address_list_that_routers_are_told_is_network():
    peer = BgpPeer(
        name="p",
        cluster="local",
        address="10.0.0.1",
        asn=1,
        local_asn=2,
        advertise_lists=("announced",),
    )
    before = replace(EMPTY, bgp_peers=(peer,), address_lists=listed("announced", "8.8.8.8"))
    after = replace(before, address_lists=listed("announced", "9.9.9.9"))

    assert required_actions(before, after) == {Action.EDIT_NETWORK}
    other = replace(before, address_lists=(*before.address_lists, *listed("own", "9.9.9.9")))
    assert required_actions(before, other) == {Action.EDIT_POLICY}


@pytest.mark.parametrize(
    ("before", "after", "is_new"),
    [
        (EMPTY, egress(rule(cidr="10.0.0.0/8", granted=GRANT)), True),
        (EMPTY, egress(rule(cidr="10.0.0.0/8")), False),
        (
            egress(rule(cidr="10.0.0.0/8", granted=GRANT)),
            egress(rule(cidr="10.0.0.0/9", granted=GRANT)),
            False,
        ),
        (egress(rule(cidr="10.0.0.0/8", granted=GRANT)), egress(rule(cidr="10.0.0.0/8")), False),
        (
            egress(rule(cidr="10.0.0.0/9", granted=GRANT)),
            egress(rule(cidr="10.0.0.0/8", granted=GRANT)),
            True,
        ),
    ],
)
def test_new_grants_need_a_platform_administrator(before, after, is_new):
    parts = parts_by_action(before, after)

    assert parts.get(Action.GRANT_PRIVATE) == (
        (Key("egress-policies", "docs"),) if is_new else None
    )


def test_a_wider_port_list_under_a_grant_needs_a_platform_administrator():
    def listing(last: int) -> Intent:
        ports = PortList(name="web", ports=(PortRange(80, last),))
        granted = rule(cidr="10.0.0.0/8", granted=GRANT, ports=(), port_lists=("web",))
        return replace(egress(granted), port_lists=(ports,))

    assert required_actions(listing(90), listing(91)) == {Action.EDIT_POLICY, Action.GRANT_PRIVATE}
    assert required_actions(listing(91), listing(90)) == {Action.EDIT_POLICY}


def test_who_may_what():
    assert Action.EDIT_NETWORK not in GRANTS[Role.DEVOPS]
    assert GRANTS[Role.NETOPS] >= OWN
    assert Action.GRANT_PRIVATE not in GRANTS[Role.NETOPS] | PLATFORM_GRANTS[PlatformRole.NETOPS]
    assert Action.GRANT_PRIVATE in PLATFORM_GRANTS[PlatformRole.ADMIN]
