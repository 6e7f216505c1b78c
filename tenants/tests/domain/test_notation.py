"""Names of trunks; how addresses and networks are written is tested beside host names."""

import pytest

from tenants.domain.notation import as_network, trunk_complaint


@pytest.mark.parametrize("name", ["1.1", "bond0", "Ethernet1/2", "eth0.100", "po_1-a"])
def test_trunks(name):
    assert trunk_complaint(name) == ""


@pytest.mark.parametrize("name", ["", "é x<b>", "1 1", ".1", "a\n"])
def test_no_trunks(name):
    assert "is not a trunk such as 1.1" in trunk_complaint(name)


@pytest.mark.parametrize("text", ["fe80::1%eth0", "fe80::%eth0/64"])
def test_zone_names_no_network(text):
    with pytest.raises(ValueError, match="names an interface; leave out %eth0"):
        as_network(text)
