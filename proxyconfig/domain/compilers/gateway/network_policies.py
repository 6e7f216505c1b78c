"""NetworkPolicies: default deny in each of the tenant's namespaces, and what is allowed outward.

A NetworkPolicy only allows, and all of them together. Ordered rules become one: what an allowing
rule opens is what is left of it after the denials before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from proxyconfig.domain.address_sets import AddressSet
from proxyconfig.domain.compilers.gateway.environment import (
    NETWORK_GROUP,
    ClusterDns,
    GatewayEnvironment,
)
from proxyconfig.domain.compilers.gateway.ingress import open_policies
from proxyconfig.domain.compilers.gateway.objects import Writer, namespaces_of, object_name
from proxyconfig.domain.fields import Action, JsonValue, Mode, PortRange, Transport
from proxyconfig.domain.intent import EgressPolicy, EgressRule, Intent
from proxyconfig.domain.openings import Exit, address_lists, exits
from proxyconfig.domain.resources import Resource
from tenants.errors import PermanentError

# The API server keeps this label on every namespace.
_NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"


def network_policies(intent: Intent, writer: Writer) -> Iterator[Resource]:
    """For each namespace its default deny, and one for each egress policy that opens something.

    ``intent`` is canonical.

    Raises:
        PermanentError: a backend needs the proxy, and the cluster does not say where it runs.
    """
    namespaces = namespaces_of(intent)
    backends = {policy.backend.namespace for policy in open_policies(intent)}
    outward = list(_outward(intent))
    for namespace in namespaces:
        spec = _default_deny(namespaces, writer.environment, has_backend=namespace in backends)
        yield _written(writer, "default-deny", spec, namespace)
        for policy, rules in outward:
            allowed: dict[str, JsonValue] = {
                "podSelector": {},
                "policyTypes": ["Egress"],
                "egress": rules,
            }
            yield _written(writer, f"egress-{policy.name}", allowed, namespace)


def _written(writer: Writer, name: str, spec: dict[str, JsonValue], namespace: str) -> Resource:
    return writer.write(
        "NetworkPolicy", object_name(name), spec, namespace=namespace, group=NETWORK_GROUP
    )


def _default_deny(
    namespaces: list[str], environment: GatewayEnvironment, *, has_backend: bool
) -> dict[str, JsonValue]:
    """One object and not one per exception: there is no moment in which only the denial is there.

    Traffic between the tenant's own namespaces never passes the proxy, so no policy is about it.
    """
    own: JsonValue = _pods_of(namespaces)
    inward: list[JsonValue] = [{"from": [own]}]
    outward: list[JsonValue] = [{"to": [own]}]
    if has_backend:
        inward.append({"from": _proxy(environment)})
    servers = _name_servers(environment.dns)
    if environment.dns is not None and servers:  # An empty list would open the ports everywhere.
        outward.append({"to": servers, "ports": _dns_ports(environment.dns)})
    return {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": inward,
        "egress": outward,
    }


def _proxy(environment: GatewayEnvironment) -> list[JsonValue]:
    peers: list[JsonValue] = []
    if environment.proxy_namespaces:
        peers.append(_pods_of(environment.proxy_namespaces))
    peers.extend(_blocks_of(environment.proxy_cidrs))
    if not peers:  # An empty list would let in everybody.
        raise PermanentError(
            "The cluster does not say where its proxy runs, so its namespaces cannot let the proxy"
            " in. Add the proxy's namespaces or addresses to the cluster.",
            code="proxy.place-unknown",
        )
    return peers


def _name_servers(dns: ClusterDns | None) -> list[JsonValue]:
    if dns is None:
        return []
    peers: list[JsonValue] = []
    if dns.namespace:
        pods: dict[str, JsonValue] = {"matchLabels": dict(dns.labels)} if dns.labels else {}
        peers.append({**_pods_of([dns.namespace]), "podSelector": pods})
    peers.extend(_blocks_of(dns.cidrs))
    return peers


def _dns_ports(dns: ClusterDns) -> list[JsonValue]:
    return [
        {"protocol": protocol, "port": port}
        for port in sorted(set(dns.ports))
        for protocol in ("TCP", "UDP")
    ]


def _pods_of(namespaces: Sequence[str]) -> dict[str, JsonValue]:
    expression: JsonValue = {
        "key": _NAMESPACE_LABEL,
        "operator": "In",
        "values": [*sorted(set(namespaces))],
    }
    return {"namespaceSelector": {"matchExpressions": [expression]}}


def _blocks_of(cidrs: Sequence[str]) -> list[JsonValue]:
    return [{"ipBlock": {"cidr": str(network)}} for network in AddressSet.of(cidrs).networks()]


def _outward(intent: Intent) -> Iterator[tuple[EgressPolicy, list[JsonValue]]]:
    """Each egress policy that opens something, with its rules in order."""
    lists = address_lists(intent)
    denied: list[Exit] = []
    for policy in intent.egress_policies:
        if policy.mode is not Mode.ENFORCED:
            continue
        # Without an end and with the wrong source address it would open more than was asked for.
        is_expressible = policy.expires_at is None and policy.snat_pool is None
        rules: list[JsonValue] = []
        entries = exits(replace(intent, egress_policies=(policy,)))
        for rule, entry in zip(policy.rules, entries, strict=True):
            if entry.action is Action.DENY:
                denied.append(entry)
            elif is_expressible:
                rules.extend(_allowed(_named(rule, lists), entry, denied))
        if rules:
            yield policy, rules


def _named(rule: EgressRule, lists: dict[str, AddressSet]) -> AddressSet:
    """The networks as the rule says them, private ones without a grant among them."""
    if rule.cidr:
        return AddressSet.of((rule.cidr,))
    return lists.get(rule.address_list or "", AddressSet())


def _allowed(named: AddressSet, entry: Exit, denied: list[Exit]) -> Iterator[JsonValue]:
    """What is left of one allowing rule, as one rule for each set of addresses."""
    before = [other for other in denied if other.transport is entry.transport]
    left: dict[AddressSet, list[PortRange]] = {}
    for ports in _pieces(entry.ports, before):
        closed = (other.addresses for other in before if _has(other.ports, ports.first))
        left.setdefault(entry.addresses - AddressSet.union(closed), []).append(ports)
    for addresses, ranges in left.items():
        if addresses:
            yield {
                "to": [*_blocks(named, addresses)],
                "ports": [_port(entry.transport, ports) for ports in _joined(ranges)],
            }


def _blocks(named: AddressSet, opened: AddressSet) -> Iterator[JsonValue]:
    """Networks, or the network that was named without the few that stay closed."""
    for network in named.networks():
        whole = AddressSet.of((str(network),))
        inside = [*(whole & opened).networks()]
        missing = [*(whole - opened).networks()]
        if len(inside) <= len(missing):
            for part in inside:
                yield {"ipBlock": {"cidr": str(part)}}
        else:
            block: dict[str, JsonValue] = {"cidr": str(network)}
            if missing:
                block["except"] = [str(part) for part in missing]
            yield {"ipBlock": block}


def _pieces(ranges: tuple[PortRange, ...], denied: list[Exit]) -> Iterator[PortRange]:
    """The ranges cut so that each denial has all ports of a piece or none, ascending."""
    edges = {edge for one in denied for port in one.ports for edge in (port.first, port.last + 1)}
    for ports in ranges:
        inside = (edge for edge in edges if edge in ports)
        starts = sorted({ports.first, *inside})
        for start, after in zip(starts, [*starts[1:], ports.last + 1], strict=True):
            yield PortRange(start, after - 1)


def _has(ranges: tuple[PortRange, ...], port: int) -> bool:
    return any(port in ports for ports in ranges)


def _joined(ranges: list[PortRange]) -> list[PortRange]:
    joined: list[PortRange] = []
    for ports in ranges:
        if joined and joined[-1].last + 1 == ports.first:
            joined[-1] = PortRange(joined[-1].first, ports.last)
        else:
            joined.append(ports)
    return joined


def _port(transport: Transport, ports: PortRange) -> JsonValue:
    port: dict[str, JsonValue] = {"protocol": transport.value.upper(), "port": ports.first}
    if ports.last > ports.first:
        port["endPort"] = ports.last
    return port
