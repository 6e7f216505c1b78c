"""Objects of an intent as the REST API writes them: the manifest's fields, in snake case.

Serializers are made from the dataclasses' types, so that API, manifest and forms cannot differ.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from proxyconfig.domain import codec
from proxyconfig.domain.fields import JsonValue, PortRange
from proxyconfig.domain.objects import BY_NAME, IntentObject
from proxyconfig.domain.problems import Problem
from proxyconfig.services.complaints import field_at
from tenants.api.strict import StrictSerializer
from tenants.errors import InvalidError

LONGEST_LIST = 1000
Plain = dict[str, Any]  # Any: JSON, read by the codec.
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


@extend_schema_field(
    {
        "oneOf": [
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {"type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$"},
        ]
    }
)
class PortField(serializers.Field[Any, Any, Any, Any]):
    """443, or "8000-8099"."""

    def to_internal_value(self, data: Any) -> int | str:  # Any: DRF's own signature.
        """The port or range, checked.

        Raises:
            ValidationError: it is neither.
        """
        try:
            return PortRange.parse(data).plain()
        except (ValueError, TypeError) as error:
            raise serializers.ValidationError(f"{error}.") from error

    def to_representation(self, value: Any) -> Any:  # Any: DRF's own signature.
        """As it is kept."""
        return value


class ObjectSerializer(StrictSerializer):
    """Base of the serializers that are made here."""


def snake(name: str) -> str:
    """``virtualAddress`` as ``virtual_address``."""
    return _CAPITAL.sub(r"_\1", name).lower()


def snaked(value: JsonValue) -> Any:  # Any: JSON of any depth.
    """Keys of a manifest in snake case."""
    if isinstance(value, Mapping):
        return {snake(key): snaked(child) for key, child in value.items()}
    return [snaked(item) for item in value] if isinstance(value, list) else value


def cameled(value: Any) -> Any:  # Any: as above.
    """The reverse of ``snaked``; times as text."""
    if isinstance(value, Mapping):
        return {codec.camel(key): cameled(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [cameled(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def parse(collection: str, values: Plain) -> IntentObject:
    """The object that a request's checked body describes.

    Raises:
        InvalidError: something in it cannot be taken; ``fields`` by the body's own names.
    """
    problems: list[Problem] = []
    try:
        return codec.from_plain(
            BY_NAME[collection].kind, cameled(values), path="", problems=problems
        )
    except codec.Unreadable:
        fields: dict[str, list[str]] = {}
        for problem in problems:
            fields.setdefault(field_at(collection, problem.path), []).append(problem.message)
        raise InvalidError(
            f"Some fields cannot be taken. {problems[0].message}.", fields=fields
        ) from None


# functools.cache refuses type[Any] as not hashable under mypy.
_SERIALIZERS: dict[type[Any], type[ObjectSerializer]] = {}


def serializer_of(kind: type[Any]) -> type[ObjectSerializer]:  # Any: a dataclass of the intent.
    """What a request may say of an object of this kind, and what an answer says."""
    if kind in _SERIALIZERS:
        return _SERIALIZERS[kind]
    fields: dict[str, Any] = {}  # Any: a class's namespace.
    for field in codec.fields_of(kind):
        fields[snake(field.name)] = _field(field)
    fields["__doc__"] = (kind.__doc__ or "").partition("\n\n")[0]
    made = type(f"{kind.__name__}Serializer", (ObjectSerializer,), fields)
    return _SERIALIZERS.setdefault(kind, made)


def _field(field: codec.FieldShape) -> Any:  # Any: DRF's fields have four type parameters.
    shape = field.shape
    options: dict[str, Any] = {"help_text": shape.description}
    if not field.is_required:
        options |= {"required": False, "default": _default(field)}
    if shape.is_optional:
        options["allow_null"] = True
    if not shape.is_list:
        return _value(shape, options)
    child = _value(shape, {})
    return serializers.ListField(child=child, max_length=LONGEST_LIST, **options)


def _default(field: codec.FieldShape) -> Any:  # Any: a JSON value, or what makes one.
    if field.shape.is_list:
        items = field.default if isinstance(field.default, tuple) else ()
        plain = [item.value if isinstance(item, StrEnum) else item for item in items]
        return lambda: list(plain)
    if codec.is_record(field.default):
        content = snaked(codec.to_plain(field.default, with_defaults=True))
        return lambda: dict(content)
    return field.default.value if isinstance(field.default, StrEnum) else field.default


def _value(shape: codec.Shape, options: dict[str, Any]) -> Any:  # Any: as above.
    base, limits = shape.base, shape.limits
    if codec.is_record(base):
        return serializer_of(base)(**options)
    if base is PortRange:
        return PortField(**options)
    if base is bool:
        return serializers.BooleanField(**options)
    if base is int:
        return serializers.IntegerField(
            min_value=limits.minimum, max_value=limits.maximum, **options
        )
    if base is datetime:
        return serializers.DateTimeField(**options)
    if isinstance(base, type) and issubclass(base, StrEnum):
        return serializers.ChoiceField(choices=[member.value for member in base], **options)
    if not limits.pattern and not limits.form:
        options.setdefault("allow_blank", True)
    # Blanks around an address are refused with its right spelling, as in a manifest.
    is_free = not limits.form
    return serializers.CharField(max_length=limits.longest, trim_whitespace=is_free, **options)


__all__ = [
    "LONGEST_LIST",
    "ObjectSerializer",
    "PortField",
    "cameled",
    "parse",
    "serializer_of",
    "snake",
    "snaked",
]
