"""What Gateway API and NetworkPolicy cannot say, refused by name while it is being edited."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from proxyconfig.domain.compilers.gateway.ingress import MOST_LISTENERS, open_policies
from proxyconfig.domain.compilers.gateway.matching import (
    MOST_HOSTNAMES,
    contradictions,
    is_hostname,
    is_path,
)
from proxyconfig.domain.fields import Mode
from proxyconfig.domain.intent import IngressPolicy, Intent, canonical
from proxyconfig.domain.problems import Problem

_F5: Final = "use a cluster of flavour spk or bnk"
_LOCAL_OR_F5: Final = "use a cluster of flavour local, spk or bnk"
UNSUPPORTED: Final[Mapping[str, str]] = {
    "vrf-address": "Gateway API knows one routing table; leave vrf out, or use a cluster of flavour"
    " bnk",
    "self-ip": f"a Gateway API proxy has no addresses on a segment; leave it out, or {_F5}",
    "snat-pool": "Gateway API cannot choose the source address outward; leave it out, or"
    f" {_LOCAL_OR_F5}",
    "static-route": f"Gateway API has no routes to networks; leave it out, or {_F5}",
    "bgp-peer": f"Gateway API announces nothing by BGP; leave it out, or {_F5}",
    "too-many-listeners": f"a Gateway takes {MOST_LISTENERS} open listeners; use another virtual"
    " address for some",
    "source-list": f"Gateway API has no allow-list of clients; leave it out, or {_LOCAL_OR_F5}",
    "policy-order": "Gateway API has no order of policies: the longer host name is matched first,"
    " then the longer path",
    "too-many-hostnames": f"a route takes {MOST_HOSTNAMES} host names; make two policies",
    "hostname-notation": "Gateway API takes letters, digits, dashes and dots in a host name, at"
    " most 253 characters",
    "path-notation": "Gateway API takes no empty, . or .. segment in a path; leave it out",
    "host-egress": "NetworkPolicy knows addresses only; name the destination by cidr or"
    " addressList, or use a cluster of flavour local",
    "expiring-egress": "NetworkPolicy has no end; leave expiresAt out and delete the policy when it"
    " is due, or use a cluster of flavour local",
}
_NO_OBJECT: Final = "no object of a Gateway API cluster has this; the data centre's switches do"
_STAGED: Final = "a Gateway API cluster does not show what a staged policy would do"


def unsupported(intent: Intent) -> list[Problem]:
    """Complaints by name (``UNSUPPORTED``), then warnings about what is kept but not acted on.

    A staged policy is judged as an enforced one, so that enforcing it brings no surprise; but its
    order, which another staged policy may take over, only once it is enforced.
    """
    wish = canonical(intent)
    return [*_network(wish), *_listeners(wish), *_ingress(wish), *_egress(wish), *_kept(wish)]


def _refused(path: str, code: str, more: str = "") -> Problem:
    return Problem(path, code, f"{UNSUPPORTED[code]}{more}")


def _network(intent: Intent) -> Iterator[Problem]:
    for address in intent.virtual_addresses:
        if address.vrf:
            path = f"spec.virtualAddresses[{address.cluster}:{address.address}].vrf"
            yield _refused(path, "vrf-address")
    for place in range(len(intent.self_ips)):
        yield _refused(f"spec.selfIps[{place}]", "self-ip")
    for pool in intent.snat_pools:
        yield _refused(f"spec.snatPools[{pool.name}]", "snat-pool")
    for route in intent.static_routes:
        yield _refused(f"spec.staticRoutes[{route.name}]", "static-route")
    for peer in intent.bgp_peers:
        yield _refused(f"spec.bgpPeers[{peer.name}]", "bgp-peer")


def _listeners(intent: Intent) -> Iterator[Problem]:
    opened = {policy.listener for policy in open_policies(intent)}
    doors = Counter(
        (listener.cluster, listener.virtual_address)
        for listener in intent.listeners
        if listener.name in opened
    )
    for (cluster, address), count in doors.items():
        if count > MOST_LISTENERS:
            path = f"spec.virtualAddresses[{cluster}:{address}]"
            yield _refused(path, "too-many-listeners", f"; {count} are open here")


def _ingress(intent: Intent) -> Iterator[Problem]:
    for policy in intent.ingress_policies:
        yield from _matching(policy, f"spec.ingressPolicies[{policy.name}]")
    for listener in intent.listeners:
        enforced = [
            policy
            for policy in intent.ingress_policies
            if policy.listener == listener.name and policy.mode is Mode.ENFORCED
        ]
        for first, second in contradictions(enforced):
            yield _refused(
                f"spec.ingressPolicies[{second.name}].order",
                "policy-order",
                f". Policy {first.name} comes before {second.name}, but would not get all that both"
                " match; change their order, or give them other host names or paths",
            )


def _matching(policy: IngressPolicy, path: str) -> Iterator[Problem]:
    if policy.sources:
        yield _refused(f"{path}.sources", "source-list")
    if policy.source_lists:
        yield _refused(f"{path}.sourceLists", "source-list")
    if len(policy.hostnames) > MOST_HOSTNAMES:
        yield _refused(f"{path}.hostnames", "too-many-hostnames")
    for name in policy.hostnames:
        if not is_hostname(name):
            yield _refused(f"{path}.hostnames", "hostname-notation", f"; {name} is not one")
    if not is_path(policy):
        yield _refused(f"{path}.pathPrefix", "path-notation")


def _egress(intent: Intent) -> Iterator[Problem]:
    for policy in intent.egress_policies:
        path = f"spec.egressPolicies[{policy.name}]"
        for rule in policy.rules:
            if rule.host:
                yield _refused(f"{path}.rules[{rule.order}].host", "host-egress")
        if policy.snat_pool is not None:
            yield _refused(f"{path}.snatPool", "snat-pool")
        if policy.expires_at is not None:
            yield _refused(f"{path}.expiresAt", "expiring-egress")


def _kept(intent: Intent) -> Iterator[Problem]:
    for segment in intent.segments:
        if segment.vlan or segment.vxlan:
            link = "vlan" if segment.vlan else "vxlan"
            path = f"spec.segments[{segment.name}].{link}"
            yield Problem(path, "not-acted-on", _NO_OBJECT, "warning")
    staged = [
        *(("ingressPolicies", p.name) for p in intent.ingress_policies if p.mode is Mode.STAGED),
        *(("egressPolicies", p.name) for p in intent.egress_policies if p.mode is Mode.STAGED),
    ]
    for collection, name in staged:
        yield Problem(f"spec.{collection}[{name}].mode", "not-acted-on", _STAGED, "warning")
