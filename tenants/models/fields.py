"""Network types that PostgreSQL has and Django has not."""

from typing import Any, TypeVar

from django.contrib.postgres.fields import BigIntegerRangeField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, Value

from tenants.domain.notation import as_network, sentence, source_complaint

_Set = TypeVar("_Set", contravariant=True)
_Get = TypeVar("_Get", covariant=True)


class CidrField(models.Field[_Set, _Get]):
    """A network in CIDR notation, IPv4 or IPv6, as canonical text; stored as ``cidr``."""

    description = "network in CIDR notation"
    # Read by the Django plugin of mypy, which adds None for a nullable column.
    _pyi_private_set_type: str
    _pyi_private_get_type: str

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """The column's type."""
        return "cidr"

    def from_db_value(self, value: object, *_: object) -> str | None:
        """psycopg gives an ``ip_network``; people and YAML want text."""
        return None if value is None else str(value)

    def to_python(self, value: Any) -> str | None:  # Any: Django's own signature.
        """Canonical text of ``value``.

        Raises:
            ValidationError: neither a network nor an address, or not in its one spelling.
        """
        if value in (None, ""):
            return None
        if wrong := source_complaint(str(value)):
            raise ValidationError(sentence(wrong), code="invalid")
        return str(as_network(str(value)))

    def get_prep_value(self, value: Any) -> str | None:  # Any: Django's own signature.
        """Text for the driver; empty text is NULL.

        Raises:
            ValueError: the database would refuse it.
        """
        return str(as_network(str(value))) if value not in (None, "") else None


class AddressField(CidrField[_Set, _Get]):
    """An IP address, or a prefix of them, as canonical text; stored as ``cidr``.

    A single address is written without a prefix length.
    """

    description = "IP address or prefix"

    def from_db_value(self, value: object, *_: object) -> str | None:
        """``10.0.0.1`` for one address, ``10.0.0.0/30`` for four."""
        return None if value is None else bare(str(value))

    def to_python(self, value: Any) -> str | None:  # Any: Django's own signature.
        """As for a network; a single address loses its prefix length."""
        text = super().to_python(value)
        return None if text is None else bare(text)


def bare(text: str) -> str:
    """``text`` without the prefix length that a single address has."""
    return text.removesuffix("/128" if ":" in text else "/32")


def one_value(expression: F | Func[Any]) -> Func[Any]:
    """A range that holds one integer: equality for GiST without btree_gist."""
    return Func(
        expression,
        expression,
        Value("[]"),
        function="int8range",
        output_field=BigIntegerRangeField(),
    )


def text_key(field: str) -> Func:
    """The same for a column of text, by its hash."""
    hashed = Func(
        F(field),
        Value(0),
        function="hashtextextended",
        output_field=models.BigIntegerField(),
    )
    return one_value(hashed)


def closed_range(first: str, last: str) -> Func:
    """The integers from ``first`` to ``last``, both included."""
    return Func(
        F(first),
        F(last),
        Value("[]"),
        function="int8range",
        output_field=BigIntegerRangeField(),
    )
