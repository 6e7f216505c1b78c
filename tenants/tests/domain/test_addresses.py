import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.domain.addresses import holdable


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
