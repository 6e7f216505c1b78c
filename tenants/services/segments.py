"""A tenant's network: segments with their subnets, namespaces, virtual and SNAT addresses.

Each change makes a plan, as all of this is part of the tenant's intent. Who owns what is decided
by the database; two tenants that ask for one VLAN tag at the same moment get one row and one
refusal.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import ProtectedError

from tenants import audit
from tenants.domain.actor import Actor
from tenants.domain.addresses import holdable
from tenants.errors import ConflictError, InvalidError
from tenants.models.scoped import platform_scope
from tenants.models.segment import Segment, SegmentKind, SnatAddress, Subnet, VirtualAddress
from tenants.models.tenant import Cluster, Namespace, Tenant
from tenants.services import conflicts
from tenants.services.changes import network_change
from tenants.services.conflicts import Taken

VLAN_TAGS = range(1, 4095)

NetworkRow = Segment | Namespace | VirtualAddress | SnatAddress
Row = TypeVar("Row", Namespace, VirtualAddress, SnatAddress)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetDraft:
    """A prefix in CIDR notation, its routing domain and, where there is one, its gateway."""

    prefix: str
    gateway: str | None = None
    vrf: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDraft:
    """What somebody wants a segment to be; its subnets are the whole list."""

    name: str
    cluster: Cluster
    kind: SegmentKind = SegmentKind.VLAN
    trunk: str = "1.1"
    vlan_tag: int | None = None
    vni: int | None = None
    subnets: tuple[SubnetDraft, ...] = ()


def save_segment(
    tenant: Tenant,
    draft: SegmentDraft,
    *,
    actor: Actor,
    reason: str = "",
    segment: Segment | None = None,
) -> Segment:
    """Make a segment, or with ``segment`` change that one, subnets included.

    Raises:
        InvalidError: a field cannot be taken, or the tag or VNI does not fit the kind.
        ConflictError: the tag, the VNI or a subnet is somebody's already.
    """
    _check_identifier(draft)
    row = segment or Segment(tenant=tenant)
    row.name, row.cluster, row.kind = draft.name, draft.cluster, draft.kind.value
    row.trunk, row.vlan_tag, row.vni = draft.trunk, draft.vlan_tag, draft.vni
    event = "segment.created" if segment is None else "segment.changed"
    with network_change(tenant, actor=actor, reason=reason or f"Segment {draft.name}"):
        conflicts.save(row, actor=actor, taken=_segment_taken(tenant, draft))
        row.subnets.all().delete()
        for wanted in draft.subnets:
            _save_subnet(row, wanted, actor)
        audit.record(actor, event, row, reason=reason, detail={"identifier": row.identifier})
    return row


def add_namespace(
    tenant: Tenant, cluster: Cluster, name: str, *, actor: Actor, reason: str = ""
) -> Namespace:
    """Give the tenant a namespace of a cluster.

    Raises:
        InvalidError: not a namespace's name.
        ConflictError: it is somebody's already.
    """
    row = Namespace(tenant=tenant, cluster=cluster, name=name)
    taken = Taken(
        f"Namespace {name} of cluster {cluster}",
        lambda: Namespace.objects.filter(cluster=cluster, name=name),
    )
    return _add(row, {"namespace_one_owner": taken}, actor=actor, reason=reason)


def add_virtual_address(
    tenant: Tenant, cluster: Cluster, address: str, *, actor: Actor, reason: str = ""
) -> VirtualAddress:
    """Give the tenant an address that the cluster's proxy answers on.

    Raises:
        InvalidError: not an address that a proxy can listen on.
        ConflictError: it is somebody's already.
    """
    row = VirtualAddress(tenant=tenant, cluster=cluster, address=_address(address))
    taken = Taken(
        f"Virtual address {row.address} of cluster {cluster}",
        lambda: VirtualAddress.objects.filter(cluster=cluster, address=row.address),
    )
    return _add(row, {"virtual_address_one_owner": taken}, actor=actor, reason=reason)


def add_snat_address(
    tenant: Tenant, cluster: Cluster, address: str, *, actor: Actor, reason: str = ""
) -> SnatAddress:
    """Give the tenant an address that its outbound connections leave from.

    Raises:
        InvalidError: not an address that a proxy can send from.
        ConflictError: it is somebody's already.
    """
    row = SnatAddress(tenant=tenant, cluster=cluster, address=_address(address))
    taken = Taken(
        f"SNAT address {row.address} of cluster {cluster}",
        lambda: SnatAddress.objects.filter(cluster=cluster, address=row.address),
    )
    return _add(row, {"snat_address_one_owner": taken}, actor=actor, reason=reason)


def remove(row: NetworkRow, *, actor: Actor, reason: str = "") -> None:
    """Take a segment, namespace or address away from its tenant.

    Raises:
        ConflictError: a policy or listener still uses it.
    """
    kind = str(row._meta.verbose_name)
    event = f"{kind.lower().replace(' ', '-')}.removed"
    with network_change(row.tenant, actor=actor, reason=reason or f"Remove {kind} {row}"):
        audit.record(actor, event, row, reason=reason)
        try:
            row.delete()
        except ProtectedError as error:
            users = ", ".join(
                sorted({f"{user._meta.verbose_name} {user}" for user in error.protected_objects})
            )
            raise ConflictError(
                f"{kind} {row} is still used by {users}. Change or delete that first.",
                code="in-use",
            ) from error


def next_free_vlan_tag(cluster: Cluster, trunk: str, *, after: int = 0) -> int | None:
    """The first tag above ``after`` that no tenant has on this trunk, else the first of all.

    Says nothing about whose the others are. None when all 4,094 are taken.
    """
    with platform_scope("next free VLAN tag"):
        used = set(
            Segment.objects.filter(
                cluster=cluster, trunk=trunk, vlan_tag__isnull=False
            ).values_list("vlan_tag", flat=True)
        )
    free = [tag for tag in VLAN_TAGS if tag not in used]
    return next((tag for tag in free if tag > after), free[0] if free else None)


def _add(row: Row, taken: Mapping[str, Taken], *, actor: Actor, reason: str) -> Row:
    kind = str(row._meta.verbose_name)
    with network_change(row.tenant, actor=actor, reason=reason or f"Add {kind} {row}"):
        conflicts.save(row, actor=actor, taken=taken)
        audit.record(actor, f"{kind.lower().replace(' ', '-')}.added", row, reason=reason)
    return row


def _address(text: str) -> str:
    try:
        return holdable(text)
    except ValueError as error:
        raise InvalidError(
            f"{text!r} cannot be taken: {error}.", fields={"address": [str(error)]}
        ) from error


def _check_identifier(draft: SegmentDraft) -> None:
    """Says in words what the constraint ``segment_identifier_fits_kind`` holds."""
    complaints = {
        SegmentKind.VLAN: (draft.vlan_tag is None, draft.vni is not None),
        SegmentKind.VXLAN: (draft.vni is None, draft.vlan_tag is not None),
        SegmentKind.SUBNET: (False, draft.vlan_tag is not None or draft.vni is not None),
    }
    lacks, has_too_much = complaints[draft.kind]
    if not lacks and not has_too_much:
        return
    rule = {
        SegmentKind.VLAN: "A VLAN segment has a VLAN tag and no VNI.",
        SegmentKind.VXLAN: "A VXLAN segment has a VNI and no VLAN tag.",
        SegmentKind.SUBNET: "A plain subnet has neither a VLAN tag nor a VNI.",
    }[draft.kind]
    field = "vni" if draft.kind is SegmentKind.VXLAN else "vlan_tag"
    raise InvalidError(rule, fields={field: [rule]})


def _segment_taken(tenant: Tenant, draft: SegmentDraft) -> dict[str, Taken]:
    cluster, trunk, tag, vni = draft.cluster, draft.trunk, draft.vlan_tag, draft.vni

    def next_tag() -> str:
        free = next_free_vlan_tag(cluster, trunk, after=tag or 0)
        return f"The next free tag is {free}." if free else "No tag is free on this trunk."

    return {
        "segment_name": Taken(
            f"The segment name {draft.name}",
            lambda: Segment.objects.filter(tenant=tenant, name=draft.name),
        ),
        "segment_vlan_one_owner": Taken(
            f"VLAN {tag} on trunk {trunk} of cluster {cluster}",
            lambda: Segment.objects.filter(cluster=cluster, trunk=trunk, vlan_tag=tag),
            hint=next_tag,
        ),
        "segment_vni_one_owner": Taken(
            f"VNI {vni} of cluster {cluster}",
            lambda: Segment.objects.filter(cluster=cluster, vni=vni),
        ),
    }


def _save_subnet(segment: Segment, draft: SubnetDraft, actor: Actor) -> None:
    network = _network(draft)
    row = Subnet(
        tenant=segment.tenant,
        cluster=segment.cluster,
        segment=segment,
        vrf=draft.vrf,
        prefix=str(network),
        gateway=draft.gateway,
    )
    taken = Taken(
        f"Subnet {network} (VRF {draft.vrf} of cluster {segment.cluster})",
        lambda: Subnet.objects.filter(cluster=segment.cluster, vrf=draft.vrf),
        matches=lambda other: _overlap(network, ipaddress.ip_network(str(other))),
    )
    conflicts.save(row, actor=actor, taken={"subnet_no_overlap": taken})


def _network(draft: SubnetDraft) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(draft.prefix)
    except ValueError as error:
        says = f"{error}; write it as in 10.1.0.0/24"
        raise InvalidError(f"{says}.", fields={"subnets": [says]}) from error
    if draft.gateway is not None and ipaddress.ip_address(draft.gateway) not in network:
        says = f"gateway {draft.gateway} is not inside {network}"
        raise InvalidError(f"{says[0].upper()}{says[1:]}.", fields={"subnets": [says]})
    return network


def _overlap(
    one: ipaddress.IPv4Network | ipaddress.IPv6Network,
    other: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    return one.version == other.version and one.overlaps(other)
