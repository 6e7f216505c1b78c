"""What stands in the way of programming a cluster: a right, a kind, a version, a class.

Asked of the API server itself, as the identity that will work there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from proxyconfig.domain.compilers.gateway import KNOWN_VERSIONS
from proxyconfig.domain.compilers.gateway.environment import GATEWAY_GROUP
from proxyconfig.targets.kube.client import Client, client_for
from proxyconfig.targets.kube.connection import Connection
from proxyconfig.targets.kube.errors import ObjectFailedError

VERBS: Final = ("get", "list", "create", "patch", "delete")
# Without these no tenant can be served; the other kinds only where a tenant needs them.
_REQUIRED: Final = ("Gateway", "HTTPRoute", "ReferenceGrant", "NetworkPolicy")
_INSTALL = "Install the Gateway API's definitions of release 1.2 or newer."


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that stands in the way; ``message`` says what to do."""

    what: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        version: the server's own, such as ``v1.37.2``; "" when it was not reached.
        served: (group, kind, version) of the kinds that Sluice writes.
        problems: empty when Sluice can do its work there.
    """

    version: str = ""
    served: tuple[tuple[str, str, str], ...] = ()
    problems: tuple[Missing, ...] = ()


def check(
    connection: Connection, *, gateway_class: str = "", proxy_namespaces: Sequence[str] = ()
) -> Report:
    """Ask the API server.

    Raises:
        TransientError, PermanentError: it cannot be asked.
    """
    client = client_for(connection)
    client.discovery.forget()
    version = str((client.get("/version") or {}).get("gitVersion", ""))
    served: list[tuple[str, str, str]] = []
    problems: list[Missing] = []
    for (group, kind), versions in KNOWN_VERSIONS.items():
        found = client.discovery.kind(group, kind)
        there = found.versions if found else ()
        served += [(group, kind, version) for version in there]
        if found is not None and {*there} & {*versions}:
            problems += _rights(client, group, kind, found.plural)
        elif kind in _REQUIRED:
            problems.append(_no_kind(group, kind, versions, there))
    problems += _places(client, gateway_class, proxy_namespaces)
    return Report(version=version, served=tuple(served), problems=tuple(problems))


def _no_kind(group: str, kind: str, versions: Sequence[str], there: Sequence[str]) -> Missing:
    name = f"{kind} ({group})"
    if there:
        says = f"The cluster serves {', '.join(there)}; Sluice writes {', '.join(versions)}."
        return Missing(f"Version of {name}", f"{says} {_INSTALL}")
    return Missing(f"Kind {name}", f"The cluster does not serve it. {_INSTALL}")


def _rights(client: Client, group: str, kind: str, plural: str) -> Iterator[Missing]:
    refused = [verb for verb in VERBS if not client.may(group, plural, verb)]
    if refused:
        yield Missing(
            f"Right to {', '.join(refused)} {plural}",
            f"Give the identity of the credential a ClusterRole with {', '.join(refused)} on"
            f" {plural}.{group}.",
        )


def _places(
    client: Client, gateway_class: str, proxy_namespaces: Sequence[str]
) -> Iterator[Missing]:
    kind = client.discovery.kind(GATEWAY_GROUP, "GatewayClass")
    if gateway_class and kind is not None:
        hint = "Not found in the cluster; kubectl get gatewayclasses lists those that are there."
        yield from _absent(
            client, kind.path(name=gateway_class), "GatewayClass", gateway_class, hint
        )
    for name in proxy_namespaces:
        hint = "Namespace not found."
        yield from _absent(client, f"/api/v1/namespaces/{name}", "Namespace", name, hint)


def _absent(client: Client, path: str, kind: str, name: str, hint: str) -> Iterator[Missing]:
    """What is said where an object is not there, or may not be read."""
    what = f"{kind} {name}"
    try:
        if client.get(path, subject=what) is None:
            yield Missing(what, hint)
    except ObjectFailedError as error:
        yield Missing(f"Right to get {what}", error.message)
