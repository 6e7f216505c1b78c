"""An intent taken apart into the objects that people edit, one by one, and put together again.

An object is what has a name, a version and a page of its own: a policy with its rules, a segment
with its subnets. Rows, edits, versions, differences and merges all work object by object.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from proxyconfig.domain.codec import Unreadable, camel, from_plain, to_plain
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.intent import (
    AddressList,
    BgpPeer,
    EgressPolicy,
    IngressPolicy,
    Intent,
    Listener,
    Namespace,
    PortList,
    Segment,
    SelfIp,
    SnatPool,
    StaticRoute,
    TlsReference,
    VirtualAddress,
    canonical,
)
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.resources import canonical_json

# One of the dataclasses of an intent's collections; Python has no name for their union's future.
IntentObject = Any


@dataclass(frozen=True, slots=True)
class Collection:
    """One kind of object.

    Attributes:
        name: as in URLs and rows: ``ingress-policies``.
        field: of ``Intent``.
        kind: the dataclass.
        label, plural: for people.
        key: the object's name, unique in the collection.
        is_network: it belongs to the tenant's network, not to its policies.
    """

    name: str
    field: str
    kind: type[Any]
    label: str
    plural: str
    key: Callable[[IntentObject], str]
    is_network: bool = False


def _name(item: IntentObject) -> str:
    return str(item.name)


def _namespace_key(item: Namespace) -> str:
    return f"{item.cluster}:{item.name}"


def _address_key(item: VirtualAddress) -> str:
    return f"{item.cluster}:{item.address}"


def _self_ip_key(item: SelfIp) -> str:
    return f"{item.segment}:{item.number}:{'v6' if ':' in item.address else 'v4'}"


# In the order of a manifest.
COLLECTIONS: Final[tuple[Collection, ...]] = (
    Collection(
        "namespaces",
        "namespaces",
        Namespace,
        "namespace",
        "namespaces",
        _namespace_key,
        is_network=True,
    ),
    Collection("segments", "segments", Segment, "segment", "segments", _name, is_network=True),
    Collection(
        "self-ips", "self_ips", SelfIp, "self-IP", "self-IPs", _self_ip_key, is_network=True
    ),
    Collection(
        "virtual-addresses",
        "virtual_addresses",
        VirtualAddress,
        "virtual address",
        "virtual addresses",
        _address_key,
        is_network=True,
    ),
    Collection(
        "snat-pools", "snat_pools", SnatPool, "SNAT pool", "SNAT pools", _name, is_network=True
    ),
    Collection(
        "static-routes",
        "static_routes",
        StaticRoute,
        "static route",
        "static routes",
        _name,
        is_network=True,
    ),
    Collection("bgp-peers", "bgp_peers", BgpPeer, "BGP peer", "BGP peers", _name, is_network=True),
    Collection("listeners", "listeners", Listener, "listener", "listeners", _name),
    Collection(
        "ingress-policies",
        "ingress_policies",
        IngressPolicy,
        "ingress policy",
        "ingress policies",
        _name,
    ),
    Collection(
        "egress-policies",
        "egress_policies",
        EgressPolicy,
        "egress policy",
        "egress policies",
        _name,
    ),
    Collection(
        "address-lists", "address_lists", AddressList, "address list", "address lists", _name
    ),
    Collection("port-lists", "port_lists", PortList, "port list", "port lists", _name),
    Collection(
        "tls-references", "tls_references", TlsReference, "TLS reference", "TLS references", _name
    ),
)
BY_NAME: Final[Mapping[str, Collection]] = {entry.name: entry for entry in COLLECTIONS}
_BY_OUTER: Final[Mapping[str, Collection]] = {camel(entry.field): entry for entry in COLLECTIONS}
_PLACE: Final = re.compile(r"spec\.([A-Za-z]+)\[([^\]]*)\].*")
BY_KIND: Final[Mapping[type[Any], Collection]] = {entry.kind: entry for entry in COLLECTIONS}


class Key(NamedTuple):
    """Which object of a tenant: the collection's name, and the object's in it."""

    collection: str
    name: str

    def __str__(self) -> str:
        return f"{BY_NAME[self.collection].label} {self.name}"


class ChangeKind(StrEnum):
    """What happens to an object."""

    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object that differs between two intents; the missing side is None."""

    kind: ChangeKind
    key: Key
    before: IntentObject | None
    after: IntentObject | None


def key_of(item: IntentObject) -> Key:
    """The key of an object of any collection."""
    collection = BY_KIND[type(item)]
    return Key(collection.name, collection.key(item))


def objects(intent: Intent) -> dict[Key, IntentObject]:
    """Every object by its key, in the order of a manifest."""
    return {
        Key(entry.name, entry.key(item)): item
        for entry in COLLECTIONS
        for item in getattr(intent, entry.field)
    }


def assemble(tenant: str, items: Iterable[IntentObject]) -> Intent:
    """The canonical intent of these objects."""
    collected: dict[str, list[IntentObject]] = {}
    for item in items:
        collected.setdefault(BY_KIND[type(item)].field, []).append(item)
    return canonical(
        Intent(tenant=tenant, **{name: tuple(found) for name, found in collected.items()})
    )


def find(intent: Intent, key: Key) -> IntentObject | None:
    """The object with that key."""
    return objects(intent).get(key)


