"""Intents by hypothesis: valid ones that fill every field of every part, on two clusters.

Names, addresses and references fit together; addresses are distinct over all roles.
"""

import ipaddress
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import cache

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from proxyconfig.domain.destinations import can_be_granted
from proxyconfig.domain.intent import (
    Action,
    AddressList,
    Advertised,
    Backend,
    BgpPeer,
    EgressPolicy,
    EgressRule,
    Grant,
    IngressPolicy,
    Intent,
    Listener,
    Mode,
    Namespace,
    PortList,
    PortRange,
    Protocol,
    Segment,
    SelfIp,
    SnatPool,
    StaticRoute,
    Subnet,
    TlsReference,
    Transport,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)

# A whole intent takes some 30 ms to draw; many laws share the time of one test run.
WHOLE_INTENTS = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
CLUSTERS = ("local", "west")
COLLECTION_FIELDS = tuple(field.name for field in fields(Intent) if field.name != "tenant")

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
# Few, so that two intents often have objects of one name.
labels = st.sampled_from(("api", "docs", "web", "x-1"))
clusters = st.sampled_from(CLUSTERS)
vrfs = st.sampled_from((None, "blue"))
hosts = st.sampled_from(
    ["example.org", "*.example.org", "docs.example.net", "a-b.c.example", "xn--bcher-kva.example"]
)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).filter(
    lambda address: getattr(address, "ipv4_mapped", None) is None
)
addresses = addresses.map(str)
cidrs = st.builds(
    lambda address, bits: str(ipaddress.ip_network((address, bits), strict=False)),
    st.ip_addresses(v=4),
    st.integers(8, 32),
)
private_cidrs = st.sampled_from(("10.0.0.0/8", "10.9.8.0/24", "127.30.0.10/32", "fd00::/16"))
any_cidrs = st.one_of(cidrs, private_cidrs)
ports = st.integers(1, 65535)
port_ranges = st.tuples(ports, ports).map(lambda pair: PortRange(min(pair), max(pair)))
moments = st.integers(1_577_836_800, 4_102_444_800).map(lambda n: datetime.fromtimestamp(n, UTC))
texts = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=20)
flags = st.booleans()
modes = st.sampled_from(Mode)
orders = st.integers(0, 1000)
few_ranges = st.lists(port_ranges, min_size=1, max_size=3).map(tuple)
few_addresses = st.lists(st.one_of(addresses, cidrs), max_size=3).map(tuple)
few_hosts = st.lists(hosts, max_size=2, unique=True).map(tuple)
path_prefixes = st.sampled_from(["/", "/api", "/api/v1/"])
grants = st.builds(Grant, by=texts, at=st.none() | moments)


def _unique(values: st.SearchStrategy, key=lambda value: value.name, size=3):
    return st.lists(values, max_size=size, unique_by=key).map(tuple)


@cache  # Hypothesis works on a strategy when it is first drawn from; these are drawn from often.
def _some(values: tuple, size: int = 2) -> st.SearchStrategy:
    """Distinct ones of the values, in any order."""
    return (
        st.lists(st.sampled_from(values), max_size=size, unique=True).map(tuple)
        if values
        else st.just(())
    )


@st.composite
def intents(draw: st.DrawFn, tenant: str | None = None) -> Intent:
    """A valid intent of moderate size."""
    namespaces = draw(_namespaces())
    segments = tuple(draw(_segment(n)) for n in range(draw(st.integers(0, 3))))
    address_lists, port_lists = draw(_address_lists()), draw(_port_lists())
    tls = draw(_tls(namespaces))
    virtual = tuple(draw(_virtual_address(n)) for n in range(draw(st.integers(0, 3))))
    listeners = tuple(
        draw(_listener(n, virtual, tls, namespaces))
        for n in range(draw(st.integers(0, 4)) if virtual else 0)
    )
    pools = tuple(draw(_pool(n)) for n in range(draw(st.integers(0, 3))))
    lists = tuple(entry.name for entry in address_lists)
    return Intent(
        tenant=tenant or draw(names),
        namespaces=namespaces,
        segments=segments,
        self_ips=draw(_self_ips(segments)),
        virtual_addresses=virtual,
        snat_pools=pools,
        static_routes=draw(_routes(segments)),
        bgp_peers=tuple(draw(_peer(n, lists)) for n in range(draw(st.integers(0, 2)))),
        listeners=listeners,
        ingress_policies=draw(_ingress_policies(listeners, namespaces, lists)),
        egress_policies=draw(_unique(_egress(address_lists, port_lists, pools))),
        address_lists=address_lists,
        port_lists=port_lists,
        tls_references=tls,
    )


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Intent, Intent]:
    """Two intents of one tenant; the second often has objects of the first."""
    return draw(intents(tenant="acme")), draw(intents(tenant="acme"))


