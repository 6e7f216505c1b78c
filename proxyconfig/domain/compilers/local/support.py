"""What the local proxy cannot do, refused by name while a policy is being edited."""

from collections.abc import Iterator, Mapping
from typing import Final

from proxyconfig.domain.fields import Protocol, Transport
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.problems import Problem

UNSUPPORTED: Final[Mapping[str, str]] = {
    "tcp-listener": "the local proxy serves HTTP only; TCP listeners need a cluster's proxy",
    "udp-listener": "the local proxy serves HTTP only; UDP listeners need a cluster's proxy",
    "tls-listener": "the local proxy does not end TLS; leave tls out, or use a cluster's proxy",
    "vrf-address": "the local proxy has one routing table, that of the operating system; leave vrf"
    " out, or use a cluster's proxy",
    "udp-egress": "the local proxy carries TCP outward only; UDP rules need a cluster's proxy",
}
# Kept in the intent and shown, but a laptop has no trunk, tunnel or router to act on.
_IGNORED: Final = "the local proxy does not act on this; a cluster's proxy does"


def unsupported(intent: Intent) -> list[Problem]:
    """Complaints by name (``UNSUPPORTED``), then warnings about what is kept but not acted on."""
    return [*_listeners(intent), *_addresses(intent), *_egress(intent), *_ignored(intent)]


def _listeners(intent: Intent) -> Iterator[Problem]:
    for listener in intent.listeners:
        path = f"spec.listeners[{listener.name}]"
        if listener.protocol is not Protocol.HTTP:
            code = f"{listener.protocol.value}-listener"
            yield Problem(f"{path}.protocol", code, UNSUPPORTED[code])
        if listener.tls:
            yield Problem(f"{path}.tls", "tls-listener", UNSUPPORTED["tls-listener"])


def _addresses(intent: Intent) -> Iterator[Problem]:
    for entry in intent.virtual_addresses:
        if entry.vrf:
            path = f"spec.virtualAddresses[{entry.cluster}:{entry.address}].vrf"
            yield Problem(path, "vrf-address", UNSUPPORTED["vrf-address"])
    for pool in intent.snat_pools:
        if pool.vrf:
            path = f"spec.snatPools[{pool.name}].vrf"
            yield Problem(path, "vrf-address", UNSUPPORTED["vrf-address"])


def _egress(intent: Intent) -> Iterator[Problem]:
    for policy in intent.egress_policies:
        for rule in policy.rules:
            if rule.protocol is Transport.UDP:
                path = f"spec.egressPolicies[{policy.name}].rules[{rule.order}].protocol"
                yield Problem(path, "udp-egress", UNSUPPORTED["udp-egress"])


def _ignored(intent: Intent) -> Iterator[Problem]:
    overlays = [f"spec.segments[{s.name}].vxlan" for s in intent.segments if s.vxlan]
    routes = [f"spec.staticRoutes[{route.name}]" for route in intent.static_routes]
    peers = [f"spec.bgpPeers[{peer.name}]" for peer in intent.bgp_peers]
    for path in (*overlays, *routes, *peers):
        yield Problem(path, "not-acted-on", _IGNORED, "warning")
