"""What a proxy should hold, or holds: named objects with one canonical form.

Compilers make them from an intent, targets from what they observe; ``plan.diff`` compares.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self, cast

from proxyconfig.domain.fields import JsonValue


class Identity(NamedTuple):
    """Which object: two resources with the same identity are the same object at two times.

    Attributes:
        group: API group in Kubernetes; "" on a proxy that has none.
        namespace: "" for what belongs to none.
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """One object of a proxy. Equal content is equal bytes; hashable.

    Attributes:
        group: as in ``Identity``.
        kind: the proxy's own type name, such as ``CaddyServer``.
        namespace: as in ``Identity``.
        name: unique within group, kind and namespace on one target.
        content: the body as canonical JSON (UTF-8, sorted keys, no spaces).
    """

    group: str
    kind: str
    namespace: str
    name: str
    content: bytes

    @classmethod
    def of(
        cls,
        kind: str,
        name: str,
        body: Mapping[str, JsonValue],
        *,
        group: str = "",
        namespace: str = "",
    ) -> Self:
        """Make one from a JSON mapping, which is copied."""
        return cls(group, kind, namespace, name, canonical_json(dict(body)))

    @property
    def identity(self) -> Identity:
        """Which object it is."""
        return Identity(self.group, self.kind, self.namespace, self.name)

    @property
    def body(self) -> dict[str, JsonValue]:
        """A fresh copy of the body; changing it changes nothing here."""
        return cast("dict[str, JsonValue]", json.loads(self.content))

    @property
    def canonical_bytes(self) -> bytes:
        """Identity and body as one canonical JSON document; an empty group or namespace is left
        out.
        """
        place = {"group": self.group, "namespace": self.namespace}
        named: dict[str, JsonValue] = {key: value for key, value in place.items() if value}
        return canonical_json({**named, "kind": self.kind, "name": self.name, "body": self.body})


def canonical_json(value: JsonValue) -> bytes:
    """One byte string per value: sorted keys, no spaces, UTF-8.

    Raises:
        ValueError: NaN or infinity, which JSON does not know.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def resources_hash(resources: Iterable[Resource]) -> str:
    """Lower-case hex SHA-256 of a set of resources; their order does not matter."""
    digest = hashlib.sha256()
    for resource in sorted(resources):
        digest.update(resource.canonical_bytes)
        digest.update(b"\n")
    return digest.hexdigest()


def by_identity(resources: Iterable[Resource]) -> dict[Identity, Resource]:
    """Index resources.

    Raises:
        ValueError: two of them share an identity.
    """
    index: dict[Identity, Resource] = {}
    for resource in resources:
        if resource.identity in index:
            raise ValueError(f"{resource.identity} occurs twice")
        index[resource.identity] = resource
    return index
