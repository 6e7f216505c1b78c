"""What is known about a tenant on one cluster, in Kubernetes's form, and how it adds up.

Targets and the reconcile service produce conditions; pages show the sum and the next step.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from proxyconfig.domain.fields import JsonValue
from tenants.domain.states import Health, SyncState


class ConditionType(StrEnum):
    """What a condition is about."""

    ACCEPTED = "Accepted"
    PROGRAMMED = "Programmed"
    DRIFTED = "Drifted"
    REACHABLE = "Reachable"
    SERVING = "Serving"
    PAUSED = "Paused"


class Status(StrEnum):
    """Kubernetes's three values."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a condition has its status; each has a next step in ``NEXT_STEP``."""

    VALID = "Valid"
    INVALID = "Invalid"
    UNSUPPORTED = "Unsupported"
    PROGRAMMED = "Programmed"
    PENDING = "Pending"
    REFUSED = "Refused"
    ADDRESS_IN_USE = "AddressInUse"
    PROXY_UNREACHABLE = "ProxyUnreachable"
    CONNECTED = "Connected"
    NO_DRIFT = "NoDrift"
    CHANGED_OUTSIDE = "ChangedOutside"
    HEALED = "Healed"
    RESTARTED = "Restarted"
    ANSWERING = "Answering"
    NOT_ANSWERING = "NotAnswering"
    NOTHING_TO_SERVE = "NothingToServe"
    PAUSED_BY_OPERATOR = "PausedByOperator"
    SUSPENDED_BY_OPERATOR = "SuspendedByOperator"
    CREDENTIAL_REFUSED = "CredentialRefused"
    CERTIFICATE_REFUSED = "CertificateRefused"
    THROTTLED = "Throttled"
    TIMED_OUT = "TimedOut"
    SERVER_ERROR = "ServerError"
    FORBIDDEN = "Forbidden"
    QUOTA_EXCEEDED = "QuotaExceeded"
    NAMESPACE_MISSING = "NamespaceMissing"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    KIND_MISSING = "KindMissing"
    CONFLICT = "Conflict"
    NAME_TAKEN = "NameTaken"
    CHANGED_MEANWHILE = "ChangedMeanwhile"
    BEING_DELETED = "BeingDeleted"
    WEBHOOK_UNAVAILABLE = "WebhookUnavailable"
    FAILED = "Failed"


