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
    return frozenset((*_namespaces(intent), *_segments(intent), *_addresses(intent)))


def _namespaces(intent: Intent) -> Iterator[Claim]:
    for entry in intent.namespaces:
        yield NamespaceClaim(cluster=entry.cluster, name=entry.name, user=f"namespace {entry.name}")


def _segments(intent: Intent) -> Iterator[Claim]:
    for segment in intent.segments:
        user = f"segment {segment.name}"
        if segment.vlan:
            yield VlanClaim(
                cluster=segment.cluster,
                trunk=segment.vlan.interface,
                tag=segment.vlan.tag,
                user=user,
            )
        if segment.vxlan:
            yield VniClaim(cluster=segment.cluster, vni=segment.vxlan.vni, user=user)
        for subnet in segment.subnets:
            yield SubnetClaim(
                cluster=segment.cluster,
                vrf=segment.vrf or DEFAULT_VRF,
                prefix=subnet.cidr,
                user=user,
            )


def _addresses(intent: Intent) -> Iterator[Claim]:
    for used in used_addresses(intent):
        yield AddressClaim(
            cluster=used.cluster,
            vrf=used.vrf or DEFAULT_VRF,
            address=used.address,
            role=used.role,
            subnet=used.subnet or "",
            user=used.user,
        )
