"""One way of writing each thing."""

import pytest

from proxyconfig.domain.fields import PortRange
from proxyconfig.domain.notation import complaint, is_numeric_host


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("address", "10.0.0.1"),
        ("address", "2001:db8::1"),
        ("cidr", "10.0.0.0/8"),
        ("source", "10.0.0.1"),
        ("source", "10.0.0.0/8"),
        ("host", "example.org"),
        ("host", "*.example.org"),
        ("host", "localhost"),
        ("host", "xn--bcher-kva.example"),
        ("host", "1e100.net"),
        ("", "anything"),
    ],
)
def test_well_written(form, text):
    assert complaint(form, text) == ""


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("address", "10.0.0.01"),
        ("address", "10.0.0.0/8"),
        ("address", "2001:DB8::1"),
        ("address", "fe80::1%eth0"),
        ("cidr", "10.0.0.1"),
        ("cidr", "10.0.0.1/8"),
        ("cidr", "10.0.0.0/33"),
        ("source", "host"),
        ("host", "exa mple.org"),
        ("host", "*.*.example.org"),
        ("host", "*"),
        ("host", "a..b"),
        ("host", "-a.example"),
        ("host", "a-.example"),
        ("host", "bücher.example"),
        ("host", "127.0.0.1"),
        ("host", "::1"),
        ("host", "user@example.org"),
        ("host", "example.org:80"),
        ("host", f"{'a' * 64}.example"),
        ("host", ".".join(["a" * 60] * 5)),
    ],
)
def test_badly_written(form, text):
    assert complaint(form, text) != ""


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "0x7F000001", "2130706433", "017700000001", "a.1", "1."]
)
def test_hosts_that_some_resolvers_take_for_addresses(host):
    assert is_numeric_host(host)


@pytest.mark.parametrize("host", ["1e100.net", "a1", "0xg.example", "x0x7f"])
def test_hosts_that_are_names(host):
    assert not is_numeric_host(host)


@pytest.mark.parametrize("value", [0, 65536, "1-", "-1", "a", True, "1-2-3", "9-8", ""])
def test_no_port_range(value):
    with pytest.raises(ValueError, match=r"port|1 to 65535"):
        PortRange.parse(value)


def test_port_ranges_are_inclusive():
    ports = PortRange.parse("8000-8002")

    assert [port for port in range(7999, 8004) if port in ports] == [8000, 8001, 8002]
    assert PortRange.parse("443").plain() == 443
    assert str(ports) == "8000-8002"
