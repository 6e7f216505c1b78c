"""One way of writing each thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain.fields import PortRange
from proxyconfig.domain.notation import complaint, is_numeric_host
from tenants.domain.notation import as_network


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
    ("form", "text", "right"),
    [
        ("address", "10.0.0.01", "10.0.0.1"),
        ("address", "010.0.0.1", "10.0.0.1"),
        ("address", " 10.0.0.1 ", "10.0.0.1"),
        ("address", "10.0.0.1\n", "10.0.0.1"),
        ("address", "2001:DB8::1", "2001:db8::1"),
        ("address", "2001:db8:0:0::1", "2001:db8::1"),
        ("address", "[2001:db8::1]", "2001:db8::1"),
        ("address", "::ffff:1.2.3.4", "1.2.3.4"),
        ("address", "::ffff:102:304", "1.2.3.4"),
        ("cidr", "10.0.0.1/8", "10.0.0.0/8"),
        ("cidr", "10.0.0.0/08", "10.0.0.0/8"),
        ("cidr", "10.1.2.3/032", "10.1.2.3/32"),
        ("cidr", "10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("cidr", "10.0.0.0/0.255.255.255", "10.0.0.0/8"),
        ("cidr", "10.0.0.0/8 ", "10.0.0.0/8"),
        ("cidr", "010.0.0.0/8", "10.0.0.0/8"),
        ("cidr", "10/8", "10.0.0.0/8"),
        ("cidr", "10.1/16", "10.1.0.0/16"),
        ("cidr", "0/0", "0.0.0.0/0, or ::/0 for IPv6"),
        ("cidr", "2001:DB8::/32", "2001:db8::/32"),
        ("cidr", "2001:db8::1/32", "2001:db8::/32"),
        ("cidr", "::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("source", "0/0", "0.0.0.0/0, or ::/0 for IPv6"),
        ("source", "::FFFF:10.0.0.1", "10.0.0.1"),
        ("destination", "10.0.0.1/8", "10.0.0.0/8"),
        ("destination", "Example.org", "example.org"),
        ("host", "Example.ORG.", "example.org"),
        ("host", " example.org", "example.org"),
        ("host", "*.Example.org", "*.example.org"),
    ],
)
def test_complaint_shows_the_right_spelling(form, text, right):
    assert complaint(form, text) == f"write {text} as {right}"


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [
        ("address", "fe80::1%eth0", "leave out %eth0"),
        ("cidr", "fe80::%eth0/64", "leave out %eth0"),
        ("address", "10.0.0.0/8", "is a network; name one address of it"),
        ("cidr", "10.0.0.1", "write 10.0.0.1/32 for this one address"),
        ("cidr", "2001:db8::1", "write 2001:db8::1/128 for this one address"),
        ("cidr", "10.0.0.0/33", "is not a network such as 10.1.0.0/16"),
        ("cidr", "10.0.0.0/", "is not a network such as 10.1.0.0/16"),
        ("cidr", "0x10/8", "is not a network such as 10.1.0.0/16"),
        ("cidr", f"{'9' * 5000}/8", "is not a network such as 10.1.0.0/16"),
        ("host", "EXA MPLE.org", "is not a host name"),
        ("destination", "127.1", "is not an IP address"),
    ],
)
def test_complaint_says_what_to_do(form, text, said):
    assert said in complaint(form, text)


odd_texts = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[ \[]?[0-9a-fA-FxX]{0,4}([.:][0-9a-fA-F]{0,4}){0,5}(/[0-9.]{0,4})?[ \]%]?"),
    st.ip_addresses().map(str),
    st.tuples(st.ip_addresses(), st.integers(-1, 130)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.from_regex(r"(\*\.)?[ A-Za-z0-9_-]{0,5}(\.[A-Za-z0-9-]{0,5}){0,3}\.?"),
)


@pytest.mark.parametrize("form", ["address", "cidr", "source", "host", "destination"])
@given(text=odd_texts)
def test_no_text_raises_and_what_is_suggested_is_well_written(form, text):
    said = complaint(form, text)

    if said.startswith(f"write {text} as "):
        right = said.removeprefix(f"write {text} as ").removesuffix(", or ::/0 for IPv6")
        assert complaint(form, right) == ""
    if not said and form in ("cidr", "source"):
        assert str(as_network(text)).removesuffix("/32").removesuffix("/128") == (
            text.removesuffix("/32").removesuffix("/128")
        )


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
