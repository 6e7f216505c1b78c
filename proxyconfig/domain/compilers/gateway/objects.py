"""Names, labels and references that all objects of this flavour share."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proxyconfig.domain import labels
from proxyconfig.domain.compilers.gateway.environment import GATEWAY_GROUP, GatewayEnvironment
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.resources import Resource

_LONGEST_NAME: Final = 63
_HASH_DIGITS: Final = 10


def object_name(*parts: str) -> str:
    """A DNS-1123 label that begins with ``sluice-``: proxies name Services and labels after it.

    Names of 63 characters and more end in a hash, shorter ones never have 63, so that a shortened
    name is not another object's whole one.
    """
    name = "-".join(("sluice", *(re.sub(r"[.:]", "-", part) for part in parts)))
    if name.endswith("-"):  # The IPv6 address fd00::
        name += "0"
    if len(name) < _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{name[: _LONGEST_NAME - _HASH_DIGITS - 1]}-{digest}"


@dataclass(frozen=True, slots=True)
class Writer:
    """Makes the objects of one tenant on one cluster."""

    tenant: str
    environment: GatewayEnvironment

    def write(
        self,
        kind: str,
        name: str,
        spec: Mapping[str, JsonValue],
        *,
        namespace: str,
        group: str = GATEWAY_GROUP,
    ) -> Resource:
        """One object as server-side apply sends it.

        Raises:
            PermanentError: the cluster serves no version of the kind that fits.
        """
        body: dict[str, JsonValue] = {
            "apiVersion": self.environment.api_version(group, kind),
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {**labels.of(self.tenant)},
            },
            "spec": dict(spec),
        }
        return Resource.of(kind, name, body, group=group, namespace=namespace)


def namespaces_of(intent: Intent) -> list[str]:
    """The tenant's namespaces, sorted."""
    return sorted({entry.name for entry in intent.namespaces})


def gateway_namespace(intent: Intent, environment: GatewayEnvironment) -> str:
    """Where the tenant's Gateways and routes are; "" when it has no namespace."""
    names = namespaces_of(intent)
    if environment.gateway_namespace in names:
        return environment.gateway_namespace
    return names[0] if names else ""
