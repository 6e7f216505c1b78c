"""Every error that Sluice raises on purpose.

SluiceError                 code, message for people, data for machines
├── InvalidError            the caller can mend it: field errors                  400
├── NotVisibleError         absent or another tenant's: one answer for both       404
├── ForbiddenError          visible, but the role does not allow it               403
├── PreconditionError       If-Match names another version                        412
├── ConflictError           made against an old generation, or a name is taken    409
├── QuotaError              a limit is spent: used, limit, requested, reset       429, 409
├── TransientError          trying again may help; retry_after_seconds            503, retried
└── PermanentError          trying again cannot help; a person must act           500
"""

from collections.abc import Mapping, Sequence


class SluiceError(Exception):
    """Root of the tree.

    Args:
        message: a sentence for people: what happened, to what, why, and what to do next.
        code: stable word for machines, listed in docs/reference/errors.md.
        data: facts for machines; never secrets.
    """

    status = 500
    default_code = "error"

    def __init__(
        self, message: str, *, code: str = "", data: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.data = dict(data or {})


class FieldError(SluiceError):
    """Something about single fields of what was sent.

    ``fields`` maps a field's name, or the JSON pointer of what lies in it, to its complaints; ""
    holds those of no single field.
    """

    def __init__(
        self,
        message: str,
        *,
        fields: Mapping[str, Sequence[str]] | None = None,
        code: str = "",
        data: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, code=code, data=data)
        self.fields = {name: list(complaints) for name, complaints in (fields or {}).items()}


class InvalidError(FieldError):
    """The caller can mend it."""

    status = 400
    default_code = "invalid"


class NotVisibleError(SluiceError):
    """Absent, or another tenant's: the answer is the same, so that nothing can be learned."""

    status = 404
    default_code = "not-visible"


class ForbiddenError(SluiceError):
    """Visible, but the actor's role does not allow this."""

    status = 403
    default_code = "forbidden"


class ConflictError(FieldError):
    """Made against an old generation, or the name or address is taken; ``fields`` say what."""

    status = 409
    default_code = "conflict"


class PreconditionError(SluiceError):
    """``If-Match`` names another version than the object has by now."""

    status = 412
    default_code = "precondition-failed"


class QuotaError(SluiceError):
    """A limit is spent; ``data`` has resource, used, limit, requested and resets_at.

    ``status`` is 429 where waiting helps and 409 where something must be given back first.
    ``retry_after_seconds`` is None in the second case.
    """

    status = 429
    default_code = "quota-exceeded"

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        retry_after_seconds: float | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, data=data)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class TransientError(SluiceError):
    """Trying again may help."""

    status = 503
    default_code = "transient"

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float = 1.0,
        code: str = "",
        data: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, code=code, data=data)
        self.retry_after_seconds = retry_after_seconds


class PermanentError(SluiceError):
    """Trying again cannot help; a person must act."""

    status = 500
    default_code = "permanent"
