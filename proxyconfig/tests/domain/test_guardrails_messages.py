"""A finding names what a change opens, and not what is open already."""

from proxyconfig.domain.guardrails import findings
from proxyconfig.domain.intent import PortRange
from proxyconfig.tests.domain.builders import egress, rule


def test_finding_names_what_is_new_and_not_what_is_in_force():
    names = egress(rule(host="*.net"))
    both = egress(rule(host="*.net"), rule(host="*.org"))
    other = egress(rule(host="*.org"), rule(host="www.org"), rule(host="*.net"))
    wide = egress(rule(cidr="8.0.0.0/7"))
    wider = egress(rule(cidr="8.0.0.0/7"), rule(cidr="11.0.0.0/16"))

    (new_name,) = findings(names, both)
    (new_network,) = findings(wide, wider)

    assert "every host under *.org, where" in new_name.message
    assert findings(names, other) == (new_name,)
    assert new_network.message.startswith(
        "Workloads can also reach 11.0.0.0/16 (0.0% of the public IPv4 addresses); together with"
        " what is open, 0.9% of the public IPv4 addresses. Name"
    )


def test_name_that_is_open_on_one_port_is_new_on_another():
    before = egress(rule(host="*.net"))
    after = egress(rule(host="*.net", ports=(PortRange(80, 80), PortRange(443, 443))))

    (found,) = findings(before, after)

    assert "*.net" in found.message
