"""Who owns which field, as ``managedFields`` says it (FieldsV1), and an object seen through that.

A set is a tree: ``f:name`` for a field, ``k:{...}`` for an item of a list by its keys, ``v:...``
for an item of a set, ``.`` for the thing itself; an empty tree is a leaf, below which all is owned.
Source: structured-merge-diff, fieldpath/serialize.go.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.resources import canonical_json

# Any: a tree of unknown depth.
FieldSet: TypeAlias = Mapping[str, Any]
# Which object it is, which nobody owns.
_NAMES = {(): {"apiVersion", "kind"}, ("metadata",): {"name", "namespace"}}

_SELECTOR = re.compile(r"\[([^\]]*)\]")
_KEY = re.compile(r'(\w+)=("[^"]*"|[^,]+)')


def project(live: JsonValue, wanted: JsonValue, owned: FieldSet | None) -> JsonValue:
    """The part of a live value that is wanted or ours, in the order and the form of ``wanted``.

    What others added and what defaults filled in is left out, so that an object which holds what
    was sent equals what was sent.

    Args:
        wanted: None where nothing is: then what is owned is shown.
        owned: of this value; None where nothing is, {} where all below is.
    """
    if isinstance(live, dict):
        wishes = wanted if isinstance(wanted, dict) else {}
        is_whole = not isinstance(wanted, dict) and not owned
        return {
            key: project(value, wishes.get(key), _below(owned, f"f:{key}"))
            for key, value in live.items()
            if key in wishes or _has(owned, f"f:{key}") or is_whole
        }
    if isinstance(live, list):
        return _project_list(live, wanted if isinstance(wanted, list) else [], owned)
    return live


def _project_list(
    live: list[JsonValue], wanted: list[JsonValue], owned: FieldSet | None
) -> list[JsonValue]:
    keys = [key for key in owned or () if key[:2] in ("k:", "v:")]
    if not keys:
        return _project_atomic(live, wanted, owned)
    pairs: list[tuple[JsonValue, JsonValue, FieldSet | None]] = []
    left = list(live)
    for wish in wanted:
        item = next((item for item in left if _is_same(item, wish, keys)), None)
        if item is not None:
            left.remove(item)
            key = next((key for key in keys if _matches(key, item)), "")
            pairs.append((item, wish, _below(owned, key)))
    for item in left:  # Ours and no longer wanted; the others' items are not shown.
        key = next((key for key in keys if _matches(key, item)), "")
        if key:
            pairs.append((item, None, _below(owned, key)))
    return [project(item, wish, below) for item, wish, below in pairs]


def _project_atomic(
    live: list[JsonValue], wanted: list[JsonValue], owned: FieldSet | None
) -> list[JsonValue]:
    """Item by item; what is longer than wanted is shown as it is."""
    if owned is None and _are_named(live) and _are_named(wanted):
        by_name = {str(item["name"]): item for item in live if isinstance(item, dict)}
        named = [
            (by_name.get(str(wish["name"])), wish) for wish in wanted if isinstance(wish, dict)
        ]
        return [project(item, wish, None) for item, wish in named if item is not None]
    wishes: list[JsonValue] = [*wanted, *[None] * len(live)]
    return [project(item, wish, {}) for item, wish in zip(live, wishes, strict=False)]


def lost(wanted: JsonValue, owned: FieldSet | None) -> tuple[str, ...]:
    """Paths of what is wanted and not owned, the topmost of each branch, as ``spec.rules``."""
    return tuple(_lost(wanted, owned, ()))


def _lost(wanted: JsonValue, owned: FieldSet | None, path: tuple[str, ...]) -> Iterator[str]:
    if owned is None:
        yield ".".join(path)
    elif isinstance(wanted, dict) and owned:
        for key, value in wanted.items():
            if key not in _NAMES.get(path, ()):
                yield from _lost(value, _below(owned, f"f:{key}"), (*path, key))
    elif isinstance(wanted, list) and owned:
        keys = [key for key in owned if key[:2] in ("k:", "v:")]
        for item in wanted:
            key = next((key for key in keys if _matches(key, item)), "")
            yield from _lost(item, _below(owned, key), (*path, key[2:] or "[]"))


def owners(path: str, sets: Mapping[str, FieldSet]) -> tuple[str, ...]:
    """Which managers own a dotted path or a part of it.

    Args:
        sets: by manager.
    """
    return tuple(sorted(name for name, owned in sets.items() if _reaches(owned, path.split("."))))


def value_at(live: JsonValue, path: str) -> JsonValue:
    """What stands at a path as a conflict names it: ``.spec.listeners[name="http"].port``.

    None where nothing does.
    """
    if not path:
        return live
    if isinstance(live, dict):
        rest = path.removeprefix(".")
        # Keys may hold dots, as labels do.
        fitting = (key for key in live if re.match(rf"{re.escape(key)}(?=[.\[]|$)", rest))
        key = max(fitting, key=len, default="")
        return value_at(live[key], rest[len(key) :]) if key else None
    found = _SELECTOR.match(path)
    if isinstance(live, list) and found:
        keys = dict(_KEY.findall(found[1]))
        for item in live:
            if isinstance(item, dict) and all(
                canonical_json(item.get(name)).decode() == value for name, value in keys.items()
            ):
                return value_at(item, path[found.end() :])
    return None


def _reaches(owned: FieldSet, steps: Sequence[str]) -> bool:
    for step in steps:
        if not owned:
            return True  # A leaf above it.
        if f"f:{step}" not in owned:
            return False
        owned = owned[f"f:{step}"]
    return True


def _below(owned: FieldSet | None, key: str) -> FieldSet | None:
    if owned is None:
        return None
    if not owned:
        return owned
    found = owned.get(key)
    return found if isinstance(found, dict) else None


def _has(owned: FieldSet | None, key: str) -> bool:
    return owned is not None and key in owned


def _is_same(item: JsonValue, wish: JsonValue, keys: Sequence[str]) -> bool:
    """Whether a live item is the one that is wished for: by the keys of the list's items."""
    names = next((_content(key) for key in keys if key.startswith("k:")), None)
    if not isinstance(names, dict) or not isinstance(item, dict) or not isinstance(wish, dict):
        return item == wish
    return all(name not in wish or wish[name] == item.get(name) for name in names)


def _matches(key: str, item: JsonValue) -> bool:
    content = _content(key)
    if key.startswith("k:") and isinstance(content, dict) and isinstance(item, dict):
        # A key with a default may be missing in what was sent.
        return all(name not in item or item[name] == value for name, value in content.items())
    return key.startswith("v:") and content == item


def _content(key: str) -> JsonValue:
    return json.loads(key[2:])  # type: ignore[no-any-return]  # JSON of the server's.


def _are_named(items: Sequence[JsonValue]) -> bool:
    names = [item.get("name") for item in items if isinstance(item, dict)]
    return len(names) == len(items) and None not in names and len({*map(str, names)}) == len(items)
