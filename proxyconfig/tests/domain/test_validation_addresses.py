"""Which addresses of a subnet a tenant may use, in whatever role."""

from dataclasses import replace

import pytest

from proxyconfig.domain.intent import SelfIp, SnatPool, Subnet, VirtualAddress
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.tests.domain.test_validation import BASE, segment


def held_at(role: str, cidr: str, address: str, **where: object) -> dict[str, object]:
    """A segment with the subnet, and the address in that role."""
    gateway = address if role == "gateway" else None
    two = segment("two", subnets=(Subnet(cidr=cidr, gateway=gateway),))
    place = {"cluster": "local", **where}
    return {
        "gateway": {},
        "self-IP": {"self_ips": (SelfIp(segment="two", number=1, address=address),)},
        "virtual": {
            "virtual_addresses": (
                *BASE.virtual_addresses,
                VirtualAddress(address=address, **place),
            )
        },
        "SNAT": {"snat_pools": (SnatPool(name="two", addresses=(address,), **place),)},
    }[role] | {"segments": (*BASE.segments, two)}


ROLES = ("gateway", "self-IP", "virtual", "SNAT")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("cidr", "address"),
    [
        ("10.9.0.0/24", "10.9.0.0"),
        ("10.9.0.0/24", "10.9.0.255"),
        ("10.9.0.4/30", "10.9.0.4"),
        ("10.9.0.4/30", "10.9.0.7"),
        ("fd00:9::/64", "fd00:9::"),
    ],
)
def test_no_role_takes_an_address_that_no_host_has(role, cidr, address):
    problems = blocking(validate(replace(BASE, **held_at(role, cidr, address))))

    (said,) = [problem.message for problem in problems]
    assert cidr in said
    assert address in said


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("cidr", "address"),
    [
        ("10.9.0.0/24", "10.9.0.254"),
        ("10.9.0.4/31", "10.9.0.4"),
        ("10.9.0.4/31", "10.9.0.5"),
        ("10.9.0.4/32", "10.9.0.4"),
        ("fd00:9::/64", "fd00:9::1"),
        ("fd00:9::/64", "fd00:9::ffff:ffff:ffff:ffff"),
        ("fd00:9::/127", "fd00:9::"),
    ],
)
def test_every_role_takes_a_host_address(role, cidr, address):
    assert blocking(validate(replace(BASE, **held_at(role, cidr, address)))) == []


@pytest.mark.parametrize("where", [{"cluster": "other"}, {"vrf": "blue"}])
@pytest.mark.parametrize("role", ["virtual", "SNAT"])
def test_an_edge_of_a_subnet_elsewhere_is_a_host_address(role, where):
    problems = validate(replace(BASE, **held_at(role, "10.9.0.0/24", "10.9.0.255", **where)))

    assert "address-unusable" not in [problem.code for problem in problems]