@st.composite
def _namespaces(draw: st.DrawFn) -> tuple[Namespace, ...]:
    """At least one on each cluster, so that every listener can have a backend."""
    return tuple(
        Namespace(name=name, cluster=cluster)
        for cluster in CLUSTERS
        for name in draw(st.lists(names, min_size=1, max_size=2, unique=True))
    )


@st.composite
def _segment(draw: st.DrawFn, number: int) -> Segment:
    link = draw(st.sampled_from(("vlan", "vxlan", "plain")))
    vlan = VlanLink(
        interface=draw(st.sampled_from(("1.1", "2/0.3"))),
        tag=100 + number,
        internal=draw(flags),
    )
    vxlan = VxlanLink(
        vni=draw(st.integers(0, 1_000)) * 10 + number + 1,
        remote_vteps=draw(_some(("198.51.100.1", "2001:db8::9"))),
        port=draw(ports),
    )
    four = Subnet(
        cidr=f"10.{number}.7.0/24", gateway=draw(st.sampled_from((None, f"10.{number}.7.1")))
    )
    six = Subnet(
        cidr=f"fd00:{number + 1}::/64",
        gateway=draw(st.sampled_from((None, f"fd00:{number + 1}::1"))),
    )
    return Segment(
        name=f"segment-{number}",
        cluster=draw(clusters),
        vlan=vlan if link == "vlan" else None,
        vxlan=vxlan if link == "vxlan" else None,
        subnets=draw(_some((four, six))),
        vrf=draw(vrfs),
        mtu=draw(st.integers(1280, 9216)),
        description=draw(texts),
    )


def _host_of(cidr: str, number: int) -> str:
    return str(ipaddress.ip_network(cidr)[number])


@st.composite
def _self_ips(draw: st.DrawFn, segments: tuple[Segment, ...]) -> tuple[SelfIp, ...]:
    found = [
        SelfIp(segment=segment.name, number=number, address=_host_of(subnet.cidr, 10 + number))
        for segment in segments
        for subnet in segment.subnets
        for number in (1, 2)
    ]
    return draw(_some(tuple(found), size=6))


@st.composite
def _virtual_address(draw: st.DrawFn, number: int) -> VirtualAddress:
    return VirtualAddress(
        address=draw(st.sampled_from((f"127.10.9.{number + 1}", f"2001:db8:a::{number + 1:x}"))),
        cluster=draw(clusters),
        vrf=draw(vrfs),
        description=draw(texts),
    )


@st.composite
def _pool(draw: st.DrawFn, number: int) -> SnatPool:
    candidates = (f"127.20.{number}.1", f"127.20.{number}.2", f"2001:db8:b:{number + 1}::1")
    return SnatPool(
        name=f"pool-{number}",
        cluster=draw(clusters),
        addresses=draw(_some(candidates, size=3).filter(bool)),
        shared=draw(flags),
        vrf=draw(vrfs),
        description=draw(texts),
    )


@st.composite
def _routes(draw: st.DrawFn, segments: tuple[Segment, ...]) -> tuple[StaticRoute, ...]:
    found = [
        StaticRoute(
            name=f"r-{number}-{place}",
            cluster=segment.cluster,
            destination=f"fd99:{number + 1}::/32"
            if ":" in subnet.cidr
            else f"192.168.{number}.0/24",
            next_hop=_host_of(subnet.cidr, 200),
        )
        for number, segment in enumerate(segments)
        for place, subnet in enumerate(segment.subnets)
    ]
    return draw(_some(tuple(found), size=4))


@st.composite
def _peer(draw: st.DrawFn, number: int, lists: tuple[str, ...]) -> BgpPeer:
    return BgpPeer(
        name=f"peer-{number}",
        cluster=draw(clusters),
        address=draw(st.sampled_from((f"10.255.0.{number + 1}", f"fd00:ff::{number + 1:x}"))),
        asn=draw(st.integers(1, 2**32 - 1)),
        local_asn=draw(st.integers(64512, 64520)),
        bfd=draw(flags),
        hold_seconds=draw(st.integers(3, 65535)),
        advertise=draw(_some(tuple(Advertised), size=3)),
        advertise_lists=draw(_some(lists)),
    )


@cache
def _address_lists() -> st.SearchStrategy[tuple[AddressList, ...]]:
    content = few_addresses.filter(bool)
    return _unique(st.builds(AddressList, name=labels, addresses=content, description=texts))


@cache
def _port_lists() -> st.SearchStrategy[tuple[PortList, ...]]:
    return _unique(st.builds(PortList, name=labels, ports=few_ranges, description=texts))


