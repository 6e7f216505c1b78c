import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.domain.addresses import holdable, pool_complaint


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("127.10.1.1", "127.10.1.1"),
        (" 127.10.1.1 ", "127.10.1.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_holdable_address_has_one_spelling(text, canonical):
    assert holdable(text) == canonical


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.0.0.0", "means every address"),  # noqa: S104 - nothing binds; it is refused
        ("::", "means every address"),
        ("224.0.0.1", "is a multicast address"),
        ("169.254.169.254", "is link-local"),
        ("255.255.255.255", "is the broadcast address"),
        ("127.0.0.1", "belongs to the portal itself"),
        ("::ffff:127.0.0.1", "belongs to the portal itself"),
        ("::1", "belongs to the portal itself"),
    ],
)
def test_holdable_refuses_what_no_tenant_can_have(text, why):
    with pytest.raises(ValueError, match=why):
        holdable(text)


@pytest.mark.parametrize(
    "prefix", ["10.0.0.0/8", "127.10.0.0/16", "2001:db8::/32", "fd00::/8", "192.0.2.7/32"]
)
def test_pool_of_unicast_addresses(prefix):
    assert pool_complaint(prefix) == ""


@pytest.mark.parametrize(
    ("prefix", "why"),
    [
        ("0.0.0.0/0", "0.0.0.0/0 is every address"),
        ("::/0", "::/0 is every address"),
        ("224.0.0.0/4", "224.0.0.0/4 is multicast"),
        ("224.0.0.0/3", "224.0.0.0/3 includes 224.0.0.0/4, which is multicast"),
        ("ff02::/16", "ff02::/16 is multicast"),
        ("fe80::/64", "fe80::/64 is link-local"),
        ("169.254.169.0/24", "169.254.169.0/24 is link-local"),
        ("127.0.0.0/8", "127.0.0.0/8 includes 127.0.0.0/16, which belongs to the portal itself"),
        ("::/64", "::/64 includes ::, which means every address"),
        ("::fffe:0:0/95", "includes ::ffff:0:0/96, which is IPv4 written as IPv6"),
    ],
)
def test_pool_of_what_no_tenant_can_have(prefix, why):
    assert why in pool_complaint(prefix)


def test_holdable_refuses_what_is_no_address():
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        holdable("acme.example")


@given(st.ip_addresses())
def test_holdable_is_idempotent(address: ipaddress.IPv4Address | ipaddress.IPv6Address):
    try:
        once = holdable(str(address))
    except ValueError:
        return

    assert holdable(once) == once
