"""Dataclasses of the intent to plain JSON values and back, by their types alone.

Names are camelCase outside. Reading collects every complaint with its path before it gives up.
"""

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar, Union

from proxyconfig.domain import notation
from proxyconfig.domain.fields import JsonValue, Limits, PortRange, Says
from proxyconfig.domain.problems import Problem

T = TypeVar("T")


class Shape(NamedTuple):
    """The type of one field, taken apart.

    Attributes:
        base: str, int, bool, datetime, PortRange, a StrEnum or a dataclass; a list's is its items'.
        item_limits: limits of the items of a list, else of the value.
    """

    base: Any  # A type object; isinstance and issubclass want exactly that.
    is_list: bool
    is_optional: bool
    limits: Limits
    description: str


class FieldShape(NamedTuple):
    """One field: its two names, its shape, and its default if it has one."""

    name: str
    outer: str
    shape: Shape
    is_required: bool
    default: object


def camel(name: str) -> str:
    """``virtual_address`` as ``virtualAddress``."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


# functools.cache refuses type[Any] as not hashable under mypy 2.4.
_FIELDS: dict[type[Any], tuple[FieldShape, ...]] = {}


def fields_of(kind: type[Any]) -> tuple[FieldShape, ...]:
    """The fields of a dataclass, in the order in which they are written."""
    if kind in _FIELDS:
        return _FIELDS[kind]
    hints = typing.get_type_hints(kind, include_extras=True)
    found = []
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING
        default = None if required else field.default
        shape = _shape(hints[field.name])
        found.append(FieldShape(field.name, camel(field.name), shape, required, default))
    return _FIELDS.setdefault(kind, tuple(found))


def _shape(hint: Any) -> Shape:  # A typing form; the standard library gives it no better type.
    limits, description = Limits(), ""
    is_list = is_optional = False
    while True:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            hint, *marks = arguments
            for mark in marks:
                limits = mark if isinstance(mark, Limits) else limits
                description = mark.text if isinstance(mark, Says) else description
        elif origin in (Union, types.UnionType):
            is_optional = True
            (hint,) = (argument for argument in arguments if argument is not types.NoneType)
        elif origin is tuple:
            is_list, hint = True, arguments[0]
        else:
            return Shape(hint, is_list, is_optional, limits, description)


def to_plain(value: Any, *, with_defaults: bool) -> dict[str, JsonValue]:  # Any dataclass.
    """A dataclass as a JSON mapping, keys in field order.

    Args:
        with_defaults: False leaves out what equals its default, which reads better; True writes
            all, which keeps its meaning when a default changes later.
    """
    plain: dict[str, JsonValue] = {}
    for name, outer, _, is_required, default in fields_of(type(value)):
        content = getattr(value, name)
        if with_defaults or is_required or content != default:
            plain[outer] = _value_to_plain(content, with_defaults=with_defaults)
    return plain


def _value_to_plain(value: object, *, with_defaults: bool) -> JsonValue:
    if isinstance(value, PortRange):
        return value.plain()
    if isinstance(value, tuple):
        return [_value_to_plain(item, with_defaults=with_defaults) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    return to_plain(value, with_defaults=with_defaults)


class Unreadable(Exception):  # noqa: N818 - a signal inside this module's readers, not an error type
    """A value could not be read; its complaints are in the list of the reader."""


def from_plain(
    kind: type[T],
    plain: JsonValue,
    *,
    path: str,
    problems: list[Problem],
    is_strict: bool = True,
) -> T:
    """Read what ``to_plain`` wrote.

    Args:
        path: where ``plain`` stands, for complaints.
        problems: every complaint found is appended.
        is_strict: False for what was stored: unknown keys are left out and limits are not looked
            at, so that a rule that became stricter does not make history unreadable.

    Raises:
        Unreadable: at least one complaint was appended.
    """
    if not isinstance(plain, Mapping):
        problems.append(_wrong_type(path, "a mapping", plain))
        raise Unreadable
    before = len(problems)
    shapes = {field.outer: field for field in fields_of(kind)}
    if is_strict:
        problems.extend(_unknown_keys(plain, shapes, path))
    content = {}
    for outer, field in shapes.items():
        place = f"{path}.{outer}" if path else outer
        if plain.get(outer) is None and (field.shape.is_optional or not field.is_required):
            content[field.name] = field.default
        elif outer not in plain:
            problems.append(Problem(place, "missing", f"{outer} is missing"))
        else:
            content[field.name] = _read(field.shape, plain[outer], place, problems, is_strict)
    if len(problems) > before:
        raise Unreadable
    return kind(**content)


def _unknown_keys(
    plain: Mapping[str, JsonValue], known: Mapping[str, object], path: str
) -> list[Problem]:
    complaints = []
    for key in plain:
        if key in known:
            continue
        near = difflib.get_close_matches(str(key), known, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
        place = f"{path}.{key}" if path else str(key)
        complaints.append(Problem(place, "unknown-key", f"{key} is not known here{hint}"))
    return complaints


def _read(
    shape: Shape, plain: JsonValue, path: str, problems: list[Problem], is_strict: bool
) -> object:
    if not shape.is_list:
        return _read_one(shape, plain, path, problems, is_strict)
    if not isinstance(plain, list):
        problems.append(_wrong_type(path, "a list", plain))
        return ()
    return tuple(
        _read_one(shape, item, f"{path}[{label(item, place)}]", problems, is_strict)
        for place, item in enumerate(plain)
    )


def is_record(base: object) -> bool:
    """True for a dataclass that is written as a mapping."""
    return dataclasses.is_dataclass(base) and base is not PortRange


def label(item: object, place: int) -> str:
    """What stands in brackets in a path: the name of a list's item, or its place from 0."""
    name = item.get("name") if isinstance(item, Mapping) else getattr(item, "name", None)
    return name if isinstance(name, str) else str(place)


