"""Templates: what a new tenant's network is, written once by platform NetOps. Pure.

A template names the pools and ranges that each tenant takes from; ``expand`` makes the intent of
one tenant of it and of what was allocated. Kept as JSON: ``codec`` writes and reads it.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Final

from proxyconfig.domain import edits, objects
from proxyconfig.domain.codec import from_plain, to_plain
from proxyconfig.domain.edits import IngressDraft
from proxyconfig.domain.fields import (
    Address,
    JsonValue,
    Limits,
    Mode,
    Name,
    Port,
    Protocol,
    Says,
    Source,
)
from proxyconfig.domain.intent import (
    EgressPolicy,
    EgressRule,
    Intent,
    Namespace,
    Segment,
    SelfIp,
    SnatPool,
    Subnet,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.limits import DEFAULT_LIMITS
from proxyconfig.domain.limits import Limits as Guardrails
from proxyconfig.domain.policies.network import Mtu
from proxyconfig.domain.problems import Problem
from tenants.domain.claims import DEFAULT_VRF
from tenants.domain.quota import Resource

# Stands for the tenant's name in the URL, wherever a template names something.
TENANT: Final = "{tenant}"
_LETTERS: Final = "use lower-case letters, digits, hyphens and {tenant}"
Pattern = Annotated[str, Limits(pattern=r"(?:[-a-z0-9]|\{tenant\})+", says=_LETTERS, longest=63)]
_Granted = Annotated[
    str,
    Limits(
        pattern=r"(?:[-a-z0-9]|\{tenant\})+[*]?",
        says=f"{_LETTERS}; an asterisk may end it",
        longest=63,
    ),
]
_Count = Annotated[int, Limits(minimum=1, maximum=256)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetTemplate:
    """A subnet of a segment, by size."""

    pool: Annotated[Name, Says("Pool of subnets that it is taken from.")]
    length: Annotated[
        Annotated[int, Limits(minimum=1, maximum=128)], Says("Prefix length: 24 for a /24.")
    ]
    gateway: Annotated[bool, Says("The first host address is the gateway's.")] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTemplate:
    """A segment of the tenant: a VLAN, a VXLAN overlay, or only subnets."""

    name: Annotated[Pattern, Says("The segment's name; {tenant} is the tenant's.")]
    vlan_range: Annotated[Name | None, Says("VLAN range for its tag; it has the trunk.")] = None
    vni_range: Annotated[Name | None, Says("VNI range for an overlay; not beside a VLAN.")] = None
    remote_vteps: Annotated[tuple[Address, ...], Says("Far tunnel endpoints of an overlay.")] = ()
    subnets: Annotated[tuple[SubnetTemplate, ...], Says("Its subnets.")] = ()
    self_ips: Annotated[
        Annotated[int, Limits(minimum=0, maximum=256)],
        Says("Proxy instances that get a self-IP on its first subnet of each family."),
    ] = 0
    mtu: Annotated[Mtu, Says("Bytes.")] = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressTemplate:
    """Addresses by number."""

    pool: Annotated[Name, Says("Pool of addresses that they are taken from.")]
    count: Annotated[_Count, Says("How many.")] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressTemplate:
    """An ingress policy on the tenant's first virtual address."""

    name: Annotated[Pattern, Says("The policy's name.")] = "web"
    port: Annotated[Port, Says("Port that clients connect to.")]
    protocol: Annotated[Protocol, Says("What is spoken.")] = Protocol.HTTP
    sources: Annotated[tuple[Source, ...], Says("Clients let in; empty: any.")] = ()
    namespace: Annotated[Pattern, Says("One of the template's namespaces.")] = TENANT
    service: Annotated[Name, Says("Kubernetes Service.")] = "ragapp"
    service_port: Annotated[Port, Says("Port of the Service.")] = 8080
    mode: Annotated[Mode, Says("A staged policy opens nothing.")] = Mode.ENFORCED


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressTemplate:
    """An egress policy of every tenant."""

    name: Annotated[Pattern, Says("The policy's name.")] = "default"
    rules: Annotated[tuple[EgressRule, ...], Says("Matched in order.")]
    mode: Annotated[Mode, Says("Staged rules allow nothing.")] = Mode.ENFORCED


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaTemplate:
    """A limit of one resource."""

    resource: Annotated[Resource, Says("What is limited.")]
    limit: Annotated[Annotated[int, Limits(minimum=0, maximum=2**62)], Says("At most so many.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What a tenant is given when it is made."""

    cluster: Annotated[Name, Says("Cluster whose proxy serves the tenant.")]
    vrf: Annotated[Name | None, Says("Routing table of its segments; empty: default.")] = None
    own_vrf: Annotated[
        bool, Says("Make a VRF for the tenant alone, with pools like those named for subnets.")
    ] = False
    segments: Annotated[tuple[SegmentTemplate, ...], Says("Its segments.")] = ()
    virtual_addresses: Annotated[tuple[AddressTemplate, ...], Says("For what comes in.")] = ()
    snat_addresses: Annotated[tuple[AddressTemplate, ...], Says("For what goes out.")] = ()
    snat_pool: Annotated[Pattern, Says("Name of its SNAT pool.")] = "default"
    namespaces: Annotated[tuple[Pattern, ...], Says("Its Kubernetes namespaces.")] = (TENANT,)
    namespace_grants: Annotated[
        tuple[_Granted, ...], Says("More namespaces that it may take, as in {tenant}-*.")
    ] = ()
    ingress: Annotated[tuple[IngressTemplate, ...], Says("Ingress policies.")] = ()
    egress: Annotated[tuple[EgressTemplate, ...], Says("Egress policies.")] = ()
    limits: Annotated[Guardrails, Says("Its guardrails.")] = DEFAULT_LIMITS
    auto_apply: Annotated[bool, Says("Apply changes inside the guardrails by rule.")] = True
    quotas: Annotated[tuple[QuotaTemplate, ...], Says("Limits of resources.")] = ()

    @property
    def subnet_pools(self) -> tuple[str, ...]:
        """The pools of subnets that it names, each once."""
        named = (subnet.pool for segment in self.segments for subnet in segment.subnets)
        return tuple(dict.fromkeys(named))

    @property
    def address_pools(self) -> tuple[str, ...]:
        """The pools of addresses that it names, each once."""
        entries = (*self.virtual_addresses, *self.snat_addresses)
        return tuple(dict.fromkeys(entry.pool for entry in entries))

    @property
    def vlan_ranges(self) -> tuple[str, ...]:
        """The VLAN ranges that it names, each once."""
        named = (segment.vlan_range for segment in self.segments)
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def vni_ranges(self) -> tuple[str, ...]:
        """The VNI ranges that it names, each once."""
        named = (segment.vni_range for segment in self.segments)
        return tuple(dict.fromkeys(name for name in named if name))

    def vrf_of(self, tenant: str) -> str:
        """The VRF of the tenant's segments."""
        return tenant if self.own_vrf else self.vrf or DEFAULT_VRF


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenSegment:
    """What was allocated for one segment of the template, in the same order."""

    trunk: str = ""
    tag: int | None = None
    vni: int | None = None
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakenAddress:
    """An address and the VRF of its pool."""

    address: str
    vrf: str = DEFAULT_VRF


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Everything that was allocated for one tenant."""

    segments: tuple[TakenSegment, ...] = ()
    virtual_addresses: tuple[TakenAddress, ...] = ()
    snat_addresses: tuple[TakenAddress, ...] = ()


def plain(template: Template) -> dict[str, JsonValue]:
    """The template as a JSON mapping with every field."""
    return to_plain(template, with_defaults=True)


def read(stored: JsonValue, *, problems: list[Problem], is_strict: bool = True) -> Template:
    """Read what ``plain`` wrote.

    Raises:
        codec.Unreadable: at least one complaint was appended to ``problems``.
    """
    return from_plain(Template, stored, path="", problems=problems, is_strict=is_strict)


def named(pattern: str, tenant: str) -> str:
    """The name that a pattern gives for a tenant."""
    return pattern.replace(TENANT, tenant)


def complaints(template: Template) -> Iterator[Problem]:
    """What is wrong with a template by itself, other than what the expanded intent would say."""
    if template.own_vrf and template.vrf:
        yield Problem("vrf", "two-vrfs", "name a VRF, or have one made for each tenant; not both")
    for place, segment in enumerate(template.segments):
        if segment.vlan_range and segment.vni_range:
            yield Problem(
                f"segments[{place}].vniRange",
                "two-links",
                "a segment is a VLAN or an overlay, not both; make two segments",
            )
    if template.ingress and not template.virtual_addresses:
        yield Problem(
            "virtualAddresses",
            "no-address",
            "the ingress policy needs a virtual address; take one from a pool",
        )
    for place, policy in enumerate(template.ingress):
        if policy.namespace not in template.namespaces:
            yield Problem(
                f"ingress[{place}].namespace",
                "foreign-namespace",
                f"namespace {policy.namespace} is none of the template's:"
                f" {', '.join(template.namespaces) or 'it has none'}",
            )


def expand(template: Template, tenant: str, taken: Taken) -> Intent:
    """The intent of a tenant made from the template.

    Raises:
        ValueError: ``taken`` does not have what the template asks for.
    """
    found = [
        *(
            Namespace(name=named(pattern, tenant), cluster=template.cluster)
            for pattern in template.namespaces
        ),
        *_segments(template, tenant, taken),
        *(
            VirtualAddress(address=entry.address, cluster=template.cluster, vrf=_shown(entry.vrf))
            for entry in taken.virtual_addresses
        ),
        *_snat_pools(template, tenant, taken),
        *(
            EgressPolicy(name=named(policy.name, tenant), rules=policy.rules, mode=policy.mode)
            for policy in template.egress
        ),
    ]
    intent = objects.assemble(tenant, found)
    for policy in template.ingress:
        intent = edits.save_ingress(_draft(template, policy, tenant, taken))(intent)
    return intent


def _segments(template: Template, tenant: str, taken: Taken) -> Iterator[Segment | SelfIp]:
    vrf = _shown(template.vrf_of(tenant))
    for wanted, got in zip(template.segments, taken.segments, strict=True):
        name = named(wanted.name, tenant)
        pairs = zip(wanted.subnets, got.prefixes, strict=True)
        subnets = tuple(
            Subnet(cidr=prefix, gateway=_host(prefix, 1) if subnet.gateway else None)
            for subnet, prefix in pairs
        )
        yield Segment(
            name=name,
            cluster=template.cluster,
            vlan=None if got.tag is None else VlanLink(interface=got.trunk, tag=got.tag),
            vxlan=None
            if got.vni is None
            else VxlanLink(vni=got.vni, remote_vteps=wanted.remote_vteps),
            subnets=subnets,
            vrf=vrf,
            mtu=wanted.mtu,
        )
        yield from _self_ips(name, subnets, wanted.self_ips)


def _self_ips(segment: str, subnets: tuple[Subnet, ...], count: int) -> Iterator[SelfIp]:
    """On the first subnet of each family, after the gateway."""
    families: dict[int, Subnet] = {}
    for subnet in subnets:
        families.setdefault(ipaddress.ip_network(subnet.cidr).version, subnet)
    for subnet in families.values():
        first = 2 if subnet.gateway else 1
        for number in range(1, count + 1):
            address = _host(subnet.cidr, first + number - 1)
            yield SelfIp(segment=segment, number=number, address=address)


def _snat_pools(template: Template, tenant: str, taken: Taken) -> Iterator[SnatPool]:
    if taken.snat_addresses:
        yield SnatPool(
            name=named(template.snat_pool, tenant),
            cluster=template.cluster,
            addresses=tuple(entry.address for entry in taken.snat_addresses),
            vrf=_shown(taken.snat_addresses[0].vrf),
        )


def _draft(template: Template, policy: IngressTemplate, tenant: str, taken: Taken) -> IngressDraft:
    if not taken.virtual_addresses:
        raise ValueError("no virtual address was taken for the ingress policy")
    return IngressDraft(
        name=named(policy.name, tenant),
        virtual_address=taken.virtual_addresses[0].address,
        port=policy.port,
        namespace=named(policy.namespace, tenant),
        cluster=template.cluster,
        protocol=policy.protocol,
        service=policy.service,
        service_port=policy.service_port,
        allowed_sources=policy.sources,
        mode=policy.mode,
    )


def _host(prefix: str, number: int) -> str:
    """The n-th address after the network's own; beyond its end for validation to refuse."""
    network = ipaddress.ip_network(prefix)
    return str(network.network_address + number)


def _shown(vrf: str) -> str | None:
    """As objects write it: nothing for the default one."""
    return None if vrf == DEFAULT_VRF else vrf


def without_grants(template: Template) -> Template:
    """The template with no rule granted: private networks are granted to tenants, not written."""
    return replace(
        template,
        egress=tuple(
            replace(policy, rules=tuple(replace(rule, granted=None) for rule in policy.rules))
            for policy in template.egress
        ),
    )
