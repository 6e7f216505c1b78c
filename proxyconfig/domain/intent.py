"""What a tenant's people said they want, whole and frozen.

The seam of manifest, revision and compilers: rows become an ``Intent`` (services), an intent
becomes resources (compilers). It has no generation, no ids and no clock: equal wishes are equal
values.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from proxyconfig.domain.fields import (
    Action,
    Advertised,
    Mode,
    Name,
    PortRange,
    Protocol,
    Says,
    Transport,
)
from proxyconfig.domain.policies.egress import EgressPolicy, EgressRule
from proxyconfig.domain.policies.ingress import Backend, IngressPolicy, Listener
from proxyconfig.domain.policies.lists import AddressList, PortList, TlsReference
from proxyconfig.domain.policies.network import Segment, SelfIp, Subnet, VlanLink, VxlanLink
from proxyconfig.domain.policies.routing import BgpPeer, SnatPool, StaticRoute

__all__ = [
    "Action",
    "AddressList",
    "Advertised",
    "Backend",
    "BgpPeer",
    "EgressPolicy",
    "EgressRule",
    "IngressPolicy",
    "Intent",
    "Listener",
    "Mode",
    "PortList",
    "PortRange",
    "Protocol",
    "Segment",
    "SelfIp",
    "SnatPool",
    "StaticRoute",
    "Subnet",
    "TlsReference",
    "Transport",
    "VlanLink",
    "VxlanLink",
    "canonical",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Everything that one tenant wants of the cluster proxies."""

    tenant: Annotated[Name, Says("The tenant's slug.")]
    namespaces: Annotated[tuple[Name, ...], Says("Kubernetes namespaces of the tenant.")] = ()
    segments: Annotated[tuple[Segment, ...], Says("Its network segments.")] = ()
    self_ips: Annotated[tuple[SelfIp, ...], Says("The proxy's addresses on them.")] = ()
    snat_pools: Annotated[tuple[SnatPool, ...], Says("Source addresses outward.")] = ()
    static_routes: Annotated[tuple[StaticRoute, ...], Says("Ways beyond its subnets.")] = ()
    bgp_peers: Annotated[tuple[BgpPeer, ...], Says("Routers that are told.")] = ()
    listeners: Annotated[tuple[Listener, ...], Says("Where clients can connect.")] = ()
    ingress_policies: Annotated[tuple[IngressPolicy, ...], Says("What may come in.")] = ()
    egress_policies: Annotated[tuple[EgressPolicy, ...], Says("What may go out.")] = ()
    address_lists: Annotated[tuple[AddressList, ...], Says("Named addresses.")] = ()
    port_lists: Annotated[tuple[PortList, ...], Says("Named ports.")] = ()
    tls_references: Annotated[tuple[TlsReference, ...], Says("Certificates by reference.")] = ()


def canonical(intent: Intent) -> Intent:
    """The same wish in the one order that has no meaning of its own.

    Collections are sorted by name, policies and rules by order and then name. Lists whose order
    means something (SNAT addresses, self-IP numbers) keep it.
    """
    return replace(
        intent,
        namespaces=tuple(sorted(intent.namespaces)),
        segments=tuple(sorted(intent.segments, key=lambda segment: segment.name)),
        self_ips=tuple(sorted(intent.self_ips, key=lambda ip: (ip.segment, ip.number, ip.address))),
        snat_pools=tuple(sorted(intent.snat_pools, key=lambda pool: pool.name)),
        static_routes=tuple(sorted(intent.static_routes, key=lambda route: route.name)),
        bgp_peers=tuple(sorted(intent.bgp_peers, key=lambda peer: peer.name)),
        listeners=tuple(sorted(intent.listeners, key=lambda listener: listener.name)),
        ingress_policies=tuple(
            sorted(intent.ingress_policies, key=lambda policy: (policy.order, policy.name))
        ),
        egress_policies=tuple(
            sorted(
                (_with_sorted_rules(policy) for policy in intent.egress_policies),
                key=lambda policy: (policy.order, policy.name),
            )
        ),
        address_lists=tuple(sorted(intent.address_lists, key=lambda entry: entry.name)),
        port_lists=tuple(sorted(intent.port_lists, key=lambda entry: entry.name)),
        tls_references=tuple(sorted(intent.tls_references, key=lambda entry: entry.name)),
    )


def _with_sorted_rules(policy: EgressPolicy) -> EgressPolicy:
    return replace(policy, rules=tuple(sorted(policy.rules, key=lambda rule: rule.order)))