def _read_one(
    shape: Shape, plain: JsonValue, path: str, problems: list[Problem], is_strict: bool
) -> object:
    if is_record(shape.base):
        try:
            return from_plain(shape.base, plain, path=path, problems=problems, is_strict=is_strict)
        except Unreadable:
            return None
    try:
        value = _scalar(shape.base, plain)
    except ValueError as error:
        problems.append(Problem(path, "wrong-value", str(error)))
        return None
    except TypeError as error:
        problems.append(_wrong_type(path, str(error), plain))
        return None
    said = limit_complaint(shape.limits, value) if is_strict else ""
    if said:
        problems.append(Problem(path, "out-of-limits", said))
    return value


def _scalar(base: Any, plain: JsonValue) -> object:  # A type object, see Shape.base.
    """The Python value; TypeError says what was expected, ValueError what is wrong."""
    if base is PortRange:
        if not isinstance(plain, int | str):
            raise TypeError("a port or range")
        if type(plain) is int and not 1 <= plain <= 65535:
            raise ValueError(f"{_shown(plain)} is not within 1 to 65535")
        return PortRange.parse(plain)
    if base is bool or base is int:
        if type(plain) is not base:
            raise TypeError("true or false" if base is bool else "a whole number")
        return plain
    if not isinstance(plain, str):
        raise TypeError("text")
    if base is datetime:
        return _moment(plain)
    if issubclass(base, StrEnum):
        if plain not in list(base):
            raise ValueError(f"{plain!r} is not one of {', '.join(base)}")
        return base(plain)
    return plain


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 2027-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; end it with Z for UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is not a time in the years 1 to 9999 UTC") from None


def limit_complaint(limits: Limits, value: object) -> str:
    """What is wrong with a scalar under its limits; "" when nothing is."""
    if isinstance(value, int) and not isinstance(value, bool):
        low, high = limits.minimum, limits.maximum
        outside = (low is not None and value < low) or (high is not None and value > high)
        return f"{_shown(value)} is not within {low} to {high}" if outside else ""
    if not isinstance(value, str):
        return ""
    if limits.longest is not None and len(value) > limits.longest:
        return f"{len(value)} characters are more than {limits.longest}"
    if limits.pattern and not re.fullmatch(limits.pattern, value):
        return limits.says
    if any(ord(character) < 32 and character not in "\n\t" for character in value):
        return "it has control characters"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "it has half of a surrogate pair, which cannot be stored"
    return notation.complaint(limits.form, value)


def _shown(number: int) -> str:
    """The number, unless it is too long for Python to write."""
    return str(number) if number.bit_length() < 1_000 else "a number of hundreds of digits"


def _wrong_type(path: str, expected: str, plain: JsonValue) -> Problem:
    is_unquoted = expected == "text" and isinstance(plain, bool | int | float)
    hint = " (write it in quotes)" if is_unquoted else ""
    return Problem(path, "wrong-type", f"expected {expected}, found {_found(plain)}"[:200] + hint)


def _found(plain: JsonValue) -> str:
    """A JSON value as people know it, not as Python calls it."""
    match plain:
        case None:
            return "nothing"
        case bool():
            return "true" if plain else "false"
        case int():
            return f"the number {_shown(plain)}"
        case str():
            return f"the text {plain!r}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"the number {plain}"
