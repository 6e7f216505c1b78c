"""A cluster with a Gateway API proxy, and what a tenant has there."""

from pathlib import Path

from proxyconfig.domain.compilers.gateway import GatewayEnvironment, compile
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.manifest import from_yaml
from proxyconfig.domain.resources import Resource

# As Gateway API 1.6 and Kubernetes serve them.
SERVED = (
    *(("gateway.networking.k8s.io", kind, "v1") for kind in ("TCPRoute", "UDPRoute")),
    *(
        ("gateway.networking.k8s.io", kind, version)
        for kind in ("Gateway", "HTTPRoute", "ReferenceGrant")
        for version in ("v1beta1", "v1")
    ),
    ("networking.k8s.io", "NetworkPolicy", "v1"),
)
ENVIRONMENT = GatewayEnvironment(
    gateway_class="edge",
    versions=SERVED,
    proxy_namespaces=("edge-system",),
    proxy_cidrs=("192.0.2.10",),
)
CASES = sorted((Path(__file__).parent / "cases" / "gateway").iterdir())
EVERYTHING = from_yaml((Path(__file__).parent / "cases/gateway/whole/intent.yaml").read_text())


def compiled(intent: Intent, environment: GatewayEnvironment = ENVIRONMENT) -> tuple[Resource, ...]:
    """What the cluster ``west`` should hold."""
    return compile(intent.on("west"), environment=environment)
