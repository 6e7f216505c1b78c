"""What an intent takes of the platform's, as claims that the database gives to one tenant each."""

from collections.abc import Iterator

from proxyconfig.domain.intent import Intent
from proxyconfig.domain.policies.addresses import used_addresses
from tenants.domain.claims import (
    DEFAULT_VRF,
    AddressClaim,
    Claim,
    NamespaceClaim,
    SubnetClaim,
    VlanClaim,
    VniClaim,
)


def claims(intent: Intent) -> frozenset[Claim]:
    """Every claim of a valid intent."""
    return frozenset(claim for claim, _ in placed(intent))


def placed(intent: Intent) -> Iterator[tuple[Claim, str]]:
    """Every claim of a valid intent, and the path of the field that makes it."""
    yield from _namespaces(intent)
    yield from _segments(intent)
    yield from _addresses(intent)


def _namespaces(intent: Intent) -> Iterator[tuple[Claim, str]]:
    for entry in intent.namespaces:
        claim = NamespaceClaim(
            cluster=entry.cluster, name=entry.name, user=f"namespace {entry.name}"
        )
        yield claim, f"spec.namespaces[{entry.cluster}:{entry.name}].name"


def _segments(intent: Intent) -> Iterator[tuple[Claim, str]]:
    for segment in intent.segments:
        user, path = f"segment {segment.name}", f"spec.segments[{segment.name}]"
        if vlan := segment.vlan:
            tag = VlanClaim(cluster=segment.cluster, trunk=vlan.interface, tag=vlan.tag, user=user)
            yield tag, f"{path}.vlan.tag"
        if vxlan := segment.vxlan:
            vni = VniClaim(cluster=segment.cluster, vni=vxlan.vni, user=user)
            yield vni, f"{path}.vxlan.vni"
        for place, subnet in enumerate(segment.subnets):
            prefix = SubnetClaim(
                cluster=segment.cluster,
                vrf=segment.vrf or DEFAULT_VRF,
                prefix=subnet.cidr,
                user=user,
            )
            yield prefix, f"{path}.subnets[{place}].cidr"


def _addresses(intent: Intent) -> Iterator[tuple[Claim, str]]:
    for used in used_addresses(intent):
        claim = AddressClaim(
            cluster=used.cluster,
            vrf=used.vrf or DEFAULT_VRF,
            address=used.address,
            role=used.role,
            subnet=used.subnet or "",
            user=used.user,
        )
        yield claim, used.path