def _tls(namespaces: tuple[Namespace, ...]) -> st.SearchStrategy[tuple[TlsReference, ...]]:
    owned = st.sampled_from([namespace.name for namespace in namespaces])
    return _unique(st.builds(TlsReference, name=labels, namespace=owned, secret=names))


@st.composite
def _listener(
    draw: st.DrawFn,
    number: int,
    virtual: tuple[VirtualAddress, ...],
    tls: tuple[TlsReference, ...],
    namespaces: tuple[Namespace, ...],
) -> Listener:
    place = draw(st.sampled_from(virtual))
    here = {entry.name for entry in namespaces if entry.cluster == place.cluster}
    protocol = draw(st.sampled_from(Protocol))
    owned = [None, *(reference.name for reference in tls if reference.namespace in here)]
    return Listener(
        name=f"listener-{number}",
        cluster=place.cluster,
        virtual_address=place.address,
        port=draw(st.sampled_from((80, 8080))) + number,
        protocol=protocol,
        tls=None if protocol is Protocol.UDP else draw(st.sampled_from(owned)),
    )


@st.composite
def _ingress_policies(
    draw: st.DrawFn,
    listeners: tuple[Listener, ...],
    namespaces: tuple[Namespace, ...],
    lists: tuple[str, ...],
) -> tuple[IngressPolicy, ...]:
    if not listeners:
        return ()
    drawn = draw(
        st.lists(
            st.sampled_from(listeners).flatmap(lambda one: _ingress(one, namespaces, lists)),
            max_size=3,
            unique_by=lambda policy: policy.name,
        )
    )
    return _distinct(tuple(drawn))


def _ingress(
    listener: Listener, namespaces: tuple[Namespace, ...], lists: tuple[str, ...]
) -> st.SearchStrategy[IngressPolicy]:
    here = [entry.name for entry in namespaces if entry.cluster == listener.cluster]
    is_http = listener.protocol is Protocol.HTTP
    return st.builds(
        IngressPolicy,
        name=labels,
        listener=st.just(listener.name),
        backend=st.builds(Backend, namespace=st.sampled_from(here), service=names, port=ports),
        hostnames=few_hosts if is_http else st.just(()),
        path_prefix=path_prefixes if is_http else st.just("/"),
        sources=few_addresses,
        source_lists=_some(lists),
        order=orders,
        mode=modes,
        description=texts,
    )


def _distinct(policies: tuple[IngressPolicy, ...]) -> tuple[IngressPolicy, ...]:
    """Without two that match the same."""
    seen, kept = set(), []
    for policy in policies:
        key = (policy.listener, frozenset(policy.hostnames), policy.path_prefix, policy.mode)
        if key not in seen:
            seen.add(key)
            kept.append(policy)
    return tuple(kept)


@st.composite
def _rule(draw: st.DrawFn, address_lists, port_lists) -> EgressRule:
    kinds = ["host", "cidr", *(["address_list"] if address_lists else [])]
    kind = draw(st.sampled_from(kinds))
    value = {
        "host": hosts,
        "cidr": any_cidrs,
        "address_list": st.sampled_from([entry.name for entry in address_lists] or [""]),
    }[kind]
    destination = draw(value)
    may_be_granted = kind == "cidr" and can_be_granted(ipaddress.ip_network(destination))
    return EgressRule(
        order=draw(st.integers(0, 500)),
        ports=draw(few_ranges),
        port_lists=draw(_some(tuple(entry.name for entry in port_lists))),
        protocol=draw(st.sampled_from(Transport)),
        action=draw(st.sampled_from(Action)),
        granted=draw(st.none() | grants) if may_be_granted else None,
        **{kind: destination},
    )


def _egress(address_lists, port_lists, pools) -> st.SearchStrategy[EgressPolicy]:
    by_cluster = [pool.cluster for pool in pools]
    must_choose = len(set(by_cluster)) < len(by_cluster)
    choices = [*([] if must_choose else [None]), *(pool.name for pool in pools)]
    return st.builds(
        EgressPolicy,
        name=labels,
        rules=_unique(_rule(address_lists, port_lists), key=lambda rule: rule.order).filter(bool),
        order=orders,
        snat_pool=st.sampled_from(choices),
        mode=modes,
        owner=texts,
        expires_at=st.none() | moments,
        description=texts,
    )


@st.composite
def shuffled(draw: st.DrawFn, intent: Intent) -> Intent:
    """The same wish, its unordered collections in another order."""
    return replace(
        intent,
        **{name: tuple(draw(st.permutations(getattr(intent, name)))) for name in COLLECTION_FIELDS},
    )
