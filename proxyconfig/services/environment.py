"""What a compiler and a target are told beside the intent: sockets and the egress credential.

The credential is never stored: it follows from Sluice's own secret, and a proxy is told its hash.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from proxyconfig.domain.compilers import COMPILERS, Compiler
from proxyconfig.domain.compilers.gateway import GatewayEnvironment
from proxyconfig.domain.compilers.local import LocalEnvironment
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.resources import Resource
from proxyconfig.domain.target import UNKNOWN_CADENCE, Cadence, Target
from proxyconfig.models.access import DriftPolicy
from proxyconfig.services import cluster_access
from proxyconfig.targets import TARGETS
from proxyconfig.targets.kube import KubeSettings
from proxyconfig.targets.local import LocalSettings
from tenants.errors import PermanentError
from tenants.models.claim import NamespaceClaim
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Cluster, Tenant


def egress_password(tenant_id: int) -> str:
    """What the tenant's workloads show to the egress proxy; 64 hex digits."""
    secret = settings.SECRET_KEY.encode()
    return hmac.new(secret, f"egress:{tenant_id}".encode(), hashlib.sha256).hexdigest()


def can_compile(flavour: str) -> bool:
    """True when there is a compiler, and what it is told beside the intent."""
    return flavour in COMPILERS and flavour in ENVIRONMENTS


def compiler_for(flavour: str) -> Compiler:
    """The compiler of a cluster's flavour.

    Raises:
        PermanentError: this version of Sluice has none.
    """
    if not can_compile(flavour):
        raise PermanentError(
            f"This version of Sluice cannot keep a proxy of flavour {flavour}. Use a cluster of"
            f" flavour {', '.join(filter(can_compile, COMPILERS))}.",
            code="flavour.unsupported",
        )
    return COMPILERS[flavour]


def compile_for(cluster: Cluster, intent: Intent, *, tenant: Tenant) -> tuple[Resource, ...]:
    """What a cluster's proxy should hold for one tenant, sorted.

    Args:
        intent: whole; the part for this cluster is taken out here.

    Raises:
        PermanentError: the flavour has no compiler.
    """
    compiler = compiler_for(cluster.flavour)
    facts = ENVIRONMENTS[cluster.flavour](cluster, tenant)
    return compiler.compile(intent.on(cluster.name), environment=facts)


def target_for(cluster: Cluster) -> Target:
    """A cluster's proxy.

    Raises:
        PermanentError: this version of Sluice cannot speak to it.
    """
    compiler_for(cluster.flavour)
    return TARGETS[cluster.flavour].make(SETTINGS[cluster.flavour](cluster))


def cadence_of(flavour: str) -> Cadence:
    """How often proxies of a flavour are looked at; of any flavour, known or not."""
    return TARGETS[flavour].cadence if flavour in TARGETS else UNKNOWN_CADENCE


def _local_environment(cluster: Cluster, tenant: Tenant) -> LocalEnvironment:
    password = egress_password(tenant.pk)
    return LocalEnvironment(
        ingress_socket=settings.INGRESS_SOCKET,
        credential_sha256=hashlib.sha256(password.encode()).hexdigest(),
    )


def _local_settings(cluster: Cluster) -> LocalSettings:
    return LocalSettings(
        caddy_admin=settings.CADDY_ADMIN_SOCKET,
        egress_admin=settings.EGRESS_ADMIN_SOCKET,
        access_log=settings.ACCESS_LOG_SOCKET,
    )


def _gateway_environment(cluster: Cluster, tenant: Tenant) -> GatewayEnvironment:
    access = cluster_access.connected_to(cluster)
    return GatewayEnvironment(
        gateway_class=access.gateway_class,
        versions=tuple((group, kind, version) for group, kind, version in access.served),
        proxy_namespaces=tuple(access.proxy_namespaces),
        gateway_namespace=_oldest_namespace(cluster, tenant),
    )


def _oldest_namespace(cluster: Cluster, tenant: Tenant) -> str:
    """Which stays where it is when others are added; "" while there is none."""
    with platform_scope("gateway namespace"):
        rows = NamespaceClaim.objects.filter(tenant=tenant, cluster=cluster, plan=None)
        return rows.order_by("pk").values_list("name", flat=True).first() or ""


def _kube_settings(cluster: Cluster) -> KubeSettings:
    access = cluster_access.connected_to(cluster)
    return KubeSettings(
        connection=cluster_access.connection_of(access),
        takes_over=access.drift_policy == DriftPolicy.HEAL,
    )


# Any: each flavour's compiler wants another environment, and each target other settings.
ENVIRONMENTS: Mapping[str, Callable[[Cluster, Tenant], Any]] = {
    "gateway": _gateway_environment,
    "local": _local_environment,
}
SETTINGS: Mapping[str, Callable[[Cluster], Any]] = {
    "gateway": _kube_settings,
    "local": _local_settings,
}
