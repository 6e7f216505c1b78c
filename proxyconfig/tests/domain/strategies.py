"""Intents by hypothesis: valid ones, whose names, addresses and references fit together."""

import ipaddress
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from proxyconfig.domain.intent import (
    Action,
    AddressList,
    Advertised,
    Backend,
    BgpPeer,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Intent,
    Listener,
    Mode,
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
    VlanLink,
    VxlanLink,
)

# A whole intent takes milliseconds to draw and to write; 25 of them find what 100 find.
WHOLE_INTENTS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
hosts = st.sampled_from(
    ["example.org", "*.example.org", "docs.example.net", "a-b.c.example", "xn--bcher-kva.example"]
)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
cidrs = st.builds(
    lambda address, bits: str(ipaddress.ip_network((address, bits), strict=False)),
    st.ip_addresses(v=4),
    st.integers(8, 32),
)
ports = st.integers(1, 65535)
port_ranges = st.tuples(ports, ports).map(lambda pair: PortRange(min(pair), max(pair)))
moments = st.integers(1_577_836_800, 4_102_444_800).map(lambda n: datetime.fromtimestamp(n, UTC))
texts = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=20)


def _unique(values: st.SearchStrategy, key=lambda value: value.name, size=3):
    return st.lists(values, max_size=size, unique_by=key).map(tuple)


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    """A valid intent of moderate size."""
    namespaces = draw(st.lists(names, min_size=1, max_size=3, unique=True).map(tuple))
    segments = draw(st.integers(0, 3).map(lambda count: tuple(_segment(n) for n in range(count))))
    address_lists = draw(
        _unique(
            st.builds(
                AddressList,
                name=names,
                addresses=st.lists(st.one_of(addresses, cidrs), min_size=1, max_size=3).map(tuple),
                description=texts,
            )
        )
    )
    port_lists = draw(
        _unique(
            st.builds(
                PortList, name=names, ports=st.lists(port_ranges, min_size=1, max_size=3).map(tuple)
            )
        )
    )
    tls = draw(
        _unique(
            st.builds(TlsReference, name=names, namespace=st.sampled_from(namespaces), secret=names)
        )
    )
    listeners = draw(st.integers(0, 3).map(lambda count: tuple(_listener(n) for n in range(count))))
    ingress = ()
    if listeners:
        ingress = draw(_unique(_ingress(listeners, namespaces, address_lists)))
        ingress = _distinct(ingress)
    pools = draw(
        st.integers(0, 1).map(
            lambda count: (SnatPool(name="pool", addresses=("127.20.1.1",)),)[:count]
        )
    )
    egress = draw(_unique(_egress(address_lists, port_lists, pools)))
    return Intent(
        tenant=draw(names),
        namespaces=namespaces,
        segments=segments,
        self_ips=tuple(
            SelfIp(segment=s.name, number=1, address=s.subnets[0].cidr.replace(".0/24", ".5"))
            for s in segments
        ),
        snat_pools=pools,
        static_routes=tuple(
            StaticRoute(
                name=f"r-{s.name}", destination=f"192.168.{n}.0/24", next_hop=s.subnets[0].gateway
            )
            for n, s in enumerate(segments)
        ),
        bgp_peers=draw(
            _unique(
                st.builds(
                    BgpPeer,
                    name=names,
                    address=st.just("10.0.0.1"),
                    asn=st.integers(1, 2**32 - 1),
                    local_asn=st.just(64512),
                    bfd=st.booleans(),
                    advertise=st.lists(st.sampled_from(Advertised), unique=True).map(tuple),
                ),
                size=1,
            )
        ),
        listeners=listeners,
        ingress_policies=ingress,
        egress_policies=egress,
        address_lists=address_lists,
        port_lists=port_lists,
        tls_references=tls,
    )


def _segment(number: int) -> Segment:
    subnet = Subnet(cidr=f"10.{number}.7.0/24", gateway=f"10.{number}.7.1")
    vlan = VlanLink(cluster="local", interface="1.1", tag=100 + number)
    vxlan = VxlanLink(cluster="local", vni=100 + number, remote_vteps=("198.51.100.1",))
    return Segment(
        name=f"segment-{number}",
        vlan=vlan if number == 0 else None,
        vxlan=vxlan if number == 1 else None,
        subnets=(subnet,),
    )


def _listener(number: int) -> Listener:
    protocol = (Protocol.HTTP, Protocol.HTTP, Protocol.TCP)[number]
    return Listener(
        name=f"listener-{number}",
        virtual_address="127.10.9.1",
        port=8080 + number,
        protocol=protocol,
    )


def _ingress(listeners, namespaces, address_lists) -> st.SearchStrategy[IngressPolicy]:
    lists = [entry.name for entry in address_lists]
    return st.builds(
        IngressPolicy,
        name=names,
        listener=st.sampled_from([entry.name for entry in listeners]),
        backend=st.builds(
            Backend, namespace=st.sampled_from(namespaces), service=names, port=ports
        ),
        hostnames=st.lists(hosts, max_size=2, unique=True).map(tuple),
        path_prefix=st.sampled_from(["/", "/api", "/api/v1/"]),
        sources=st.lists(st.one_of(addresses, cidrs), max_size=2).map(tuple),
        source_lists=st.lists(st.sampled_from(lists), max_size=1).map(tuple)
        if lists
        else st.just(()),
        order=st.integers(0, 1000),
        mode=st.sampled_from(Mode),
        description=texts,
    )


def _distinct(policies: tuple[IngressPolicy, ...]) -> tuple[IngressPolicy, ...]:
    """Without two that match the same, and without HTTP conditions on the TCP listener."""
    seen, kept = set(), []
    for policy in policies:
        if policy.listener == "listener-2":
            policy = replace(policy, hostnames=(), path_prefix="/")
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
        "cidr": cidrs,
        "address_list": st.sampled_from([entry.name for entry in address_lists] or [""]),
    }[kind]
    port_names = [entry.name for entry in port_lists]
    return EgressRule(
        order=draw(st.integers(0, 500)),
        ports=draw(st.lists(port_ranges, min_size=1, max_size=2).map(tuple)),
        port_lists=draw(st.lists(st.sampled_from(port_names), max_size=1).map(tuple))
        if port_names
        else (),
        protocol=draw(st.sampled_from(Transport)),
        action=draw(st.sampled_from(Action)),
        **{kind: draw(value)},
    )


def _egress(address_lists, port_lists, pools) -> st.SearchStrategy[EgressPolicy]:
    return st.builds(
        EgressPolicy,
        name=names,
        rules=_unique(_rule(address_lists, port_lists), key=lambda rule: rule.order).filter(bool),
        order=st.integers(0, 1000),
        snat_pool=st.sampled_from([None, *(pool.name for pool in pools)]),
        mode=st.sampled_from(Mode),
        owner=texts,
        expires_at=st.none() | moments,
        description=texts,
    )


@st.composite
def shuffled(draw: st.DrawFn, intent: Intent) -> Intent:
    """The same wish, its unordered collections in another order."""
    fields = (
        "namespaces",
        "segments",
        "self_ips",
        "snat_pools",
        "static_routes",
        "bgp_peers",
        "listeners",
        "ingress_policies",
        "egress_policies",
        "address_lists",
        "port_lists",
        "tls_references",
    )
    return replace(
        intent, **{name: tuple(draw(st.permutations(getattr(intent, name)))) for name in fields}
    )
