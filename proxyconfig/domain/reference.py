"""The reference page of the manifest, written from the types, so that it cannot lag behind."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from proxyconfig.domain.codec import FieldShape, Shape, fields_of, is_record
from proxyconfig.domain.fields import PortRange
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.manifest import API_VERSION, KIND, MAX_BYTES, MAX_DEPTH

_FORMS = {
    "address": "IP address",
    "cidr": "network in CIDR form",
    "source": "IP address or network",
    "host": "host name or *.suffix",
    "destination": "host name, *.suffix, IP address or network",
}


def intent_reference(example: str) -> str:
    """The whole page in Markdown.

    Args:
        example: a manifest that is shown first.
    """
    sections = [_opening(example), _table("spec", Intent, skip=("tenant",))]
    sections.extend(_table(kind.__name__, kind) for kind in _records(Intent, []))
    return "\n".join(sections)


def _opening(example: str) -> str:
    return f"""\
# Manifest reference

A manifest says everything that one tenant wants of the cluster proxies. A revision keeps it, and
compilers turn it into a proxy's own objects.

- `apiVersion: {API_VERSION}`, `kind: {KIND}`; `metadata.name` is the tenant's slug; the rest is
  below `spec`.
- Fields that equal their default are left out of YAML; stored revisions keep every field.
- Unknown keys are refused, with the nearest known one. So are anchors, tags, doubled keys, more
  than {MAX_BYTES // 1024} KiB and nesting beyond {MAX_DEPTH}.
- A name is a DNS label: lower-case letters, digits and dashes, at most 63 characters.
- Addresses and networks have one spelling: shortest form, host bits zero. Times end in `Z`.
- What no policy allows is denied, in both directions. A staged policy allows nothing.
- Rule ids in the ledger: `tenant/policy/order` outward, `tenant/policy` inward, and
  `tenant/default-deny` for what no rule allows.

This page is written from `proxyconfig/domain/`; after a change there run
`pytest proxyconfig/tests/domain --update-golden`.

```yaml
{example.rstrip()}
```
"""


def _records(kind: type[Any], found: list[type[Any]]) -> list[type[Any]]:
    """The dataclasses below ``kind``, each once, in reading order."""
    for field in fields_of(kind):
        base = field.shape.base
        if is_record(base) and base not in found:
            found.append(base)
            _records(base, found)
    return found


def _table(title: str, kind: type[Any], *, skip: tuple[str, ...] = ()) -> str:
    rows = [_row(field) for field in fields_of(kind) if field.name not in skip]
    intro = (kind.__doc__ or "").partition("\n\n")[0]
    head = "| field | type | default | meaning |\n| --- | --- | --- | --- |"
    return "\n".join([f"## {title}", "", intro, "", head, *rows, ""])


def _row(field: FieldShape) -> str:
    meaning = field.shape.description.replace("|", "\\|")
    return f"| `{field.outer}` | {_type(field.shape)} | {_default(field)} | {meaning} |"


def _default(field: FieldShape) -> str:
    if field.is_required:
        return "required"
    value = field.default
    if value is None or value == "" or value == ():
        return "none" if value is None else "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


def _type(shape: Shape) -> str:
    word = "; ".join(_words(shape))
    return f"list of {word}" if shape.is_list else word


def _words(shape: Shape) -> Iterator[str]:
    base, limits = shape.base, shape.limits
    if is_record(base):
        yield f"[{base.__name__}](#{base.__name__.lower()})"
    elif base is PortRange:
        yield "port or range"
    elif base is bool:
        yield "true or false"
    elif base is int:
        yield f"{limits.minimum} to {limits.maximum}"
    elif isinstance(base, type) and issubclass(base, StrEnum):
        yield " or ".join(f"`{member.value}`" for member in base)
    elif base is str:
        is_name = limits.longest == 63
        yield _FORMS.get(limits.form) or ("name" if is_name else "text")
        if not limits.form and not is_name:
            yield f"at most {limits.longest} characters"
    else:
        yield "time"
