"""The intent as a document: YAML for people and git, JSON for storage, hash for comparison.

YAML leaves defaults out; the canonical JSON that is stored and hashed has every field, so that it
keeps its meaning when a default changes.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Final

import yaml

from proxyconfig.domain.codec import Unreadable, from_plain, to_plain
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.intent import Intent, canonical
from proxyconfig.domain.manifest_v1 import upgraded
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.resources import canonical_json
from tenants.errors import InvalidError

API_VERSION: Final = "sluice/v2"
KIND: Final = "TenantIntent"
MAX_BYTES: Final = 512 * 1024
MAX_DEPTH: Final = 16

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def to_mapping(intent: Intent, *, with_defaults: bool = True) -> dict[str, JsonValue]:
    """The manifest as a JSON mapping, in canonical order."""
    spec = to_plain(canonical(intent), with_defaults=with_defaults)
    tenant = spec.pop("tenant")
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": tenant},
        "spec": spec,
    }


def from_mapping(document: JsonValue, *, home: str = "") -> Intent:
    """Read a manifest that is already parsed; the result is canonical.

    Args:
        home: where the objects of a ``sluice/v1`` manifest are that name no cluster; without it
            that version is refused.

    Raises:
        InvalidError: code ``manifest.invalid``; ``fields`` has the complaints by path.
    """
    return _read(document, home=home, is_strict=True)


def from_stored(document: JsonValue, *, home: str) -> Intent:
    """Read what a revision or plan of this or an earlier version keeps, leniently.

    Args:
        home: as in ``from_mapping``.

    Raises:
        InvalidError: code ``manifest.invalid``.
    """
    return _read(document, home=home, is_strict=False)


def _read(document: JsonValue, *, home: str, is_strict: bool) -> Intent:
    problems: list[Problem] = []
    spec = _spec_of(upgraded(document, home=home), problems)
    try:
        intent = from_plain(Intent, spec, path="spec", problems=problems, is_strict=is_strict)
    except Unreadable:
        intent = None
    if problems or intent is None:
        raise invalid("The manifest cannot be read", problems)
    return canonical(intent)


def to_yaml(intent: Intent) -> str:
    """The manifest for people; ``from_yaml`` gives the canonical intent back."""
    text: str = yaml.safe_dump(
        to_mapping(intent, with_defaults=False),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )
    return text


def from_yaml(text: str) -> Intent:
    """Read a manifest.

    Raises:
        InvalidError: code ``manifest.invalid``. Broken YAML is named by line and column; unknown
            keys, wrong types and values by path. Anchors, tags, several documents, doubled keys,
            more than ``MAX_BYTES`` and nesting beyond ``MAX_DEPTH`` are refused.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise _broken(f"The manifest is not text that can be stored: {error.reason}.") from error
    if size > MAX_BYTES:
        raise _broken(f"The manifest has {size} bytes; at most {MAX_BYTES} are read.")
    try:
        _check_events(text)
        document = yaml.load(text, Loader=_ManifestLoader)  # noqa: S506 - derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _broken(f"The YAML is broken{place}: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise _broken(f"The YAML is broken: {error}.") from error
    except ValueError as error:  # A number of thousands of digits.
        raise _broken(f"The manifest has a value that cannot be read: {error}.") from error
    return from_mapping(document)


def canonical_bytes(intent: Intent) -> bytes:
    """Canonical JSON with every field: what a revision stores."""
    return canonical_json(to_mapping(intent))


def from_json(stored: bytes | str) -> Intent:
    """Read what ``canonical_bytes`` wrote.

    Raises:
        InvalidError: it is not a manifest.
    """
    try:
        return from_mapping(json.loads(stored))
    except ValueError as error:
        raise _broken(f"The stored manifest is not JSON: {error}.") from error


def intent_hash(intent: Intent) -> str:
    """Lower-case hex SHA-256 of ``canonical_bytes``."""
    return hashlib.sha256(canonical_bytes(intent)).hexdigest()


def invalid(what: str, problems: Sequence[Problem]) -> InvalidError:
    """One error for many complaints, the first of them in its message."""
    fields: dict[str, list[str]] = {}
    for problem in problems:
        fields.setdefault(problem.path, []).append(problem.message)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    first = f"{what}: {problems[0]}{more}." if problems else f"{what}."
    return InvalidError(first, fields=fields, code="manifest.invalid")


def _broken(message: str) -> InvalidError:
    return InvalidError(message, fields={"": [message]}, code="manifest.invalid")


def _spec_of(document: JsonValue, problems: list[Problem]) -> JsonValue:
    """The spec with the tenant put in; complaints about the envelope go to ``problems``."""
    if not isinstance(document, dict):
        problems.append(
            Problem("", "wrong-type", "a manifest is a mapping with apiVersion and kind")
        )
        return {}
    for key, value in (("apiVersion", API_VERSION), ("kind", KIND)):
        if document.get(key) != value:
            problems.append(Problem(key, "wrong-value", f"{key} must be {value}"))
    problems.extend(
        Problem(str(key), "unknown-key", f"{key} is not known here; policies go below spec")
        for key in document
        if key not in ("apiVersion", "kind", "metadata", "spec")
    )
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or set(metadata) != {"name"}:
        problems.append(Problem("metadata", "wrong-value", "metadata must hold name, the tenant"))
        return {"tenant": "x"}
    spec = document.get("spec") or {}
    if not isinstance(spec, dict) or "tenant" in spec:
        problems.append(Problem("spec", "wrong-type", "spec is a mapping, and has no tenant in it"))
        return {"tenant": "x"}
    return {"tenant": metadata["name"], **spec}


def _check_events(text: str) -> None:
    """Refuse what could make a small text large or deep, before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            raise _marked("anchors and aliases are not read; write the value out", event)
        if getattr(event, "tag", None) not in (None, "!"):
            raise _marked("tags are not read; write the value alone", event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _marked(f"nested deeper than {MAX_DEPTH}", event)


def _marked(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    # The stubs know only the Python parser's mark; the C parser's has the same attributes.
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type]


class _ManifestLoader(_Loader):  # type: ignore[misc,valid-type] # C or Python, whichever is there
    """Safe loading without times (they stay text) and without silently doubled keys."""

    yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(
                    problem="a key must be text", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} stands here twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        mapping: dict[str, object] = super().construct_mapping(node, deep=deep)
        return mapping
