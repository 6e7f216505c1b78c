"""Which objects of an intent use which others: asked before one is deleted."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from proxyconfig.domain import objects
from proxyconfig.domain.intent import (
    AddressList,
    EgressPolicy,
    Intent,
    Listener,
    Namespace,
    PortList,
    Segment,
    SnatPool,
    TlsReference,
    VirtualAddress,
)
from proxyconfig.domain.objects import Key, key_of


def users(intent: Intent, key: Key) -> tuple[Key, ...]:
    """The objects that could not stay as they are without the one with that key, in order."""
    item = objects.find(intent, key)
    return tuple(dict.fromkeys(_users(intent, item)))


def _users(intent: Intent, item: objects.IntentObject) -> Iterator[Key]:
    find = _FINDERS.get(type(item))
    return iter(()) if find is None else find(intent, item)


def _of_address(intent: Intent, address: VirtualAddress) -> Iterator[Key]:
    for listener in intent.listeners:
        if (listener.cluster, listener.virtual_address) == (address.cluster, address.address):
            yield key_of(listener)


def _of_listener(intent: Intent, listener: Listener) -> Iterator[Key]:
    for policy in intent.ingress_policies:
        if policy.listener == listener.name:
            yield key_of(policy)


def _of_certificate(intent: Intent, reference: TlsReference) -> Iterator[Key]:
    for listener in intent.listeners:
        if listener.tls == reference.name:
            yield key_of(listener)


def _of_namespace(intent: Intent, namespace: Namespace) -> Iterator[Key]:
    clusters = {listener.name: listener.cluster for listener in intent.listeners}
    for policy in intent.ingress_policies:
        place = (clusters.get(policy.listener), policy.backend.namespace)
        if place == (namespace.cluster, namespace.name):
            yield key_of(policy)
    if sum(entry.name == namespace.name for entry in intent.namespaces) == 1:
        for reference in intent.tls_references:
            if reference.namespace == namespace.name:
                yield key_of(reference)


def _of_segment(intent: Intent, segment: Segment) -> Iterator[Key]:
    for self_ip in intent.self_ips:
        if self_ip.segment == segment.name:
            yield key_of(self_ip)
    networks = [ipaddress.ip_network(subnet.cidr) for subnet in segment.subnets]
    for route in intent.static_routes:
        hop = ipaddress.ip_address(route.next_hop)
        if route.cluster == segment.cluster and any(hop in network for network in networks):
            yield key_of(route)


def _of_pool(intent: Intent, pool: SnatPool) -> Iterator[Key]:
    is_only = sum(entry.cluster == pool.cluster for entry in intent.snat_pools) == 1
    for policy in intent.egress_policies:
        # A policy that names none leaves from the cluster's only pool.
        if policy.snat_pool == pool.name or (policy.snat_pool is None and is_only):
            yield key_of(policy)


def _of_list(intent: Intent, named: AddressList | PortList) -> Iterator[Key]:
    name = named.name
    for policy in intent.ingress_policies:
        if name in policy.source_lists:
            yield key_of(policy)
    for egress in intent.egress_policies:
        if _names_list(egress, name):
            yield key_of(egress)
    for peer in intent.bgp_peers:
        if name in peer.advertise_lists:
            yield key_of(peer)


def _names_list(policy: EgressPolicy, name: str) -> bool:
    return any(name == rule.address_list or name in rule.port_lists for rule in policy.rules)


# Any: each takes an object of its own kind.
_FINDERS: Final[Mapping[type[Any], Callable[[Intent, Any], Iterator[Key]]]] = {
    Namespace: _of_namespace,
    Segment: _of_segment,
    VirtualAddress: _of_address,
    Listener: _of_listener,
    SnatPool: _of_pool,
    AddressList: _of_list,
    PortList: _of_list,
    TlsReference: _of_certificate,
}
