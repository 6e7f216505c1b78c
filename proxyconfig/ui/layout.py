"""Which fields the form of each collection has, in which order and under which words.

One table. What it does not say comes from the intent's types: the widget, the limits and, where
``help`` is empty, the field's own line of description.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from proxyconfig.domain.intent import IngressPolicy, Listener
from proxyconfig.domain.objects import BY_NAME

Words = str | Promise
_NAME_HELP = _("Lower-case letters, digits and hyphens.")
_POLICY_NAME_HELP = _("Lower-case letters, digits and hyphens. It is part of the rule's id.")
_VRF_HELP = _("Routing table. Lists those that the tenant has a grant in.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of a form.

    Attributes:
        path: in the dataclass: ``vlan.tag``.
        name: of the form's field, where it is not the path with underscores.
        width: of six columns.
        refers: what to choose from: a collection's name, for the tenant's objects, ``clusters`` or
            ``vrfs``.
        initial: of a new object, beyond the type's own default.
        suggests: a button beside it fills in what is free next.
        inline: a list on one line, with commas.
    """

    path: str
    label: Words
    width: int = 6
    help: Words = ""
    name: str = ""
    refers: str = ""
    initial: object = None
    placeholder: str = ""
    suggests: bool = False
    inline: bool = False

    @property
    def field(self) -> str:
        """The name of the form's field."""
        return self.name or self.path.replace(".", "_")


