"""What is free next, for the button beside a field: a suggestion, which claims nothing."""

from collections.abc import Callable, Mapping
from typing import Final

from django.utils.translation import gettext as _

from proxyconfig.domain.intent import Intent
from proxyconfig.ui.object_forms import ObjectForm
from tenants.domain.claims import DEFAULT_VRF, AddressRole
from tenants.domain.notation import address_complaint, network_complaint
from tenants.domain.numbers import whole_number
from tenants.errors import ConflictError, InvalidError
from tenants.models import Vrf
from tenants.models.tenant import Cluster, Tenant
from tenants.services import allocation
from tenants.services.allocation import Wish

Typed = Mapping[str, object]
# By IP version: the lengths that are tried, the most common one first.
_LENGTHS: Final = {4: (24, 26, 28), 6: (64,)}


def suggest(tenant: Tenant, form: ObjectForm, field: str, typed: Typed) -> object:
    """The value that the field gets: what is free next, below what a list already has.

    Raises:
        InvalidError: something that it depends on is not chosen yet, or nothing was granted there.
        ConflictError: nothing is free.
    """
    found = _SUGGESTIONS.get((form.collection.name, field))
    return typed.get(field) if found is None else found(tenant, form.context.intent, typed)


def _vlan_tag(tenant: Tenant, _intent: Intent, typed: Typed) -> object:
    trunk = _text(typed, "vlan_interface") or "1.1"
    return allocation.next_vlan(tenant, _cluster(typed), trunk, wish=_after(typed, "vlan_tag"))


def _vni(tenant: Tenant, _intent: Intent, typed: Typed) -> object:
    return allocation.next_vni(tenant, _cluster(typed), wish=_after(typed, "vxlan_vni"))


def _subnet(tenant: Tenant, _intent: Intent, typed: Typed) -> object:
    cluster, vrf = _cluster(typed), _vrf(_text(typed, "vrf"))
    lines = _text(typed, "subnets").splitlines()
    words = [line.split()[0] for line in lines if line.split()]
    taken = [word for word in words if not network_complaint(word)]
    prefix = _next_prefix(tenant, cluster, vrf, Wish(skip=taken))
    gateway = allocation.next_in_subnet(tenant, cluster, vrf, prefix)
    return _with_line(typed, "subnets", f"{prefix} {gateway}")


def _next_prefix(tenant: Tenant, cluster: Cluster, vrf: Vrf, wish: Wish) -> str:
    """The first that is free, of the usual lengths; IPv6 where no IPv4 was granted."""
    refused: InvalidError | ConflictError | None = None
    for version, lengths in _LENGTHS.items():
        for length in lengths:
            try:
                return allocation.next_prefix(
                    tenant, cluster, vrf, length, version=version, wish=wish
                )
            except (InvalidError, ConflictError) as error:
                refused = refused or error
    assert refused is not None  # noqa: S101 - some length was tried; for the type checker
    raise refused


def _virtual_address(tenant: Tenant, _intent: Intent, typed: Typed) -> object:
    vrf = _vrf(_text(typed, "vrf"))
    return allocation.next_address(
        tenant, _cluster(typed), vrf, role=AddressRole.VIRTUAL, wish=_skip(typed, "address")
    )


def _snat_address(tenant: Tenant, _intent: Intent, typed: Typed) -> object:
    vrf = _vrf(_text(typed, "vrf"))
    wish = _skip(typed, "addresses")
    address = allocation.next_address(
        tenant, _cluster(typed), vrf, role=AddressRole.SNAT, wish=wish
    )
    return _with_line(typed, "addresses", address)


def _self_ip(tenant: Tenant, intent: Intent, typed: Typed) -> object:
    name = _text(typed, "segment")
    segment = next((entry for entry in intent.segments if entry.name == name), None)
    if segment is None or not segment.subnets:
        raise InvalidError(_("Choose a segment that has a subnet first."))
    cluster = Cluster.objects.get(name=segment.cluster)
    return allocation.next_in_subnet(
        tenant,
        cluster,
        _vrf(segment.vrf or ""),
        segment.subnets[0].cidr,
        wish=_skip(typed, "address"),
    )


_SUGGESTIONS: Final[Mapping[tuple[str, str], Callable[[Tenant, Intent, Typed], object]]] = {
    ("segments", "vlan_tag"): _vlan_tag,
    ("segments", "vxlan_vni"): _vni,
    ("segments", "subnets"): _subnet,
    ("self-ips", "address"): _self_ip,
    ("virtual-addresses", "address"): _virtual_address,
    ("snat-pools", "addresses"): _snat_address,
}


def _cluster(typed: Typed) -> Cluster:
    found = Cluster.objects.filter(name=_text(typed, "cluster")).first()
    if found is None:
        raise InvalidError(_("Choose a cluster first."))
    return found


def _vrf(name: str) -> Vrf:
    found = Vrf.objects.filter(name=name or DEFAULT_VRF).first()
    if found is None:
        raise InvalidError(_("There is no VRF %(name)s.") % {"name": name[:63]})
    return found


def _after(typed: Typed, name: str) -> Wish:
    """Past the number that stands there, so that pressing again gives another."""
    number = whole_number(_text(typed, name))
    return Wish() if number is None else Wish(skip=[number])


def _skip(typed: Typed, name: str) -> Wish:
    """Not what stands there already."""
    words = _text(typed, name).split()
    return Wish(skip=[word for word in words if not address_complaint(word)])


def _text(typed: Typed, name: str) -> str:
    return str(typed.get(name) or "").replace("\0", "").strip()


def _with_line(typed: Typed, name: str, line: str) -> str:
    return "\n".join(filter(None, (_text(typed, name), line)))
