"""A service's refusal at the fields that people filled in, with the line of a list."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from proxyconfig.ui.object_forms import ObjectForm
from tenants.domain.notation import sentence
from tenants.errors import FieldError, SluiceError


class _Complaint(NamedTuple):
    """Its path is "" where it is about another object, which the message names."""

    path: str
    message: str


def refuse_object(form: ObjectForm, error: SluiceError) -> None:
    """Put what is wrong at its fields; what belongs to none, or to another object, on top."""
    # First all places, then the errors: an error takes its field's value away.
    placed = [
        (form.field_for(path), form.line_of(path), message) for path, message in _complaints(error)
    ]
    for field, line, message in placed:
        says = sentence(message)
        if line is not None:
            why = message.rstrip(".")
            says = _("Line %(number)s: %(why)s.") % {"number": line, "why": why}
        form.add_error(field, says)
    if not placed:
        form.add_error(None, error.message)


def _complaints(error: SluiceError) -> Iterable[_Complaint]:
    """What is wrong by the manifest's path where the service gives it, else by field."""
    problems: Any = error.data.get("problems")  # Any: what the error was given for machines.
    if problems:
        for problem in problems:
            yield _Complaint(problem["path"] if problem["field"] else "", problem["message"])
        return
    fields = error.fields if isinstance(error, FieldError) else {}
    for name, messages in fields.items():
        yield from (_Complaint(name, message) for message in messages)
