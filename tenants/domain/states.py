"""The one vocabulary of states.

UI, API, metrics, logs and docs take their words from here; docs/reference/states.md explains each.
Plain enums without Django, so that the pure layers may use them too.
"""

import re
from enum import StrEnum


class ChangeState(StrEnum):
    """Where a plan is on its way from a wish to the proxy."""

    DRAFT = "Draft"
    PLANNED = "Planned"
    AWAITING_APPROVAL = "AwaitingApproval"
    APPROVED = "Approved"
    REFUSED = "Refused"
    APPLYING = "Applying"
    APPLIED = "Applied"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"


class SyncState(StrEnum):
    """Does the proxy hold what the tenant's current revision says?"""

    IN_SYNC = "InSync"
    OUT_OF_SYNC = "OutOfSync"
    DRIFTED = "Drifted"
    UNKNOWN = "Unknown"
    PAUSED = "Paused"
    SUSPENDED = "Suspended"


class Health(StrEnum):
    """Does the thing do its work? A parent is no healthier than its worst child."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    MISSING = "Missing"
    UNKNOWN = "Unknown"


class OperationState(StrEnum):
    """Life of one long-running piece of work."""

    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class ServingStage(StrEnum):
    """How far one object has come; Serving needs a probe or an observed connection."""

    SAVED = "Saved"
    PLANNED = "Planned"
    APPLIED = "Applied"
    ACCEPTED = "Accepted"
    SERVING = "Serving"


class Verdict(StrEnum):
    """What a proxy decided about one connection; always with a rule id, default deny included."""

    ALLOWED = "Allowed"
    DENIED = "Denied"
    WOULD_DENY = "WouldDeny"
    ERROR = "Error"


class AnswerEnd(StrEnum):
    """How a run ended. A run that is still going has none."""

    FOUND = "Found"
    NOT_FOUND = "NotFound"
    BLOCKED = "Blocked"


class Direction(StrEnum):
    """Which way a connection goes, seen from the cluster."""

    IN = "In"
    OUT = "Out"


ENDED_OPERATIONS = frozenset(
    {OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED}
)

# What the REST API shows; each set of words has one name there.
SHOWN: tuple[type[StrEnum], ...] = (
    AnswerEnd,
    ChangeState,
    Direction,
    Health,
    OperationState,
    SyncState,
    Verdict,
)


def spaced(word: str) -> str:
    """A state as pages show it: ``Awaiting approval`` for ``AwaitingApproval``."""
    first, *others = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", word).split(" ")
    return " ".join([first, *(other.lower() for other in others)])
