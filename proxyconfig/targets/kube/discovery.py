"""Which kinds a cluster serves, in which versions, and at which paths."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

# A kind that is installed later is found after this; an answer "no such kind" asks again at once.
_KNOWN_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedKind:
    """One kind of a cluster.

    Attributes:
        versions: those that serve it, the server's own preference first.
    """

    group: str
    kind: str
    plural: str
    is_namespaced: bool
    versions: tuple[str, ...]

    def path(self, *, version: str = "", namespace: str = "", name: str = "") -> str:
        """Of one object, or of the list where ``name`` is "".

        Args:
            version: the preferred one when "".
            namespace: "" for all; ignored for kinds that have none.
        """
        parts = [_root(self.group), version or self.versions[0]]
        if self.is_namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        return "/".join(parts)


class Discovery:
    """What one API server serves, asked group by group and known for a minute.

    Args:
        get: the JSON object at a path; None where there is none.
    """

    # Any: the server's JSON.
    def __init__(self, get: Callable[[str], Mapping[str, Any] | None]) -> None:
        self._get = get
        self._kinds_by_group: dict[str, tuple[float, dict[str, ServedKind]]] = {}

    def kind(self, group: str, kind: str) -> ServedKind | None:
        """One kind; None where the cluster does not serve it."""
        asked_at, kinds = self._kinds_by_group.get(group, (float("-inf"), {}))
        if time.monotonic() - asked_at > _KNOWN_SECONDS:
            kinds = self._ask(group)
            self._kinds_by_group[group] = (time.monotonic(), kinds)
        return kinds.get(kind)

    def forget(self) -> None:
        """Ask anew next time: an answer said that a kind is not there any more."""
        self._kinds_by_group.clear()

    def _ask(self, group: str) -> dict[str, ServedKind]:
        versions: dict[str, list[str]] = {}
        kinds: dict[str, ServedKind] = {}
        for version in self._versions_of(group):
            listed = self._get(f"{_root(group)}/{version}") or {}
            for resource in _resources(listed.get("resources") or ()):
                name = str(resource["kind"])
                versions.setdefault(name, []).append(version)
                kinds[name] = ServedKind(
                    group=group,
                    kind=name,
                    plural=str(resource["name"]),
                    is_namespaced=bool(resource.get("namespaced")),
                    versions=tuple(versions[name]),
                )
        return kinds

    def _versions_of(self, group: str) -> tuple[str, ...]:
        if not group:
            return tuple(map(str, (self._get("/api") or {}).get("versions") or ()))
        return _versions(self._get(_root(group)) or {})


def _versions(group: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(version["version"]) for version in group.get("versions") or ())


def _resources(listed: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Without subresources, such as ``gateways/status``."""
    return (resource for resource in listed if "/" not in str(resource["name"]))


def _root(group: str) -> str:
    return f"/apis/{quote(group, safe='')}" if group else "/api"
