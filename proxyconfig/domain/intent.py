"""What a tenant's people said they want, whole and frozen.

The seam of manifest, revision and compilers: rows become an ``Intent`` (services), an intent
becomes resources (compilers). It has no generation, no ids and no clock: equal wishes are equal
values. ``objects`` takes it apart into the objects that people edit one by one.
"""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

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
from proxyconfig.domain.policies.egress import EgressPolicy, EgressRule, Grant
from proxyconfig.domain.policies.ingress import Backend, IngressPolicy, Listener
from proxyconfig.domain.policies.lists import AddressList, PortList, TlsReference
from proxyconfig.domain.policies.network import (
    Namespace,
    Segment,
    SelfIp,
    Subnet,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.policies.routing import BgpPeer, SnatPool, StaticRoute

__all__ = [
    "Action",
    "AddressList",
    "Advertised",
    "Backend",
    "BgpPeer",
    "EgressPolicy",
    "EgressRule",
    "Grant",
    "IngressPolicy",
    "Intent",
    "Listener",
    "Mode",
    "Namespace",
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
    "VirtualAddress",
    "VlanLink",
    "VxlanLink",
    "canonical",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Everything that one tenant wants of the cluster proxies."""

    tenant: Annotated[Name, Says("The tenant's slug.")]
    namespaces: Annotated[tuple[Namespace, ...], Says("Kubernetes namespaces of the tenant.")] = ()
    segments: Annotated[tuple[Segment, ...], Says("Its network segments.")] = ()
    self_ips: Annotated[tuple[SelfIp, ...], Says("The proxy's addresses on them.")] = ()
    virtual_addresses: Annotated[
        tuple[VirtualAddress, ...], Says("Addresses that clients can be given.")
    ] = ()
    snat_pools: Annotated[tuple[SnatPool, ...], Says("Source addresses outward.")] = ()
    static_routes: Annotated[tuple[StaticRoute, ...], Says("Routes beyond its subnets.")] = ()
    bgp_peers: Annotated[tuple[BgpPeer, ...], Says("Routers that learn its addresses.")] = ()
    listeners: Annotated[tuple[Listener, ...], Says("Where clients can connect.")] = ()
    ingress_policies: Annotated[tuple[IngressPolicy, ...], Says("What may come in.")] = ()
    egress_policies: Annotated[tuple[EgressPolicy, ...], Says("What may go out.")] = ()
    address_lists: Annotated[tuple[AddressList, ...], Says("Named addresses.")] = ()
    port_lists: Annotated[tuple[PortList, ...], Says("Named ports.")] = ()
    tls_references: Annotated[tuple[TlsReference, ...], Says("Certificates by reference.")] = ()

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters on which the tenant wants anything, by name."""
        return tuple(
            sorted(
                {
                    item.cluster
                    for field in fields(self)
                    for item in _items(self, field.name)
                    if hasattr(item, "cluster")
                }
            )
        )

    def on(self, cluster: str) -> "Intent":
        """The part for one cluster's proxy.

        Egress policies act on every cluster that the tenant is on, other than those that name a
        SNAT pool of another one. Lists stay whole.
        """
        here: dict[str, Any] = {  # Any: each collection has items of its own type.
            field.name: tuple(item for item in items if item.cluster == cluster)
            for field in fields(self)
            if (items := _items(self, field.name)) and hasattr(items[0], "cluster")
        }
        part = replace(self, **here)
        segments = {segment.name for segment in part.segments}
        listeners = {listener.name for listener in part.listeners}
        pools = {pool.name for pool in part.snat_pools}
        namespaces = {namespace.name for namespace in part.namespaces}
        return replace(
            part,
            self_ips=tuple(ip for ip in part.self_ips if ip.segment in segments),
            ingress_policies=tuple(
                policy for policy in part.ingress_policies if policy.listener in listeners
            ),
            egress_policies=tuple(
                policy
                for policy in part.egress_policies
                if policy.snat_pool is None or policy.snat_pool in pools
            ),
            tls_references=tuple(
                reference for reference in part.tls_references if reference.namespace in namespaces
            ),
        )


def canonical(intent: Intent) -> Intent:
    """The same wish in the one order that has no meaning of its own.

    Collections are sorted by name, policies and rules by order and then name. Lists whose order
    means something (SNAT addresses, self-IP numbers) keep it.
    """
    return replace(
        intent,
        namespaces=_sorted(intent.namespaces, "cluster", "name"),
        segments=_sorted(intent.segments, "name"),
        self_ips=_sorted(intent.self_ips, "segment", "number", "address"),
        virtual_addresses=_sorted(intent.virtual_addresses, "cluster", "address"),
        snat_pools=_sorted(intent.snat_pools, "name"),
        static_routes=_sorted(intent.static_routes, "name"),
        bgp_peers=_sorted(intent.bgp_peers, "name"),
        listeners=_sorted(intent.listeners, "name"),
        ingress_policies=_sorted(intent.ingress_policies, "order", "name"),
        egress_policies=_sorted(
            tuple(map(_with_sorted_rules, intent.egress_policies)), "order", "name"
        ),
        address_lists=_sorted(intent.address_lists, "name"),
        port_lists=_sorted(intent.port_lists, "name"),
        tls_references=_sorted(intent.tls_references, "name"),
    )


def _items(intent: Intent, name: str) -> tuple[Any, ...]:  # Any: of each collection's own type.
    content = getattr(intent, name)
    return content if isinstance(content, tuple) else ()


def _sorted(items: tuple[Any, ...], *names: str) -> tuple[Any, ...]:  # Any: as above.
    return tuple(sorted(items, key=lambda item: tuple(getattr(item, name) for name in names)))


def _with_sorted_rules(policy: EgressPolicy) -> EgressPolicy:
    return replace(policy, rules=_sorted(policy.rules, "order"))
