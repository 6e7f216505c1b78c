"""Inventories: stored and read back."""

from proxyconfig.domain import inventory
from proxyconfig.domain.inventory import Record
from proxyconfig.domain.resources import Identity

WEB = Identity("gateway.networking.k8s.io", "HTTPRoute", "acme-prod", "web")
SHEET = Identity("", "ConfigMap", "acme-prod", "sheet")


def test_stored_form_is_sorted_and_reads_back():
    held = {WEB: Record("u1", "s1", "o1", 3), SHEET: Record("u2", "", "o2", 0)}

    stored = inventory.plain(held)

    assert stored == [
        ["", "ConfigMap", "acme-prod", "sheet", "u2", "", "o2", 0],
        ["gateway.networking.k8s.io", "HTTPRoute", "acme-prod", "web", "u1", "s1", "o1", 3],
    ]
    assert inventory.parse(stored) == held


def test_what_cannot_be_read_is_forgotten():
    stored = inventory.plain({WEB: Record("u1", "s1", "o1", 3)})

    assert inventory.parse([["half"], 7, [*stored[0][:7], "many"], *stored]) == {
        WEB: Record("u1", "s1", "o1", 3)
    }
