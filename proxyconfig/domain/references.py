"""Which objects of an intent use which others: asked before one is deleted or renamed."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from proxyconfig.domain import objects
from proxyconfig.domain.intent import (
    AddressList,
    BgpPeer,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Intent,
    Listener,
    Namespace,
    PortList,
    Segment,
    SelfIp,
    SnatPool,
    TlsReference,
    VirtualAddress,
)
from proxyconfig.domain.objects import Key, key_of

# By the kind of what is named: who names it, and in which field. Namespaces and virtual addresses
# are named beside a cluster. Any: dataclasses of the intent.
_NAMED_IN: Final[Mapping[type[Any], Mapping[type[Any], str]]] = {
    Segment: {SelfIp: "segment"},
    SnatPool: {EgressPolicy: "snat_pool"},
    Listener: {IngressPolicy: "listener"},
    TlsReference: {Listener: "tls"},
    AddressList: {
        IngressPolicy: "source_lists",
        EgressRule: "address_list",
        BgpPeer: "advertise_lists",
    },
    PortList: {EgressRule: "port_lists"},
}


def users(intent: Intent, key: Key) -> tuple[Key, ...]:
    """The objects that could not stay as they are without the one with that key, in order."""
    item = objects.find(intent, key)
    return tuple(dict.fromkeys(_users(intent, item)))


def _users(intent: Intent, item: objects.IntentObject) -> Iterator[Key]:
    if type(item) in _NAMED_IN:
        for other in objects.objects(intent).values():
            if other != _with_name(other, type(item), item.name, ""):
                yield key_of(other)
    if find := _FINDERS.get(type(item)):
        yield from find(intent, item)


def renamed(intent: Intent, old: objects.IntentObject, new: objects.IntentObject) -> Intent:
    """The intent with the references to ``old`` by name naming ``new``, an object of its kind."""
    kind = type(old)
    if kind is Namespace:
        return _with_namespace(intent, old, new)
    if kind not in _NAMED_IN or old.name == new.name:
        return intent
    return objects.assemble(
        intent.tenant,
        (_with_name(item, kind, old.name, new.name) for item in objects.objects(intent).values()),
    )


def _with_name(
    item: objects.IntentObject, kind: type[Any], old: str, new: str
) -> objects.IntentObject:
    """The item with ``new`` wherever it names ``old``, an object of ``kind``."""
    if isinstance(item, EgressPolicy) and EgressRule in _NAMED_IN[kind]:
        rules = tuple(_with_name(rule, kind, old, new) for rule in item.rules)
        item = replace(item, rules=rules)
    field = _NAMED_IN[kind].get(type(item))
    if field is None:
        return item
    content = getattr(item, field)
    if isinstance(content, tuple) and old in content:
        return replace(item, **{field: tuple(new if name == old else name for name in content)})
    return replace(item, **{field: new}) if content == old else item


def _with_namespace(intent: Intent, old: Namespace, new: Namespace) -> Intent:
    """Another name on the same cluster; a TLS reference follows where no other has the old one."""
    if old.cluster != new.cluster:
        return intent
    used = set(_of_namespace(intent, old))
    policies = tuple(
        replace(policy, backend=replace(policy.backend, namespace=new.name))
        if key_of(policy) in used
        else policy
        for policy in intent.ingress_policies
    )
    references = tuple(
        replace(reference, namespace=new.name) if key_of(reference) in used else reference
        for reference in intent.tls_references
    )
    return replace(intent, ingress_policies=policies, tls_references=references)


def _of_address(intent: Intent, address: VirtualAddress) -> Iterator[Key]:
    for listener in intent.listeners:
        if (listener.cluster, listener.virtual_address) == (address.cluster, address.address):
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
    networks = [ipaddress.ip_network(subnet.cidr) for subnet in segment.subnets]
    for route in intent.static_routes:
        hop = ipaddress.ip_address(route.next_hop)
        if route.cluster == segment.cluster and any(hop in network for network in networks):
            yield key_of(route)


def _of_pool(intent: Intent, pool: SnatPool) -> Iterator[Key]:
    if sum(entry.cluster == pool.cluster for entry in intent.snat_pools) == 1:
        # A policy that names none leaves from the cluster's only pool.
        for policy in intent.egress_policies:
            if policy.snat_pool is None:
                yield key_of(policy)


# Users beyond those by name. Any: each takes an object of its own kind.
_FINDERS: Final[Mapping[type[Any], Callable[[Intent, Any], Iterator[Key]]]] = {
    Namespace: _of_namespace,
    Segment: _of_segment,
    VirtualAddress: _of_address,
    SnatPool: _of_pool,
}
