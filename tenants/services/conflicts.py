"""Saves rows, and puts the database's refusals into words.

The database holds every "one owner" rule; this module only explains. It names the row in the way
where the actor may see it, and otherwise says no more than that the value is taken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from tenants.domain.actor import Actor
from tenants.errors import ConflictError, InvalidError, SluiceError
from tenants.models.scoped import current_scope, platform_scope


@dataclass(frozen=True, slots=True)
class Taken:
    """What to say when one constraint refuses a row.

    Attributes:
        what: the value, with its place: ``VLAN 101 on trunk 1.1 of cluster local``.
        holders: the rows that may be in the way; read in a scope of what the actor may see.
        hint: a sentence on what to take instead; "" for none.
        matches: narrows ``holders`` where a query cannot.
    """

    what: str
    holders: Callable[[], models.QuerySet[Any]]  # Any: each constraint guards another model.
    hint: Callable[[], str] = str
    matches: Callable[[models.Model], bool] = lambda _: True


def save(row: models.Model, *, actor: Actor, taken: Mapping[str, Taken]) -> None:
    """Check the fields of ``row`` and write it.

    Args:
        taken: by the name of the constraint.

    Raises:
        InvalidError: a field cannot be taken.
        ConflictError: a constraint of ``taken`` refused it; the message names the row in the way
            where the actor may see it.
    """
    store(row, refusal=lambda name: conflict(row, taken[name], actor) if name in taken else None)


def store(row: models.Model, *, refusal: Callable[[str], SluiceError | None]) -> None:
    """Check the fields of ``row`` and write it in a savepoint.

    Args:
        refusal: the error to raise for the constraint that refused it; None lets the database's
            own error through.

    Raises:
        InvalidError: a field cannot be taken.
    """
    try:
        row.clean_fields()
    except ValidationError as error:
        raise invalid(error) from error
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        if (refused := refusal(constraint_name(error))) is None:
            raise
        raise refused from error


def invalid(error: ValidationError) -> InvalidError:
    """Django's complaints as ours, field by field."""
    fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    first = next(f"{name}: {said[0]}" if name else said[0] for name, said in fields.items())
    return InvalidError(f"Some fields cannot be taken. {first}", fields=fields)


def constraint_name(error: IntegrityError) -> str:
    """The constraint that refused; "" when the driver does not say."""
    cause = error.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, psycopg.Error) else ""


def conflict(row: models.Model, taken: Taken, actor: Actor) -> ConflictError:
    """That a constraint refused ``row``, naming the one in the way where the actor may see it."""
    says = f"{taken.what} is already taken{_by_whom(row, taken, actor)}."
    hint = taken.hint()
    return ConflictError(f"{says} {hint}".strip(), code="taken", data={"value": taken.what})


def _by_whom(row: models.Model, taken: Taken, actor: Actor) -> str:
    """Words that name the row in the way; "" where the actor may not see it."""
    if actor.is_platform_staff and not current_scope().is_staff:
        with platform_scope("conflict"):
            return _named(row, taken)
    return _named(row, taken)


def _named(row: models.Model, taken: Taken) -> str:
    others = taken.holders().exclude(pk=row.pk)
    holder = next((other for other in others if taken.matches(other)), None)
    if holder is None:
        return ""
    owner = f" of tenant {holder.tenant}" if hasattr(holder, "tenant") else ""
    return f" by {holder._meta.verbose_name} {holder}{owner}"
