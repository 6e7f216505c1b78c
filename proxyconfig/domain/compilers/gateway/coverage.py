"""What becomes of each field of an intent on a Gateway API cluster."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Coverage(StrEnum):
    """What this flavour does with a field."""

    COMPILED = "compiled"  # Another value is other bytes.
    REFUSED = "refused"  # Set, it is an error at edit time; see ``support``.
    RECORDED = "recorded"  # For people, or for the data centre: no object of the cluster has it.


_COMPILED: Final = (
    "tenant",
    "namespaces.name",
    "namespaces.cluster",
    "virtualAddresses.address",
    "virtualAddresses.cluster",
    "listeners.name",
    "listeners.cluster",
    "listeners.virtualAddress",
    "listeners.port",
    "listeners.protocol",
    "listeners.tls",
    "ingressPolicies.name",
    "ingressPolicies.listener",
    "ingressPolicies.backend.namespace",
    "ingressPolicies.backend.service",
    "ingressPolicies.backend.port",
    "ingressPolicies.hostnames",
    "ingressPolicies.pathPrefix",
    "ingressPolicies.mode",
    "egressPolicies.name",
    "egressPolicies.order",
    "egressPolicies.mode",
    "egressPolicies.rules.order",
    "egressPolicies.rules.cidr",
    "egressPolicies.rules.addressList",
    "egressPolicies.rules.ports",
    "egressPolicies.rules.portLists",
    "egressPolicies.rules.protocol",
    "egressPolicies.rules.action",
    "egressPolicies.rules.granted",
    "addressLists.name",
    "addressLists.addresses",
    "portLists.name",
    "portLists.ports",
    "tlsReferences.name",
    "tlsReferences.namespace",
    "tlsReferences.secret",
)
_REFUSED: Final = (
    "virtualAddresses.vrf",
    "selfIps",
    "snatPools",
    "staticRoutes",
    "bgpPeers",
    "ingressPolicies.sources",
    "ingressPolicies.sourceLists",
    # Where it contradicts the standard's own precedence; else it means nothing here.
    "ingressPolicies.order",
    "egressPolicies.rules.host",
    "egressPolicies.snatPool",
    "egressPolicies.expiresAt",
)
# A segment is the data centre's: its switches carry it, and a Gateway API proxy is not attached.
_RECORDED: Final = (
    "segments",
    "virtualAddresses.description",
    "ingressPolicies.description",
    "egressPolicies.owner",
    "egressPolicies.description",
    "egressPolicies.rules.granted.by",
    "egressPolicies.rules.granted.at",
    "addressLists.description",
    "portLists.description",
)

# By the field's path in a manifest, below ``spec``; a whole collection where none of it has effect.
COVERAGE: Final[Mapping[str, Coverage]] = {
    **dict.fromkeys(_COMPILED, Coverage.COMPILED),
    **dict.fromkeys(_REFUSED, Coverage.REFUSED),
    **dict.fromkeys(_RECORDED, Coverage.RECORDED),
}
