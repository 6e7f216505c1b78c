"""JSON Schema (draft 2020-12) of the manifest, derived from the intent's types."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from proxyconfig.domain.codec import Shape, fields_of, is_record
from proxyconfig.domain.fields import JsonValue, PortRange
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.manifest import API_VERSION, KIND

_FORM_HINTS = {
    "address": "IP address in its shortest form",
    "cidr": "network/prefix, host bits zero",
    "source": "IP address or network/prefix",
    "host": "lower-case host name, *.suffix allowed",
    "destination": "host name, *.suffix, IP address or network",
}


def manifest_schema() -> dict[str, JsonValue]:
    """The schema of a whole manifest; unknown keys are refused at every level."""
    definitions: dict[str, JsonValue] = {}
    spec = _object(Intent, definitions)
    properties = spec["properties"]
    required = spec.pop("required")
    assert isinstance(properties, dict)  # noqa: S101 - _object always writes one
    assert required == ["tenant"]  # noqa: S101 - the tenant is metadata.name
    name = properties.pop("tenant")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": KIND,
        "description": "Everything that one tenant wants of the cluster proxies.",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": KIND},
            "metadata": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {"name": name},
            },
            "spec": spec,
        },
        "$defs": definitions,
    }


def _object(kind: type[Any], definitions: dict[str, JsonValue]) -> dict[str, JsonValue]:
    fields = fields_of(kind)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [field.outer for field in fields if field.is_required],
        "properties": {field.outer: _property(field.shape, definitions) for field in fields},
    }


def _property(shape: Shape, definitions: dict[str, JsonValue]) -> dict[str, JsonValue]:
    value = _value(shape, definitions)
    if shape.is_list:
        value = {"type": "array", "items": value}
    if shape.is_optional:
        value = {"oneOf": [value, {"type": "null"}]}
    return {"description": shape.description, **value} if shape.description else value


def _value(shape: Shape, definitions: dict[str, JsonValue]) -> dict[str, JsonValue]:
    base, limits = shape.base, shape.limits
    if base is PortRange:
        return {
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {"type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$"},
            ]
        }
    if is_record(base):
        name = base.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _object(base, definitions)
        return {"$ref": f"#/$defs/{name}"}
    if base is bool:
        return {"type": "boolean"}
    if base is int:
        number: dict[str, JsonValue] = {"type": "integer"}
        bounds = {"minimum": limits.minimum, "maximum": limits.maximum}
        number.update((key, bound) for key, bound in bounds.items() if bound is not None)
        return number
    if base is datetime:
        return {"type": "string", "format": "date-time"}
    if issubclass(base, StrEnum):
        return {"enum": [member.value for member in base]}
    return _text(shape)


def _text(shape: Shape) -> dict[str, JsonValue]:
    limits = shape.limits
    text: dict[str, JsonValue] = {"type": "string"}
    if limits.pattern:
        text["pattern"] = f"^(?:{limits.pattern})$"
    if limits.longest is not None:
        text["maxLength"] = limits.longest
    if limits.form:
        text["$comment"] = _FORM_HINTS[limits.form]
    return text
