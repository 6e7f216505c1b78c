"""What an intent names or leads to that is not the tenant's: VRFs, announcements, routes, peers.

Claims have rows that the database holds apart; what is asked here takes nothing, and would only
draw away what others have.
"""

import ipaddress
from collections.abc import Iterator

from django.db.models import Q

from proxyconfig.domain.address_sets import AddressSet
from proxyconfig.domain.intent import BgpPeer, Intent, StaticRoute
from proxyconfig.domain.problems import Problem
from proxyconfig.models import IntentObject
from tenants.domain.claims import DEFAULT_VRF
from tenants.errors import ConflictError
from tenants.models import AddressClaim, PrefixGrant, SubnetClaim, Vrf, platform_scope
from tenants.models.tenant import Tenant
from tenants.services.claim_kinds import supernets


def problems(tenant: Tenant, before: Intent, after: Intent) -> list[Problem]:
    """Complaints about what ``after`` adds to ``before``; what is in force already stays."""
    return [
        *_vrfs(tenant, before, after),
        *_announcements(tenant, before, after),
        *_routes(tenant, before, after),
        *_peers(tenant, before, after),
    ]


def keep_named_vrf(instance: Vrf, **_signal: object) -> None:
    """Refuse the deletion of a VRF that an object names, also where it takes nothing in it.

    Raises:
        ConflictError: one does (``in-use``).
    """
    with platform_scope("places"):
        users = IntentObject.objects.filter(spec__vrf=instance.name).select_related("tenant")
        named = [f"{row.collection} {row.name} of tenant {row.tenant}" for row in users[:4]]
    if named:
        says = f"VRF {instance} is still used by {', '.join(named[:3])}"
        raise ConflictError(f"{says}{' and more' if named[3:] else ''}.", code="in-use")


def usable_vrfs(tenant: Tenant) -> list[str]:
    """Names of the VRFs beside the default one that the tenant may use: its own, and shared ones
    that it has a grant in.
    """
    granted = PrefixGrant.objects.filter(tenant=tenant).values("vrf")
    rows = Vrf.objects.filter(Q(pk__in=granted, owner=None) | Q(owner=tenant))
    return list(rows.exclude(name=DEFAULT_VRF).values_list("name", flat=True))


def _vrfs(tenant: Tenant, before: Intent, after: Intent) -> Iterator[Problem]:
    known = {*_named_vrfs(before).values()}
    wanted = {path: name for path, name in _named_vrfs(after).items() if name not in known}
    if not wanted:
        return
    usable = {*usable_vrfs(tenant)}
    for path, name in wanted.items():
        if name not in usable:
            says = (
                f"VRF {name} is not one that tenant {tenant} can use; choose one that it has a"
                " grant in"
            )
            yield Problem(path, "unknown-vrf", says)


def _named_vrfs(intent: Intent) -> dict[str, str]:
    """VRFs by where they are named, the default one left out."""
    found = {f"spec.segments[{item.name}].vrf": item.vrf for item in intent.segments}
    found |= {
        f"spec.virtualAddresses[{item.cluster}:{item.address}].vrf": item.vrf
        for item in intent.virtual_addresses
    }
    found |= {f"spec.snatPools[{item.name}].vrf": item.vrf for item in intent.snat_pools}
    return {path: name for path, name in found.items() if name and name != DEFAULT_VRF}


def _announcements(tenant: Tenant, before: Intent, after: Intent) -> Iterator[Problem]:
    known = AddressSet.union(networks for _, networks in _announced(before))
    wanted = [(peer, networks - known) for peer, networks in _announced(after)]
    if not any(networks for _, networks in wanted):
        return
    prefixes = PrefixGrant.objects.filter(tenant=tenant).values_list("prefix", flat=True)
    granted = AddressSet.of(prefixes)
    for peer, networks in wanted:
        if foreign := networks - granted:
            yield Problem(
                f"spec.bgpPeers[{peer.name}].advertiseLists",
                "not-granted",
                f"{foreign} is not granted to tenant {tenant}, so it cannot be announced",
            )


def _announced(intent: Intent) -> Iterator[tuple[BgpPeer, AddressSet]]:
    lists = {entry.name: AddressSet.of(entry.addresses) for entry in intent.address_lists}
    for peer in intent.bgp_peers:
        yield peer, AddressSet.union(lists.get(name, AddressSet()) for name in peer.advertise_lists)


def _routes(tenant: Tenant, before: Intent, after: Intent) -> Iterator[Problem]:
    known = {(route, vrf) for route in before.static_routes for vrf in _vrfs_of(before, route)}
    for route in after.static_routes:
        for vrf in sorted(_vrfs_of(after, route)):
            if (route, vrf) in known:
                continue
            if _is_taken(tenant, route.cluster, vrf, route.destination) or _is_routed(
                tenant, route, vrf
            ):
                yield Problem(
                    f"spec.staticRoutes[{route.name}].destination",
                    "destination-taken",
                    f"{route.destination} is another tenant's in VRF {vrf}; choose another"
                    " destination",
                )


def _peers(tenant: Tenant, before: Intent, after: Intent) -> Iterator[Problem]:
    for peer in after.bgp_peers:
        if peer not in before.bgp_peers and _is_taken(
            tenant, peer.cluster, DEFAULT_VRF, peer.address
        ):
            yield Problem(
                f"spec.bgpPeers[{peer.name}].address",
                "address-taken",
                f"{peer.address} belongs to another tenant",
            )


def _is_taken(tenant: Tenant, cluster: str, vrf: str, network: str) -> bool:
    """True when another tenant has the whole of ``network`` there, in a VRF that both can use."""
    around = supernets(ipaddress.ip_network(network))
    place = {"cluster__name": cluster, "vrf__name": vrf, "vrf__owner": None}
    others = ~Q(tenant=tenant) & Q(tenant__isnull=False)
    with platform_scope("places"):
        return (
            SubnetClaim.objects.filter(others, **place, prefix__in=around).exists()
            or AddressClaim.objects.filter(others, **place, address__in=around).exists()
        )


def _is_routed(tenant: Tenant, route: StaticRoute, vrf: str) -> bool:
    """True when another tenant leads the same destination elsewhere in the same shared VRF."""
    with platform_scope("places"):
        same = IntentObject.objects.filter(
            collection="static-routes",
            spec__cluster=route.cluster,
            spec__destination=route.destination,
        ).exclude(tenant=tenant)
        for row in same:
            hop = supernets(ipaddress.ip_network(row.spec["nextHop"]))
            around = SubnetClaim.objects.filter(
                tenant=row.tenant_id, cluster__name=route.cluster, prefix__in=hop
            )
            if around.filter(vrf__name=vrf, vrf__owner=None).exists():
                return True
    return False


def _vrfs_of(intent: Intent, route: StaticRoute) -> set[str]:
    """The VRFs of the segments that the next hop is in."""
    hop = ipaddress.ip_address(route.next_hop)
    return {
        segment.vrf or DEFAULT_VRF
        for segment in intent.segments
        if segment.cluster == route.cluster
        and any(hop in ipaddress.ip_network(subnet.cidr) for subnet in segment.subnets)
    }
