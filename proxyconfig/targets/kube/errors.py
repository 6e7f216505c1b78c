"""What an API server's refusals and silences mean: one table from answers to our errors.

TransientError              the API server as a whole: try later
├── ObjectFailedError       one object; may work next time
PermanentError              the API server as a whole: a person must act
└── ObjectRefusedError      one object; refused until its content or its owner changes

Each carries its ``conditions.Reason``, whose next step a page shows.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import urllib3.exceptions

from proxyconfig.domain.conditions import Reason
from tenants.errors import PermanentError, SluiceError, TransientError

_LONGEST_MESSAGE = 1000
_LONGEST_WAIT_SECONDS = 60.0
FIELD_CONFLICT = "FieldManagerConflict"


class ObjectFailedError(TransientError):
    """One object was not taken now."""


class ObjectRefusedError(PermanentError):
    """One object is not taken as it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered.

    Attributes:
        body: as sent; JSON as a rule, and plain text from what stands before the API.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @property
    def message(self) -> str:
        """The server's own words."""
        said = self.document.get("message") or self.body.decode(errors="replace").strip()
        return str(said)[:_LONGEST_MESSAGE] or f"HTTP {self.status}"

    @property
    def causes(self) -> list[dict[str, str]]:
        """Which fields it is about: reason, message, field."""
        details = self.document.get("details")
        found = details.get("causes") if isinstance(details, dict) else None
        return [cause for cause in found or () if isinstance(cause, dict)]

    @property
    def retry_after_seconds(self) -> float:
        """How long the server asks to wait; a second where it does not say."""
        asked = self.headers.get("Retry-After", "")
        return min(float(asked), _LONGEST_WAIT_SECONDS) if asked.isdecimal() else 1.0


_Make = Callable[[str, Reason, Answer], SluiceError]


def _busy(message: str, reason: Reason, answer: Answer) -> SluiceError:
    wait = answer.retry_after_seconds
    return TransientError(message, retry_after_seconds=wait, data={"reason": reason.value})


def _broken(message: str, reason: Reason, answer: Answer) -> SluiceError:
    return PermanentError(message, data={"reason": reason.value})


def _failed(message: str, reason: Reason, answer: Answer) -> SluiceError:
    return ObjectFailedError(message, data={"reason": reason.value})


def _refused(message: str, reason: Reason, answer: Answer) -> SluiceError:
    return ObjectRefusedError(message, data={"reason": reason.value})


@dataclass(frozen=True, slots=True)
class _Rule:
    """The first rule whose status and pattern fit decides; an empty pattern always fits."""

    statuses: tuple[int, ...]
    pattern: str
    reason: Reason
    make: _Make


_TABLE = (
    _Rule((401,), "", Reason.CREDENTIAL_REFUSED, _broken),
    _Rule((403,), "exceeded quota", Reason.QUOTA_EXCEEDED, _failed),
    _Rule((403,), "because it is being terminated", Reason.NAMESPACE_TERMINATING, _failed),
    # A policy's denial is 403 or 422, as its author chose.
    _Rule((400, 403, 422), "denied the request|denied request", Reason.REFUSED, _refused),
    _Rule((403,), "", Reason.FORBIDDEN, _failed),
    _Rule((404,), 'namespaces "[^"]*" not found', Reason.NAMESPACE_MISSING, _failed),
    _Rule((404,), "", Reason.KIND_MISSING, _failed),
    _Rule((409,), FIELD_CONFLICT, Reason.CONFLICT, _refused),
    _Rule((409,), "object is being deleted", Reason.BEING_DELETED, _failed),
    _Rule((409,), "", Reason.CHANGED_MEANWHILE, _failed),
    _Rule((410,), "", Reason.CHANGED_MEANWHILE, _busy),
    _Rule((422,), r"metadata\.uid: .*immutable", Reason.CHANGED_MEANWHILE, _failed),
    _Rule((400, 413, 422), "", Reason.REFUSED, _refused),
    _Rule((429,), "", Reason.THROTTLED, _busy),
    # How server-side apply answers a field that the schema does not have, and too large a body.
    _Rule(
        (500,),
        "failed to create typed|ResourceExhausted|request is too large|larger than max",
        Reason.REFUSED,
        _refused,
    ),
    _Rule((500,), "webhook", Reason.WEBHOOK_UNAVAILABLE, _failed),
    _Rule((500,), "", Reason.SERVER_ERROR, _failed),
    _Rule((502, 503, 504), "", Reason.SERVER_ERROR, _busy),
)
_ANYTHING_ELSE = _Rule((), "", Reason.REFUSED, _refused)


