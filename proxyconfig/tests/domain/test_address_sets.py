"""Sets of addresses: laws of sets, one value however it was written, and what is public."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain.address_sets import AddressSet, network_of, phrase, public_space
from proxyconfig.domain.destinations import is_public

# A small corner of each family, so that networks overlap and touch often.
networks = st.one_of(
    st.builds(
        lambda number, bits: str(ipaddress.ip_network((number, bits), strict=False)),
        st.integers(0, 255).map(lambda number: (10 << 24) + number),
        st.integers(24, 32),
    ),
    st.builds(
        lambda number, bits: str(ipaddress.ip_network((number, bits), strict=False)),
        st.integers(0, 255).map(lambda number: (0xFD << 120) + number),
        st.integers(120, 128),
    ),
)
lists = st.lists(networks, max_size=6)


def members(texts: list[str]) -> set[object]:
    """Every address, one by one."""
    return {address for text in texts for address in ipaddress.ip_network(text)}


@given(left=lists, right=lists)
def test_set_operations_are_those_of_the_addresses(left, right):
    one, other = AddressSet.of(left), AddressSet.of(right)

    for built, expected in (
        (one | other, members(left) | members(right)),
        (one - other, members(left) - members(right)),
        (one & other, members(left) & members(right)),
    ):
        assert members([str(network) for network in built.networks()]) == expected
        assert built.size(4) + built.size(6) == len(expected)
    assert (one <= other) == (members(left) <= members(right))
    assert bool(one) == bool(left)


@given(texts=lists)
def test_equal_sets_are_equal_values(texts):
    halves = [str(half) for text in texts for half in _halves(ipaddress.ip_network(text))]

    built = AddressSet.of(texts)

    assert AddressSet.of([*reversed(halves), *texts]) == built
    assert AddressSet.of(str(network) for network in built.networks()) == built
    assert AddressSet.union([built.family(4), built.family(6), built]) == built


def _halves(network):
    return network.subnets() if network.prefixlen < network.max_prefixlen else [network]


@given(address=st.ip_addresses())
def test_public_part_is_what_is_public(address):
    mapped = getattr(address, "ipv4_mapped", None)

    assert bool(AddressSet.of([str(address)]).public) == is_public(mapped or address)


def test_public_space_ends_exactly_where_public_addresses_end():
    for version, kind in ((4, ipaddress.IPv4Address), (6, ipaddress.IPv6Address)):
        space = public_space().family(version)
        for first, last in space.v4 or space.v6:
            assert is_public(kind(first))
            assert is_public(kind(last))
            assert not is_public(kind(first - 1))
            assert not is_public(kind(last + 1))


def test_every_registered_private_network_has_no_public_part():
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1"]

    assert not AddressSet.of(private).public
    assert AddressSet.of([*private, "9.0.0.0/8"]).public == AddressSet.of(["9.0.0.0/8"])


def test_thousands_of_networks_are_one_set():
    texts = [str(network) for network in ipaddress.ip_network("10.0.0.0/8").subnets(new_prefix=20)]

    assert AddressSet.of(texts) == AddressSet.of(["10.0.0.0/8"])
    assert AddressSet.of(texts[::2]).size(4) == 1 << 23


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.7/8", "10.0.0.0/8"),
        ("10.0.0.7", "10.0.0.7/32"),
        ("::ffff:10.0.0.7", "10.0.0.7/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("host", None),
        ("", None),
        ("10.0.0.0/33", None),
    ],
)
def test_stored_text_of_any_spelling_is_a_network_or_nothing(text, network):
    found = network_of(text)

    assert (None if found is None else str(found)) == network


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "no address"),
        (["10.0.0.1"], "10.0.0.1"),
        (["10.0.0.0/9", "10.128.0.0/9"], "10.0.0.0/8"),
        (["fd00::/8", "10.0.0.0/8"], "10.0.0.0/8, fd00::/8"),
        (
            ["10.0.0.0/24", "10.0.2.0/24", "10.0.4.0/24", "10.0.6.0/24"],
            "10.0.0.0/24, 10.0.2.0/24, 10.0.4.0/24 and 1 more network",
        ),
    ],
)
def test_set_in_words_is_short(texts, said):
    assert str(AddressSet.of(texts)) == said


def test_the_internet_in_words():
    assert phrase(public_space()) == "any public address"
    assert phrase(AddressSet.of(["0.0.0.0/0"]).public) == "any public IPv4 address"
    assert phrase(AddressSet.of(["8.8.8.8"])) == "8.8.8.8"