@dataclass(frozen=True, slots=True)
class Section:
    """Fields under one heading; the advanced ones are folded."""

    title: Words
    entries: tuple[Entry, ...]
    note: Words = ""
    icon: str = ""
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The form of one collection.

    Attributes:
        lede: what such an object does, for the page.
        deciding: by the name of an optional part, the path of the field that says it is there.
        kinds: the dataclasses that the paths are looked up in, the first that has one.
    """

    lede: Words
    sections: tuple[Section, ...]
    deciding: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[type, ...] = ()

    @property
    def entries(self) -> Iterator[Entry]:
        """Every field, in reading order."""
        return (entry for section in self.sections for entry in section.entries)


def layout_of(collection: str) -> Layout:
    """The form's layout for a collection's name."""
    return LAYOUTS[collection]


def kinds_of(collection: str) -> tuple[type, ...]:
    """The dataclasses that the form of a collection asks for."""
    return LAYOUTS[collection].kinds or (BY_NAME[collection].kind,)


_CLUSTER = Entry("cluster", _("Cluster"), 3, refers="clusters")
_VRF = Entry("vrf", _("VRF"), 3, _VRF_HELP, refers="vrfs")
_DESCRIPTION = Entry("description", _("Description"), help=_("For people."))
_NAME = Entry("name", _("Name"), 3, _NAME_HELP)
_ORDER = Entry("order", _("Order"), 2, _("Lower is matched first; then the name decides."))

_SEGMENT = Layout(
    _("A network segment: a VLAN, a VXLAN overlay, or IP subnets alone."),
    (
        Section("", (_NAME, _CLUSTER, _VRF, _DESCRIPTION)),
        Section(
            _("VLAN"),
            (
                Entry("vlan.tag", _("VLAN tag"), 3, _("802.1Q, 1 to 4094."), suggests=True),
                Entry(
                    "vlan.interface",
                    _("Trunk"),
                    3,
                    _("The proxy's interface that carries the VLAN."),
                    initial="1.1",
                ),
                Entry("vlan.internal", _("Internal"), help=_("Faces the cluster's nodes.")),
            ),
            note=_("Leave the tag empty if the segment is not a VLAN."),
            icon="network",
        ),
        Section(
            _("VXLAN overlay"),
            (
                Entry("vxlan.vni", _("VNI"), 3, _("24-bit network identifier."), suggests=True),
                Entry("vxlan.port", _("Tunnel port"), 3, _("UDP; 4789 by default.")),
                Entry(
                    "vxlan.remote_vteps",
                    _("Remote VTEPs"),
                    help=_("Addresses of the far tunnel endpoints, one per line."),
                    placeholder="198.51.100.1",
                ),
            ),
            note=_("Leave the VNI empty if the segment is not an overlay."),
            icon="layers",
        ),
        Section(
            _("IP addressing"),
            (
                Entry(
                    "subnets",
                    _("Subnets"),
                    help=_("One per line: the prefix, and the gateway if there is one."),
                    placeholder="10.101.0.0/24 10.101.0.1",
                    suggests=True,
                ),
            ),
        ),
        Section(
            _("Advanced"),
            (Entry("mtu", _("MTU"), 2, _("Bytes, 1280 to 9216.")),),
            is_folded=True,
        ),
    ),
    deciding={"vlan": "vlan.tag", "vxlan": "vxlan.vni"},
)

_INGRESS = Layout(
    _("Opens one address and port of the tenant to the clients that you name, and to nobody else."),
    (
        Section("", (Entry("name", _("Name"), 4, _POLICY_NAME_HELP),)),
        Section(
            _("Where clients connect"),
            (
                Entry("virtual_address", _("Virtual address"), 3, refers="virtual-addresses"),
                Entry("port", _("Port"), 3, _("Port that clients connect to."), initial=8080),
                Entry("protocol", _("Protocol"), 3),
                Entry(
                    "tls",
                    _("TLS reference"),
                    3,
                    _("The proxy then ends TLS with that certificate."),
                    refers="tls-references",
                ),
                Entry(
                    "sources",
                    _("Allowed sources"),
                    help=_(
                        "Addresses or networks in CIDR notation, one per line; the proxy enforces"
                        " them. Leave empty for any client, which may need approval."
                    ),
                    name="allowed_sources",
                    placeholder="10.0.0.0/8",
                ),
                Entry(
                    "source_lists",
                    _("Source lists"),
                    help=_("Address lists that are let in as well."),
                    refers="address-lists",
                ),
            ),
            icon="in",
        ),
        Section(
            _("Backend"),
            (
                Entry(
                    "backend.namespace",
                    _("Namespace"),
                    2,
                    _("One of the tenant's."),
                    name="namespace",
                    refers="namespaces",
                ),
                Entry(
                    "backend.service",
                    _("Service"),
                    2,
                    _("Kubernetes Service."),
                    name="service",
                    initial="ragapp",
                ),
                Entry("backend.port", _("Service port"), 2, name="service_port", initial=8080),
            ),
            icon="layers",
        ),
        Section(
            _("Advanced"),
            (
                Entry(
                    "hostnames",
                    _("Host names"),
                    3,
                    _("Comma-separated. Leave empty for any host."),
                    inline=True,
                    placeholder="*.example.org",
                ),
                Entry("path_prefix", _("Path prefix"), 3),
                Entry("order", _("Order"), 2, _("Lower is matched first; then the name decides.")),
                Entry("mode", _("Mode"), 4, _("A staged policy opens nothing; it is only shown.")),
                _DESCRIPTION,
            ),
            is_folded=True,
        ),
    ),
    kinds=(IngressPolicy, Listener),
)

_EGRESS = Layout(
    _(
        "Lets the tenant's workloads connect to the destinations that you name. Connections that a"
        " change no longer allows are cut at once."
    ),
    (
        Section("", (Entry("name", _("Name"), 4, _POLICY_NAME_HELP),)),
        Section(
            _("Where workloads may connect"),
            (
                Entry(
                    "rules",
                    _("Destinations"),
                    help=_(
                        "One rule per line, matched in this order: a host name, *.example.org for"
                        " all names below it, a network in CIDR notation or @address-list; then its"
                        " ports (443, 8000-8099 or @port-list). Start a line with deny to refuse;"
                        " end it with /udp for UDP."
                    ),
                    name="destinations",
                    placeholder="docs.example.org:443\n*.example.com:443,8443\n203.0.113.0/24:443",
                ),
            ),
            icon="out",
        ),
        Section(
            _("Advanced"),
            (
                Entry(
                    "snat_pool",
                    _("SNAT pool"),
                    3,
                    _("Source addresses. Leave empty for the cluster's only pool."),
                    refers="snat-pools",
                ),
                Entry(
                    "mode",
                    _("Mode"),
                    3,
                    _("Staged rules allow nothing; what they would deny passes and is marked."),
                ),
                _ORDER,
                Entry("owner", _("Owner"), 4, _("Who answers for it.")),
                Entry("expires_at", _("Expires"), 3, _("UTC. Leave empty for never.")),
                _DESCRIPTION,
            ),
            is_folded=True,
        ),
    ),
)

LAYOUTS: Final[Mapping[str, Layout]] = {
    "namespaces": Layout(
        _("A Kubernetes namespace of the tenant. Ingress policies may name services in it."),
        (Section("", (_NAME, _CLUSTER)),),
    ),
    "segments": _SEGMENT,
    "self-ips": Layout(
        _("The proxy's own address on a segment, one for each of its instances."),
        (
            Section(
                "",
                (
                    Entry("segment", _("Segment"), 3, refers="segments"),
                    Entry(
                        "number", _("Instance"), 3, _("Which proxy instance, from 1."), initial=1
                    ),
                    Entry(
                        "address",
                        _("Address"),
                        4,
                        _("Inside one of the segment's subnets."),
                        suggests=True,
                    ),
                ),
            ),
        ),
    ),
    "virtual-addresses": Layout(
        _("An address that the proxy answers on; closed until an ingress policy opens it."),
        (
            Section(
                "",
                (
                    _CLUSTER,
                    _VRF,
                    Entry("address", _("Address"), 4, suggests=True),
                    _DESCRIPTION,
                ),
            ),
        ),
    ),
    "snat-pools": Layout(
        _("Source addresses of the tenant's outgoing connections."),
        (
            Section(
                "",
                (
                    _NAME,
                    _CLUSTER,
                    _VRF,
                    Entry(
                        "addresses",
                        _("Addresses"),
                        help=_("One per line; the n-th belongs to the proxy's n-th instance."),
                        placeholder="127.20.1.1",
                        suggests=True,
                    ),
                    Entry("shared", _("Shared"), help=_("One address serves all instances.")),
                    _DESCRIPTION,
                ),
            ),
        ),
    ),
    "static-routes": Layout(
        _("A route to a network that is not on one of the tenant's segments."),
        (
            Section(
                "",
                (
                    _NAME,
                    _CLUSTER,
                    Entry(
                        "destination",
                        _("Destination"),
                        3,
                        _("Network in CIDR notation; 0.0.0.0/0 or ::/0 for the default route."),
                        placeholder="192.168.0.0/16",
                    ),
                    Entry(
                        "next_hop",
                        _("Next hop"),
                        3,
                        _("Router inside one of the tenant's subnets."),
                    ),
                ),
            ),
        ),
    ),
    "bgp-peers": Layout(
        _("A router that learns how to reach the tenant's addresses."),
        (
            Section(
                "",
                (
                    _NAME,
                    _CLUSTER,
                    Entry("address", _("Address"), 2, _("The neighbor.")),
                    Entry("asn", _("ASN"), 2, _("The neighbor's autonomous system.")),
                    Entry("local_asn", _("Local ASN"), 2, _("The proxy's autonomous system.")),
                    Entry("advertise", _("Advertise"), help=_("Addresses that it learns.")),
                ),
            ),
            Section(
                _("Advanced"),
                (
                    Entry("bfd", _("BFD"), help=_("Detect a dead neighbor within a second.")),
                    Entry("hold_seconds", _("Hold time"), 2, _("Seconds, 3 to 65535.")),
                    Entry(
                        "advertise_lists",
                        _("Advertised lists"),
                        help=_("Address lists announced as well."),
                        refers="address-lists",
                    ),
                ),
                is_folded=True,
            ),
        ),
    ),
    "listeners": Layout(
        _("An address and port that the proxy can listen on. An ingress policy makes its own."),
        (
            Section(
                "",
                (
                    _NAME,
                    _CLUSTER,
                    Entry("virtual_address", _("Virtual address"), 3, refers="virtual-addresses"),
                    Entry("port", _("Port"), 3, _("Port that clients connect to.")),
                    Entry("protocol", _("Protocol"), 3),
                    Entry(
                        "tls",
                        _("TLS reference"),
                        3,
                        _("The proxy then ends TLS with that certificate."),
                        refers="tls-references",
                    ),
                ),
            ),
        ),
    ),
    "ingress-policies": _INGRESS,
    "egress-policies": _EGRESS,
    "address-lists": Layout(
        _("Addresses and networks under one name, for several policies."),
        (
            Section(
                "",
                (
                    _NAME,
                    Entry(
                        "addresses",
                        _("Addresses"),
                        help=_("Addresses or networks in CIDR notation, one per line."),
                        placeholder="203.0.113.0/24",
                    ),
                    _DESCRIPTION,
                ),
            ),
        ),
    ),
    "port-lists": Layout(
        _("Ports and port ranges under one name, for several egress policies."),
        (
            Section(
                "",
                (
                    _NAME,
                    Entry(
                        "ports",
                        _("Ports"),
                        help=_("Ports or ranges such as 8000-8099, one per line."),
                        placeholder="443",
                    ),
                    _DESCRIPTION,
                ),
            ),
        ),
    ),
    "tls-references": Layout(
        _("Where a certificate and its key are. Sluice never reads the key."),
        (
            Section(
                "",
                (
                    _NAME,
                    Entry("namespace", _("Namespace"), 3, refers="namespaces"),
                    Entry(
                        "secret", _("Secret"), 3, _("Kubernetes Secret of type kubernetes.io/tls.")
                    ),
                ),
            ),
        ),
    ),
}
