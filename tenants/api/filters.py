"""Filters that a view declares, and the refusal of every query parameter that it does not.

A misspelt filter that is quietly ignored answers with everything, which a script then acts on; so
an unknown parameter is an error that names the nearest valid one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DateField,
    DateTimeField,
    Field,
    IntegerField,
)
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

Row = TypeVar("Row", bound=Model)
Values = TypeVar("Values")


@dataclass(frozen=True, slots=True)
class Filter:
    """One query parameter of a list: how its text is read, and which look-up it becomes."""

    lookup: str
    field: "Field[Any, Any, Any, Any]"  # Any: each filter reads another type.
    description: str = ""


def text(lookup: str, description: str = "") -> Filter:
    """Takes any text."""
    return Filter(lookup, CharField(), description)


def choice(lookup: str, words: Collection[str], description: str = "") -> Filter:
    """Takes one of ``words``."""
    return Filter(lookup, ChoiceField(choices=sorted(words)), description)


def flag(lookup: str, description: str = "") -> Filter:
    """Takes true or false."""
    return Filter(lookup, BooleanField(), description)


def day(lookup: str, description: str = "") -> Filter:
    """Takes a date as in RFC 3339."""
    return Filter(lookup, DateField(), description)


def moment(lookup: str, description: str = "") -> Filter:
    """Takes a time as in RFC 3339."""
    return Filter(lookup, DateTimeField(), description)


class DeclaredFilters(BaseFilterBackend):
    """Applies the view's ``filters``."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Row, Values], view: APIView
    ) -> QuerySet[Row, Values]:
        """The rows that match every parameter given."""
        declared: Mapping[str, Filter] = getattr(view, "filters", {})
        for name, declaration in declared.items():
            if name in request.query_params:
                value = _read(name, declaration, request.query_params[name])
                queryset = queryset.filter(**{declaration.lookup: value})
        return queryset

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, object]]:
        """The parameters, for OpenAPI."""
        declared: Mapping[str, Filter] = getattr(view, "filters", {})
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": declaration.description,
                "schema": _schema(declaration.field),
            }
            for name, declaration in declared.items()
        ]


class StrictQuery:
    """Refuses query parameters that nothing declares; mixed into a view."""

    filters: ClassVar[Mapping[str, Filter]] = {}
    query_names: ClassVar[Mapping[str, Collection[str]]] = {"list": ("limit", "cursor")}

    def check_query(self, request: Request, action: str) -> None:
        """Return if every query parameter is one that ``action`` reads.

        Raises:
            ValidationError: one is not; the complaint names the nearest that is.
        """
        known = {*self.query_names.get(action, ())}
        if action == "list":
            known |= {*self.filters}
        complaints = {
            name: [unknown_name("query parameter", name, known)]
            for name in request.query_params
            if name not in known
        }
        if complaints:
            raise ValidationError(complaints)


def unknown_name(what: str, name: str, known: Collection[str]) -> ErrorDetail:
    """The complaint about a name that means nothing here, with the nearest that does."""
    nearest = get_close_matches(name, known, n=1, cutoff=0.5)
    if nearest:
        hint = f"Did you mean {nearest[0]}?"
    elif known:
        hint = f"Known here: {', '.join(sorted(known))}."
    else:
        hint = "None is known here."
    return ErrorDetail(f"There is no {what} {name}. {hint}", code="unknown-name")


def _read(name: str, declaration: Filter, value: str) -> object:
    try:
        return declaration.field.run_validation(value)
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from error


def _schema(field: "Field[Any, Any, Any, Any]") -> dict[str, object]:
    if isinstance(field, ChoiceField):
        return {"type": "string", "enum": list(field.choices)}
    if isinstance(field, BooleanField):
        return {"type": "boolean"}
    if isinstance(field, IntegerField):
        return {"type": "integer"}
    if isinstance(field, DateTimeField):
        return {"type": "string", "format": "date-time"}
    if isinstance(field, DateField):
        return {"type": "string", "format": "date"}
    return {"type": "string"}
