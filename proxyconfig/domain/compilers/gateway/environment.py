"""What a cluster's discovery and its operator say beside the intent, and which versions fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tenants.errors import PermanentError

GATEWAY_GROUP: Final = "gateway.networking.k8s.io"
NETWORK_GROUP: Final = "networking.k8s.io"
# What this compiler can write, newest first. All versions of one kind have the fields used here.
KNOWN_VERSIONS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    (GATEWAY_GROUP, "Gateway"): ("v1", "v1beta1"),
    (GATEWAY_GROUP, "HTTPRoute"): ("v1", "v1beta1"),
    (GATEWAY_GROUP, "ReferenceGrant"): ("v1", "v1beta1"),
    (GATEWAY_GROUP, "TCPRoute"): ("v1", "v1alpha2"),
    (GATEWAY_GROUP, "UDPRoute"): ("v1", "v1alpha2"),
    (NETWORK_GROUP, "NetworkPolicy"): ("v1",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDns:
    """The name servers that pods ask.

    Attributes:
        namespace: where their pods run; "" where they are only addresses.
        labels: of those pods, as pairs; none: every pod of the namespace.
        cidrs: addresses outside the pod network, such as a cache on each node.
        ports: of the pods, not of their Service: some distributions listen on 5353.
    """

    namespace: str = "kube-system"
    labels: tuple[tuple[str, str], ...] = (("k8s-app", "kube-dns"),)
    cidrs: tuple[str, ...] = ()
    ports: tuple[int, ...] = (53,)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayEnvironment:
    """What a Gateway API cluster is told beside the intent.

    Attributes:
        gateway_class: GatewayClass of the proxy.
        versions: (group, kind, version) that the API server serves, from discovery.
        proxy_namespaces: whose pods are the proxy; they may connect to backends.
        proxy_cidrs: addresses of a proxy outside the pod network; they may too.
        dns: None where pods need no name server.
        gateway_namespace: the tenant's namespace that has its Gateways and routes; "" for the
            first by name. A caller that keeps it spares a move, which closes every connection, when
            a namespace is added.
    """

    gateway_class: str
    versions: tuple[tuple[str, str, str], ...]
    proxy_namespaces: tuple[str, ...] = ()
    proxy_cidrs: tuple[str, ...] = ()
    dns: ClusterDns | None = ClusterDns()
    gateway_namespace: str = ""

    def api_version(self, group: str, kind: str) -> str:
        """The newest served version of a kind that this compiler knows, with its group.

        Raises:
            PermanentError: there is none.
        """
        served = {version for *of, version in self.versions if of == [group, kind]}
        known = KNOWN_VERSIONS[group, kind]
        for version in known:
            if version in served:
                return f"{group}/{version}"
        found = f"only {', '.join(sorted(served))}" if served else "none"
        raise PermanentError(
            f"The cluster must serve {kind} of {group} as {' or '.join(known)}; it serves {found}."
            f" Install it, or remove the objects that need {kind}.",
            code="kind.not-served",
        )
