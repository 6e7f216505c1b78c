"""Public or not: the holes of ``is_global`` are closed."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain.destinations import can_be_granted, is_public, unmapped


@pytest.mark.parametrize("text", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_addresses(text):
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.88.99.1",
        "168.63.129.16",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:a9fe:a9fe::",
        "2001:0:a9fe:a9fe::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "2001:db8::1",
    ],
)
def test_addresses_that_need_a_grant(text):
    assert not is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_mapped_addresses_are_judged_as_what_they_hide(address):
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")

    assert unmapped(mapped) == address
    assert is_public(mapped) == is_public(address)


@given(st.ip_addresses(v=4))
def test_nat64_and_6to4_never_open_anything(address):
    number = int(address)

    assert not is_public(ipaddress.IPv6Address((0x64FF9B << 96) | number))
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) | (number << 80)))


@pytest.mark.parametrize(
    ("cidr", "is_grantable"),
    [
        ("127.30.0.10/32", True),
        ("10.0.0.0/8", True),
        ("fd00::/8", True),
        ("0.0.0.0/0", False),
        ("8.0.0.0/5", False),
        ("192.0.0.0/8", False),
        ("::/0", False),
        ("93.184.216.34/32", False),
    ],
)
def test_grants_are_for_private_networks_only(cidr, is_grantable):
    assert can_be_granted(ipaddress.ip_network(cidr)) == is_grantable
