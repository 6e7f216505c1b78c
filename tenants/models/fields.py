"""Network types that PostgreSQL has and Django has not."""

import ipaddress
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

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
            ValidationError: not a network, or its host bits are set.
        """
        if value in (None, ""):
            return None
        try:
            return str(ipaddress.ip_network(str(value)))
        except ValueError as error:
            raise ValidationError(
                "%(value)s is not a network in CIDR notation: %(why)s.",
                code="invalid",
                params={"value": value, "why": error},
            ) from error

    def get_prep_value(self, value: Any) -> str | None:  # Any: Django's own signature.
        """Text for the driver; empty text is NULL."""
        return str(value) if value not in (None, "") else None
