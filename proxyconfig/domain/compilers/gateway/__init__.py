"""Intent to what a cluster with any Gateway API proxy holds: Gateways and routes for ingress,
NetworkPolicies for default deny and egress.
"""

from proxyconfig.domain.compilers.gateway.coverage import COVERAGE, Coverage
from proxyconfig.domain.compilers.gateway.environment import (
    KNOWN_VERSIONS,
    ClusterDns,
    GatewayEnvironment,
)
from proxyconfig.domain.compilers.gateway.ingress import ingress_resources
from proxyconfig.domain.compilers.gateway.network_policies import network_policies
from proxyconfig.domain.compilers.gateway.objects import Writer, object_name
from proxyconfig.domain.compilers.gateway.support import UNSUPPORTED, unsupported
from proxyconfig.domain.intent import Intent, canonical
from proxyconfig.domain.resources import Resource

__all__ = [
    "COVERAGE",
    "KNOWN_VERSIONS",
    "UNSUPPORTED",
    "ClusterDns",
    "Coverage",
    "GatewayEnvironment",
    "compile",
    "object_name",
    "unsupported",
]


def compile(intent: Intent, *, environment: GatewayEnvironment) -> tuple[Resource, ...]:
    """What the cluster should hold for one tenant, sorted by identity.

    A listener with no enforced policy is not on its Gateway, and a Gateway without a listener is
    not written. Default deny is there as long as the tenant has a namespace. What ``unsupported``
    refuses is not written where it would open more than was asked for.

    Raises:
        PermanentError: the cluster does not serve a kind that is needed, or does not say where its
            proxy runs.
    """
    wish = canonical(intent)
    writer = Writer(wish.tenant, environment)
    return tuple(sorted((*ingress_resources(wish, writer), *network_policies(wish, writer))))
