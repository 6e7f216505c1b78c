"""Hand-made objects of a tenant, as a compiler would write them."""

from proxyconfig.domain import labels
from proxyconfig.domain.resources import Resource

GATEWAY_API = "gateway.networking.k8s.io"


def made(
    api_version: str, kind: str, name: str, namespace: str, *, tenant: str = "acme", **parts: object
) -> Resource:
    """A whole object with the tenant's labels."""
    metadata = {"name": name, "namespace": namespace, "labels": labels.of(tenant)}
    body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}
    group = api_version.rpartition("/")[0]
    return Resource.of(kind, name, body, group=group, namespace=namespace)


def gateway(namespace: str, *ports: int, name: str = "front", tenant: str = "acme") -> Resource:
    """A Gateway that listens on ports."""
    listeners = [
        {"name": f"http-{port}", "port": port, "protocol": "HTTP"} for port in ports or (8080,)
    ]
    spec = {"gatewayClassName": "traefik", "listeners": listeners}
    return made(f"{GATEWAY_API}/v1", "Gateway", name, namespace, tenant=tenant, spec=spec)


def route(
    namespace: str, *, port: int = 80, name: str = "web", tenant: str = "acme", **spec: object
) -> Resource:
    """An HTTPRoute whose rules get defaults inside their atomic lists."""
    rules = [{"backendRefs": [{"name": "rag", "port": port}]}]
    content = {
        "parentRefs": [{"name": "front"}],
        "hostnames": ["a.example"],
        "rules": rules,
        **spec,
    }
    return made(f"{GATEWAY_API}/v1", "HTTPRoute", name, namespace, tenant=tenant, spec=content)


def grant(namespace: str) -> Resource:
    """A ReferenceGrant."""
    spec = {
        "from": [{"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": namespace}],
        "to": [{"group": "", "kind": "Service"}],
    }
    return made(f"{GATEWAY_API}/v1", "ReferenceGrant", "services", namespace, spec=spec)


def network_policy(namespace: str) -> Resource:
    """A NetworkPolicy that lets one network in; the protocol is left to its default."""
    rule = {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 80}]}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [rule]}
    return made("networking.k8s.io/v1", "NetworkPolicy", "default", namespace, spec=spec)


def config_map(namespace: str, **entries: str) -> Resource:
    """A ConfigMap: a kind without a generation."""
    return made("v1", "ConfigMap", "sheet", namespace, data=entries or {"a": "1"})


def other_routes(namespace: str) -> tuple[Resource, ...]:
    """One of each other kind of route."""
    backends = [{"backendRefs": [{"name": "rag", "port": 80}]}]
    spec = {"parentRefs": [{"name": "front", "sectionName": "x"}], "rules": backends}
    tls = {**spec, "hostnames": ["a.example"]}
    version = f"{GATEWAY_API}/v1"
    return (
        made(version, "GRPCRoute", "grpc", namespace, spec=spec),
        made(version, "TCPRoute", "tcp", namespace, spec=spec),
        made(version, "UDPRoute", "udp", namespace, spec=spec),
        made(version, "TLSRoute", "tls", namespace, spec=tls),
    )
