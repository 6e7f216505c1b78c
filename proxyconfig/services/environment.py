"""What a compiler and a target are told beside the intent: sockets and the egress credential.

The credential is never stored: it follows from Sluice's own secret, and a proxy is told its hash.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from proxyconfig.domain.compilers import COMPILERS, Compiler
from proxyconfig.domain.compilers.local import LocalEnvironment
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.resources import Resource
from proxyconfig.domain.target import Target
from proxyconfig.targets import TARGETS
from proxyconfig.targets.local import LocalSettings
from tenants.errors import PermanentError


def egress_password(tenant_id: int) -> str:
    """What the tenant's workloads show to the egress proxy; 64 hex digits."""
    secret = settings.SECRET_KEY.encode()
    return hmac.new(secret, f"egress:{tenant_id}".encode(), hashlib.sha256).hexdigest()


def compiler_for(flavour: str) -> Compiler:
    """The compiler of a cluster's flavour.

    Raises:
        PermanentError: this version of Sluice has none.
    """
    if flavour not in COMPILERS:
        raise PermanentError(
            f"This version of Sluice cannot keep a proxy of flavour {flavour}. Use a cluster of"
            f" flavour {', '.join(COMPILERS)}.",
            code="flavour.unsupported",
        )
    return COMPILERS[flavour]


def compile_for(flavour: str, intent: Intent, *, tenant_id: int) -> tuple[Resource, ...]:
    """What a proxy of ``flavour`` should hold for one tenant, sorted.

    Raises:
        PermanentError: the flavour has no compiler.
    """
    compiler = compiler_for(flavour)
    return compiler.compile(intent, environment=ENVIRONMENTS[flavour](tenant_id))


def compile_all(flavours: Iterable[str], intent: Intent, *, tenant_id: int) -> tuple[Resource, ...]:
    """The same for several flavours at once; equal objects count once.

    A flavour without a compiler adds nothing here: reconciling says so on its placement.
    """
    resources = {
        resource
        for flavour in sorted(set(flavours) & set(COMPILERS))
        for resource in compile_for(flavour, intent, tenant_id=tenant_id)
    }
    return tuple(sorted(resources))


def unsupported(flavours: Iterable[str], intent: Intent) -> list[Problem]:
    """What the proxies of these flavours cannot do, by name."""
    return [
        problem
        for flavour in sorted(set(flavours) & set(COMPILERS))
        for problem in COMPILERS[flavour].unsupported(intent)
    ]


def target_for(flavour: str) -> Target:
    """The proxy of a cluster of this flavour.

    Raises:
        PermanentError: this version of Sluice cannot speak to it.
    """
    compiler_for(flavour)
    local = LocalSettings(
        caddy_admin=settings.CADDY_ADMIN_SOCKET,
        egress_admin=settings.EGRESS_ADMIN_SOCKET,
        access_log=settings.ACCESS_LOG_SOCKET,
    )
    return TARGETS[flavour](local)


def _local_environment(tenant_id: int) -> LocalEnvironment:
    password = egress_password(tenant_id)
    return LocalEnvironment(
        ingress_socket=settings.INGRESS_SOCKET,
        credential_sha256=hashlib.sha256(password.encode()).hexdigest(),
    )


# Any: each flavour's compiler wants another environment.
ENVIRONMENTS: Mapping[str, Any] = {"local": _local_environment}
