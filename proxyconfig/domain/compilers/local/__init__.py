"""Intent to what the local proxy holds: Caddy servers for ingress, one tenant entry for egress."""

from dataclasses import dataclass

from proxyconfig.domain.compilers.local.caddy import CADDY_SERVER, ingress_resources, server_name
from proxyconfig.domain.compilers.local.egress import EGRESS_TENANT, egress_resource
from proxyconfig.domain.compilers.local.support import UNSUPPORTED, unsupported
from proxyconfig.domain.intent import Intent, canonical
from proxyconfig.domain.resources import Resource

__all__ = [
    "CADDY_SERVER",
    "EGRESS_TENANT",
    "UNSUPPORTED",
    "LocalEnvironment",
    "compile",
    "server_name",
    "unsupported",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEnvironment:
    """What the local proxy is told beside the intent.

    Attributes:
        ingress_socket: path of the unix socket on which the service behind every backend answers;
            on one machine that is the portal's own ingress socket.
        credential_sha256: lower-case hex SHA-256 of the tenant's egress password.
    """

    ingress_socket: str
    credential_sha256: str


def compile(intent: Intent, *, environment: LocalEnvironment) -> tuple[Resource, ...]:
    """What the local proxy should hold for one tenant, sorted by identity.

    A listener with no enforced policy gives no server, so that connections to it are refused. The
    egress entry is always there: its credential lets denials be told apart from strangers.
    """
    wish = canonical(intent)
    servers = ingress_resources(wish, socket=environment.ingress_socket)
    tenant = egress_resource(wish, credential_sha256=environment.credential_sha256)
    return tuple(sorted((*servers, tenant)))
