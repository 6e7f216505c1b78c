"""One object of each kind, for tests that must hold for all of them."""

from proxyconfig.domain.intent import (
    AddressList,
    Backend,
    BgpPeer,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Listener,
    Namespace,
    PortList,
    PortRange,
    Segment,
    SelfIp,
    SnatPool,
    StaticRoute,
    Subnet,
    TlsReference,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.objects import IntentObject


def one_of_each(number: int, *, cluster: str = "local") -> tuple[IntentObject, ...]:
    """Objects that fit together; those of another ``number`` (0 to 250) take nothing of theirs."""
    address = f"127.110.{number}.1"
    return (
        Namespace(name=f"rag-{number}", cluster=cluster),
        Segment(
            name="front",
            cluster=cluster,
            vlan=VlanLink(interface="1.1", tag=1000 + number),
            subnets=(Subnet(cidr=f"10.{number}.0.0/24", gateway=f"10.{number}.0.1"),),
        ),
        Segment(name="overlay", cluster=cluster, vxlan=VxlanLink(vni=1000 + number)),
        SelfIp(segment="front", number=1, address=f"10.{number}.0.5"),
        VirtualAddress(address=address, cluster=cluster),
        SnatPool(name="default", cluster=cluster, addresses=(f"127.120.{number}.1",)),
        StaticRoute(
            name="beyond",
            cluster=cluster,
            destination=f"192.168.{number}.0/24",
            next_hop=f"10.{number}.0.1",
        ),
        BgpPeer(
            name="router",
            cluster=cluster,
            address=f"10.{number}.0.1",
            asn=64513,
            local_asn=64512,
        ),
        Listener(name="http", cluster=cluster, virtual_address=address, port=8080),
        IngressPolicy(
            name="web",
            listener="http",
            backend=Backend(namespace=f"rag-{number}", service="ragapp", port=8080),
        ),
        EgressPolicy(
            name="docs",
            rules=(EgressRule(order=1, host="docs.example.org", ports=(PortRange.single(443),)),),
        ),
        AddressList(name="office", addresses=("10.0.0.0/8",)),
        PortList(name="web-ports", ports=(PortRange(8000, 8099),)),
        TlsReference(name="certificate", namespace=f"rag-{number}", secret="tls"),
    )