def named(intent: Intent, collection: str, name: str) -> tuple[Key, ...]:
    """The keys that ``name`` may mean: the one that it is, else those that it ends.

    Only the cluster in front of a key can be left out: ``fd50::7`` for ``local:fd50::7``.
    """
    items = getattr(intent, BY_NAME[collection].field)
    if any(key_of(item).name == name for item in items):
        return (Key(collection, name),)
    return tuple(key_of(item) for item in items if _short_name(item) == name)


def _short_name(item: IntentObject) -> str | None:
    """The object's name on its cluster; None where its key does not begin with a cluster."""
    match item:
        case Namespace():
            return item.name
        case VirtualAddress():
            return item.address
    return None


def put(intent: Intent, *items: IntentObject) -> Intent:
    """The intent with these objects added, each in place of the one with its key."""
    known = objects(intent) | {key_of(item): item for item in items}
    return assemble(intent.tenant, known.values())


def remove(intent: Intent, *keys: Key) -> Intent:
    """The intent without these objects; what is not there is not missed."""
    known = objects(intent)
    return assemble(intent.tenant, (item for key, item in known.items() if key not in keys))


def cluster_of(intent: Intent, item: IntentObject) -> str | None:
    """The cluster whose proxy acts on an object; None for one that acts on all, and for lists."""
    if isinstance(item, IngressPolicy):
        named = (entry.cluster for entry in intent.listeners if entry.name == item.listener)
        return next(named, None)
    if isinstance(item, SelfIp):
        named = (entry.cluster for entry in intent.segments if entry.name == item.segment)
        return next(named, None)
    if isinstance(item, EgressPolicy):
        named = (entry.cluster for entry in intent.snat_pools if entry.name == item.snat_pool)
        return next(named, None)
    return getattr(item, "cluster", None)


def key_at(intent: Intent, path: str) -> Key | None:
    """The object that a manifest's path lies in, as in ``spec.selfIps[0].address``."""
    found = _PLACE.fullmatch(path)
    entry = _BY_OUTER.get(found[1]) if found else None
    if found is None or entry is None:
        return None
    items = getattr(intent, entry.field)
    # What has no name stands by its key, or by its place.
    for place, item in enumerate(items):
        if found[2] in (entry.key(item), getattr(item, "name", str(place))):
            return key_of(item)
    return None


def plain(item: IntentObject) -> dict[str, JsonValue]:
    """The object as a JSON mapping with every field, as rows keep it."""
    return to_plain(item, with_defaults=True)


def read(collection: str, stored: JsonValue) -> IntentObject:
    """Read what ``plain`` wrote, leniently: an older version's wording is not refused here.

    Raises:
        ValueError: it cannot be read at all.
    """
    problems: list[Problem] = []
    try:
        return from_plain(
            BY_NAME[collection].kind, stored, path="", problems=problems, is_strict=False
        )
    except Unreadable:
        raise ValueError(f"stored {collection}: {problems[0]}") from None


def version(item: IntentObject | None) -> str:
    """16 hex digits that change with the object alone, as rows keep it; "" where there is none."""
    return "" if item is None else digest(plain(item))


def version_in(intent: Intent, item: IntentObject | None) -> str:
    """The version of what people are shown of an object; "" where there is none.

    An ingress policy is shown and saved with its listener, so it changes with that too.
    """
    if not isinstance(item, IngressPolicy):
        return version(item)
    listener = next((entry for entry in intent.listeners if entry.name == item.listener), None)
    return digest([plain(item), None if listener is None else plain(listener)])


def digest(stored: JsonValue) -> str:
    """The version of an object's JSON mapping."""
    return hashlib.sha256(canonical_json(stored)).hexdigest()[:16]


def difference(before: Intent, after: Intent) -> tuple[ObjectChange, ...]:
    """What was deleted, changed and added, in this order, each in the order of a manifest."""
    old, new = objects(before), objects(after)
    deleted = [
        ObjectChange(ChangeKind.DELETE, key, item, None)
        for key, item in old.items()
        if key not in new
    ]
    changed = [
        ObjectChange(ChangeKind.CHANGE, key, old[key], item)
        for key, item in new.items()
        if key in old and old[key] != item
    ]
    added = [
        ObjectChange(ChangeKind.ADD, key, None, item) for key, item in new.items() if key not in old
    ]
    return (*deleted, *changed, *added)


@dataclass(frozen=True, slots=True)
class Merged:
    """A three-way merge.

    Attributes:
        intent: the proposal's objects where it touched them, the current ones elsewhere.
        conflicts: objects that both sides changed since the base, and not in the same way.
    """

    intent: Intent
    conflicts: tuple[Key, ...]


def merge(base: Intent, current: Intent, proposed: Intent) -> Merged:
    """``current`` with what ``proposed`` changed against ``base``, object by object."""
    was, now = objects(base), objects(current)
    touched = {change.key: change.after for change in difference(base, proposed)}
    conflicts = tuple(
        key for key, wanted in touched.items() if now.get(key) not in (was.get(key), wanted)
    )
    merged = {**now, **touched}
    kept = (item for item in merged.values() if item is not None)
    return Merged(assemble(current.tenant, kept), conflicts)