NEXT_STEP: Mapping[Reason, str] = {
    Reason.INVALID: "Correct the policy that the message names, and publish it again.",
    Reason.UNSUPPORTED: "Remove what this proxy cannot do, or use a cluster that can.",
    Reason.PENDING: "Nothing; a worker is on it. If this stays for a minute, look at the workers.",
    Reason.REFUSED: "Read the proxy's words in the message; change the policy that they name.",
    Reason.ADDRESS_IN_USE: "Free the address and port on the proxy's machine, or choose another.",
    Reason.PROXY_UNREACHABLE: "See that the proxy runs; Sluice tries again by itself.",
    Reason.CHANGED_OUTSIDE: "Nothing; Sluice puts it back. Find who changes the proxy by hand.",
    Reason.HEALED: "Nothing to repair. Find who changed the proxy by hand.",
    Reason.RESTARTED: "Nothing; the proxy came back empty and was filled again.",
    Reason.NOT_ANSWERING: "Look at the backend: the proxy is programmed, but nobody answers.",
    Reason.NOTHING_TO_SERVE: "Add an ingress policy to open a listener.",
    Reason.PAUSED_BY_OPERATOR: "Resume the tenant when the proxy should follow its policies again.",
    Reason.SUSPENDED_BY_OPERATOR: "Resume the tenant when its addresses should answer again.",
    Reason.CREDENTIAL_REFUSED: (
        "Give the cluster a new token or kubeconfig; check when the old one expired."
    ),
    Reason.CERTIFICATE_REFUSED: (
        "Compare the connection's certificate authority and address with the cluster's."
    ),
    Reason.THROTTLED: (
        "Nothing; Sluice waits as long as the API server asks. If it stays, look at its load."
    ),
    Reason.TIMED_OUT: (
        "Nothing; Sluice tries again. If it stays, look at the network and the server's load."
    ),
    Reason.SERVER_ERROR: (
        "Read the API server's words in the message, and its log; Sluice tries again by itself."
    ),
    Reason.FORBIDDEN: "Grant Sluice's identity on the cluster the right that the message names.",
    Reason.QUOTA_EXCEEDED: (
        "Raise the namespace's ResourceQuota, or remove objects that count for it."
    ),
    Reason.NAMESPACE_MISSING: "Create the namespace on the cluster; Sluice goes on by itself.",
    Reason.NAMESPACE_TERMINATING: (
        "Wait until the namespace is gone and create it again, or remove it from the tenant."
    ),
    Reason.KIND_MISSING: "Install the definitions (CRDs) of the kind that the message names.",
    Reason.CONFLICT: (
        "Remove the field from that manager's object, or let the cluster's settings take over."
    ),
    Reason.NAME_TAKEN: (
        "Rename or delete the object that the message names; Sluice never takes it over."
    ),
    Reason.CHANGED_MEANWHILE: "Nothing; Sluice compares again.",
    Reason.BEING_DELETED: "Look at the controller whose finalizers the message names.",
    Reason.WEBHOOK_UNAVAILABLE: (
        "Look at the webhook that the message names; Sluice tries again by itself."
    ),
    Reason.FAILED: "Read the message and the worker's log; it is tried again by itself.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One observation.

    Attributes:
        reason: a ``Reason`` value; text, so that stored ones of an older version can be read.
        observed_generation: generation of the tenant that this was seen for.
        last_transition_time: when ``status`` last changed; aware.
    """

    type: ConditionType
    status: Status
    reason: str
    message: str
    observed_generation: int
    last_transition_time: datetime

    @property
    def next_step(self) -> str:
        """What a person should do now; "" when nothing is known or needed."""
        return next_step(self.reason)

    def plain(self) -> dict[str, JsonValue]:
        """Kubernetes's keys, for storage and API."""
        moment = self.last_transition_time.astimezone(UTC).isoformat(timespec="milliseconds")
        return {
            "type": self.type.value,
            "status": self.status.value,
            "reason": self.reason,
            "message": self.message,
            "observedGeneration": self.observed_generation,
            "lastTransitionTime": moment.replace("+00:00", "Z"),
        }

    @classmethod
    def parse(cls, plain: Mapping[str, JsonValue]) -> Self:
        """Read what ``plain`` wrote.

        Raises:
            KeyError, ValueError: it was written by something else.
        """
        return cls(
            type=ConditionType(str(plain["type"])),
            status=Status(str(plain["status"])),
            reason=str(plain["reason"]),
            message=str(plain["message"]),
            observed_generation=int(str(plain["observedGeneration"])),
            last_transition_time=datetime.fromisoformat(str(plain["lastTransitionTime"])),
        )


def next_step(reason: str) -> str:
    """What a person should do about ``reason``; "" when nothing is known or needed."""
    return NEXT_STEP.get(Reason(reason), "") if reason in set(Reason) else ""


def paused_message(revision: int) -> str:
    """What a paused tenant's proxy does meanwhile.

    Args:
        revision: the generation that the proxy holds; 0 while it holds none.
    """
    if revision == 0:
        return "Paused: no revision applied yet."
    return f"Paused: still serving revision {revision}."


def merge(
    known: Iterable[Condition], fresh: Iterable[Condition], *, now: datetime
) -> tuple[Condition, ...]:
    """``known`` brought up to date with ``fresh``, one per type, in the order of ``ConditionType``.

    The transition time stays where the status did not change and is ``now`` where it did; that of
    the fresh conditions themselves does not count. Types without news are kept.
    """
    merged = {condition.type: condition for condition in known}
    for condition in fresh:
        before = merged.get(condition.type)
        same = before is not None and before.status is condition.status
        moment = before.last_transition_time if before is not None and same else now
        merged[condition.type] = replace(condition, last_transition_time=moment)
    return tuple(merged[kind] for kind in ConditionType if kind in merged)


def sync_state(conditions: Sequence[Condition], *, generation: int) -> SyncState:
    """Does the proxy hold what generation ``generation`` says?

    A condition of an older generation counts as unknown for what it says was done.
    """
    status = _Current(conditions, generation)
    if status(ConditionType.PAUSED) is Status.TRUE:
        return SyncState.SUSPENDED if _is_suspended(conditions) else SyncState.PAUSED
    if status(ConditionType.REACHABLE) is Status.FALSE:
        return SyncState.UNKNOWN
    if status(ConditionType.DRIFTED) is Status.TRUE:
        return SyncState.DRIFTED
    if status(ConditionType.PROGRAMMED) is Status.TRUE:
        return SyncState.IN_SYNC
    return SyncState.OUT_OF_SYNC if conditions else SyncState.UNKNOWN


def health(conditions: Sequence[Condition], *, generation: int) -> Health:
    """Does the tenant's part of the proxy do its work?"""
    status = _Current(conditions, generation)
    if not conditions:
        return Health.MISSING
    if status(ConditionType.PAUSED) is Status.TRUE and _is_suspended(conditions):
        return Health.MISSING
    if status(ConditionType.REACHABLE) is Status.FALSE:
        return Health.UNKNOWN
    broken = (ConditionType.ACCEPTED, ConditionType.PROGRAMMED, ConditionType.SERVING)
    if Status.FALSE in map(status, broken):
        return Health.DEGRADED
    if status(ConditionType.PROGRAMMED) is not Status.TRUE or _is_pending(conditions):
        return Health.PROGRESSING
    return Health.PROGRESSING if status(ConditionType.DRIFTED) is Status.TRUE else Health.HEALTHY


def _is_pending(conditions: Sequence[Condition]) -> bool:
    """The proxy has what it should hold, and has not said yet whether it serves it."""
    return any(
        entry.type is ConditionType.SERVING and entry.reason == Reason.PENDING
        for entry in conditions
    )


def _is_suspended(conditions: Sequence[Condition]) -> bool:
    return any(
        entry.type is ConditionType.PAUSED and entry.reason == Reason.SUSPENDED_BY_OPERATOR
        for entry in conditions
    )


_HEALTH_ORDER = (
    Health.DEGRADED,
    Health.MISSING,
    Health.UNKNOWN,
    Health.PROGRESSING,
    Health.HEALTHY,
)


def worst(states: Iterable[Health]) -> Health:
    """A parent is no healthier than its worst child; Missing when there is none."""
    return min(states, key=_HEALTH_ORDER.index, default=Health.MISSING)


class _Current:
    """Looks a type's status up; an observation of an older generation is Unknown."""

    def __init__(self, conditions: Sequence[Condition], generation: int) -> None:
        self._by_type = {condition.type: condition for condition in conditions}
        self._generation = generation

    def __call__(self, kind: ConditionType) -> Status:
        condition = self._by_type.get(kind)
        if condition is None:
            return Status.UNKNOWN
        if condition.observed_generation < self._generation:
            return Status.UNKNOWN
        return condition.status