def from_answer(answer: Answer, subject: str) -> SluiceError:
    """The error that an answer of 300 or more is.

    Args:
        subject: what was asked for, such as ``HTTPRoute acme-prod/web``.
    """
    said = " ".join((answer.message, *(str(cause.get("reason")) for cause in answer.causes)))
    fitting = (rule for rule in _TABLE if answer.status in rule.statuses)
    rule = next((rule for rule in fitting if re.search(rule.pattern, said)), _ANYTHING_ELSE)
    error = rule.make(_words(answer, subject, rule.reason), rule.reason, answer)
    if rule.reason is Reason.CONFLICT:
        error.data["fields"] = [str(cause.get("field")) for cause in answer.causes]
    return error


def _words(answer: Answer, subject: str, reason: Reason) -> str:
    if reason is Reason.CREDENTIAL_REFUSED:
        return (
            "The API server refuses the credential: expired, revoked, or issued by another cluster."
        )
    if reason is Reason.CONFLICT:
        return f"{subject}: {conflicts(answer)}."
    if reason is Reason.KIND_MISSING and not answer.document:
        return f"{subject}: the cluster does not serve this kind."
    if reason in (Reason.THROTTLED, Reason.SERVER_ERROR):
        phrase = HTTPStatus(answer.status).phrase.lower()
        return f"{subject}: the API server answered {answer.status} ({phrase}): {answer.message}"
    return f"{subject}: {answer.message}"


def conflicts(answer: Answer) -> str:
    """Which manager has which fields, as in ``spec.rules is managed by "kubectl-edit"``."""
    fields_by_manager: dict[str, list[str]] = {}
    for cause in answer.causes:
        manager = re.search(r'conflict with "([^"]*)"', str(cause.get("message")))
        name = manager[1] if manager else "another manager"
        fields_by_manager.setdefault(name, []).append(str(cause.get("field")).lstrip("."))
    return "; ".join(
        f'{", ".join(fields)} {"is" if len(fields) == 1 else "are"} managed by "{name}"'
        for name, fields in fields_by_manager.items()
    )


def from_exception(error: Exception, server: str) -> SluiceError:
    """The error that a call without an answer is."""
    if isinstance(error, urllib3.exceptions.SSLError):
        message = f"{server}: the TLS handshake failed: {error}."
        return PermanentError(message, data={"reason": Reason.CERTIFICATE_REFUSED.value})
    # A refused connection is a timeout too, by the library's classes.
    is_refused = isinstance(error, urllib3.exceptions.NewConnectionError)
    if isinstance(error, urllib3.exceptions.TimeoutError) and not is_refused:
        message = f"{server} did not answer in time."
        return TransientError(message, data={"reason": Reason.TIMED_OUT.value})
    message = f"{server} cannot be reached: {_cause(error)}."
    return TransientError(message, data={"reason": Reason.PROXY_UNREACHABLE.value})


def _cause(error: Exception) -> str:
    """The innermost words: ``Connection refused`` and not three objects with addresses."""
    inner: BaseException = error
    while (next_one := inner.__cause__ or inner.__context__) is not None:
        inner = next_one
    return getattr(inner, "strerror", None) or type(inner).__name__
