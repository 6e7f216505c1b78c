"""A small world for the state machine: two tenants, their people, and edits that get in the way."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from proxyconfig.domain import edits, objects
from proxyconfig.domain.edits import Edit, IngressDraft
from proxyconfig.domain.intent import (
    AddressList,
    EgressPolicy,
    EgressRule,
    Intent,
    Namespace,
    PortList,
    PortRange,
    Segment,
    SnatPool,
    Subnet,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.objects import Key
from proxyconfig.services.rows import build_intent
from proxyconfig.tests.holding import grant
from tenants.domain.roles import Role
from tenants.models import Cluster, Membership, Tenant, platform_scope, tenant_scope
from tenants.tests.factories import ClusterFactory, TenantFactory
from tenants.tests.people import Person, person

_worlds = itertools.count(1)

LINKS = (
    *(VlanLink(interface="1.1", tag=tag) for tag in (101, 102, 103)),
    *(VxlanLink(vni=vni) for vni in (5001, 5002)),
)
# One lies in the other.
PREFIXES = ("10.101.0.0/24", "10.101.0.128/25", "10.102.0.0/24")
ADDRESSES = ("127.110.2.1", "127.110.2.2", "127.110.2.3")
SPACES = ("blue", "green")
PRIVATE = "10.9.0.0/24"


@dataclass
class Side:
    """One tenant with its people."""

    tenant: Tenant
    author: Person
    approver: Person

    @property
    def people(self) -> tuple[Person, Person]:
        return self.author, self.approver

    def rows(self) -> Intent:
        with tenant_scope(self.tenant.pk):
            return build_intent(self.tenant)


@dataclass
class World:
    """Two tenants that may take the same things on two clusters of their own."""

    sides: tuple[Side, ...]
    admin: Person
    clusters: tuple[str, ...]
    roles: dict[str, Role | None] = field(default_factory=dict)

    @classmethod
    def new(cls) -> "World":
        number = next(_worlds)
        clusters = tuple(f"{name}-{number}" for name in ("east", "west"))
        for name in clusters:
            ClusterFactory(name=name, flavour="memory")
        sides = tuple(_side(f"{name}-{number}", clusters) for name in ("acme", "globex"))
        admin = person(f"ada-{number}", sides[0].tenant, None, is_superuser=True)
        world = cls(sides, admin, clusters)
        for side in sides:
            world.roles |= {who.user.username: who.role for who in side.people}
        return world

    def cluster_rows(self) -> list[Cluster]:
        return list(Cluster.objects.filter(name__in=self.clusters))

    def now(self, who: Person) -> Person:
        """Somebody with the role that they have by now, as a new request finds it."""
        return replace(who, role=self.roles.get(who.user.username, who.role))

    def set_role(self, who: Person, role: Role) -> None:
        with platform_scope("test"):
            Membership.objects.filter(user=who.user).update(role=role.value)
        self.roles[who.user.username] = role


def _side(slug: str, clusters: tuple[str, ...]) -> Side:
    tenant = TenantFactory(slug=slug)
    grant(tenant, _everything(slug, clusters))
    people = (person(f"{name}-{slug}", tenant, Role.NETOPS) for name in ("ann", "eve"))
    return Side(tenant, *people)


def _everything(slug: str, clusters: tuple[str, ...]) -> Intent:
    """What both tenants are granted, as if one had taken it all."""
    intent = Intent(tenant=slug)
    for cluster in clusters:
        linked = (
            _segment(f"{number}-{cluster}", cluster, link) for number, link in enumerate(LINKS)
        )
        subnets = tuple(Subnet(cidr=prefix) for prefix in PREFIXES)
        plain = Segment(name=f"p-{cluster}", cluster=cluster, subnets=subnets)
        spaces = (Namespace(name=name, cluster=cluster) for name in SPACES)
        addresses = (VirtualAddress(address=text, cluster=cluster) for text in ADDRESSES)
        intent = objects.put(intent, *linked, plain, *spaces, *addresses)
    return intent


def _segment(name: str, cluster: str, link: VlanLink | VxlanLink, *prefixes: str) -> Segment:
    return Segment(
        name=name,
        cluster=cluster,
        vlan=link if isinstance(link, VlanLink) else None,
        vxlan=link if isinstance(link, VxlanLink) else None,
        subnets=tuple(Subnet(cidr=prefix) for prefix in prefixes),
    )


def beginnings(clusters: tuple[str, ...], tenant: Tenant) -> tuple[objects.IntentObject, ...]:
    """What each of the two has at first: a network of its own on the first cluster."""
    where, number = clusters[0], 1 + tenant.slug.startswith("globex")
    return (
        Namespace(name=f"own-{number}", cluster=where),
        VirtualAddress(address=f"127.110.3.{number}", cluster=where),
        SnatPool(name="default", cluster=where, addresses=(f"127.120.3.{number}",)),
        AddressList(name="partners", addresses=("198.51.100.0/24",)),
        PortList(name="web", ports=(PortRange.single(443),)),
    )


# Makes an edit of what is in force; clusters are drawn by number.
Draft = Callable[[tuple[str, ...]], Edit]


def put(make: Callable[[str], objects.IntentObject], cluster: int) -> Draft:
    """Add an object, or put it in the place of the one of its name."""
    return lambda names: lambda intent: objects.put(intent, make(names[cluster]))


def drop(number: int) -> Draft:
    """Delete one of the objects that there are."""

    def edit(intent: Intent) -> Intent:
        keys = list(objects.objects(intent))
        return edits.delete(keys[number % len(keys)])(intent) if keys else intent

    return lambda names: edit


def clear(names: tuple[str, ...]) -> Edit:
    """Delete everything, which is more than a rule approves."""
    return edits.become(Intent(tenant=""))


def ingress(name: str, cluster: int, **fields: object) -> Draft:
    """Make a policy or change the one of that name."""

    def draft(names: tuple[str, ...]) -> Edit:
        wanted = IngressDraft(name=name, cluster=names[cluster], **fields)

        def edit(intent: Intent) -> Intent:
            known = objects.find(intent, Key("ingress-policies", name))
            return edits.save_ingress(wanted, name=known and known.name)(intent)

        return edit

    return draft


_numbers = st.integers(0, 1)
_segments = st.builds(
    lambda name, cluster, link, prefixes: put(
        lambda where: _segment(name, where, link, *prefixes),
        cluster,
    ),
    st.sampled_from(("front", "back")),
    _numbers,
    st.sampled_from(LINKS),
    st.lists(st.sampled_from(PREFIXES), max_size=2, unique=True),
)
_spaces = st.builds(
    lambda name, cluster: put(lambda where: Namespace(name=name, cluster=where), cluster),
    st.sampled_from(SPACES),
    _numbers,
)
_virtual = st.builds(
    lambda text, cluster: put(lambda where: VirtualAddress(address=text, cluster=where), cluster),
    st.sampled_from(ADDRESSES),
    _numbers,
)
_snat = st.builds(
    lambda name, cluster, texts: put(
        lambda where: SnatPool(name=name, cluster=where, addresses=tuple(texts)), cluster
    ),
    st.sampled_from(("default", "other")),
    _numbers,
    st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=2, unique=True),
)
_egress = st.builds(
    lambda name, where, ports, pool: put(
        lambda _: EgressPolicy(
            name=name,
            rules=(EgressRule(order=1, **where, **ports),),
            snat_pool=pool,
        ),
        0,
    ),
    st.sampled_from(("docs", "data")),
    st.sampled_from(
        [
            {"host": "docs.example.org"},
            {"host": "*.com"},
            {"cidr": "0.0.0.0/1"},
            {"cidr": PRIVATE},
            {"address_list": "partners"},
        ]
    ),
    st.sampled_from([{"ports": (PortRange.single(443),)}, {"port_lists": ("web",)}]),
    st.sampled_from(("default", "default", "other", None)),
)
_ingress = st.builds(
    lambda name, cluster, address, port, space, sources: ingress(
        name,
        cluster,
        virtual_address=address,
        port=port,
        namespace=space,
        allowed_sources=sources,
    ),
    st.sampled_from(("web", "api")),
    _numbers,
    st.sampled_from(ADDRESSES),
    st.sampled_from((80, 8080)),
    st.sampled_from(SPACES),
    st.sampled_from(((), ("10.0.0.0/8",), ("0.0.0.0/1", "128.0.0.0/1"))),
)
_lists = st.one_of(
    st.builds(
        lambda networks: put(lambda _: AddressList(name="partners", addresses=networks), 0),
        st.sampled_from((("198.51.100.0/24",), ("0.0.0.0/1",))),
    ),
    st.builds(
        lambda ports: put(lambda _: PortList(name="web", ports=ports), 0),
        st.sampled_from(((PortRange.single(443),), (PortRange(first=1, last=65535),))),
    ),
)
# What no rule approves: everything goes, or everybody may go anywhere.
bold_drafts = st.one_of(
    st.just(clear),
    st.builds(
        lambda name, where: put(
            lambda _: EgressPolicy(
                name=name,
                rules=(EgressRule(order=1, **where, ports=(PortRange.single(443),)),),
                snat_pool="default",
            ),
            0,
        ),
        st.sampled_from(("docs", "data")),
        st.sampled_from([{"host": "*.com"}, {"cidr": "0.0.0.0/0"}, {"cidr": PRIVATE}]),
    ),
    # A network beside what is too wide, so that the plan holds something.
    st.builds(
        lambda network, name: (
            lambda names: (
                lambda intent: put(
                    lambda _: EgressPolicy(
                        name=name,
                        rules=(EgressRule(order=1, host="*.net", ports=(PortRange.single(443),)),),
                        snat_pool="default",
                    ),
                    0,
                )(names)(network(names)(intent))
            )
        ),
        st.one_of(_segments, _spaces, _virtual),
        st.sampled_from(("docs", "data")),
    ),
)
drafts = st.one_of(
    _segments,
    _spaces,
    _virtual,
    _snat,
    _egress,
    _ingress,
    _lists,
    st.builds(drop, st.integers(0, 20)),
    st.just(clear),
)
