"""Entries of a plan, brought to the API server one by one; each ends in an outcome."""

import json
from typing import Any

from proxyconfig.domain.conditions import Reason
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.inventory import Record
from proxyconfig.domain.plan import PlanEntry, changed_fields
from proxyconfig.domain.resources import Resource
from proxyconfig.domain.target import Outcome, OutcomeStatus
from proxyconfig.targets.kube import compare
from proxyconfig.targets.kube.client import Client
from proxyconfig.targets.kube.discovery import ServedKind
from proxyconfig.targets.kube.errors import ObjectFailedError, ObjectRefusedError
from proxyconfig.targets.kube.fields import value_at
from proxyconfig.targets.kube.live import Live

# No object has it: the first write of a cluster is later. An apply with a resource version creates
# what is not there, and conflicts with what is.
_NO_VERSION = "1"
_LONGEST_VALUE = 120


class Applier:
    """Applies as one field manager.

    Args:
        takes_over: fields of objects that are on record are taken back by force.
    """

    def __init__(self, client: Client, *, manager: str, takes_over: bool) -> None:
        self._client = client
        self._manager = manager
        self._takes_over = takes_over

    def apply(self, entry: PlanEntry) -> Outcome:
        """Do one changing entry.

        Raises:
            TransientError, PermanentError: it is not about this object: the API server is away,
                busy, or lets nobody in.
        """
        try:
            kind = self._kind(entry)
            if entry.desired is None:
                return self._delete(entry, kind)
            if entry.record is None:
                return self._create(entry, entry.desired, kind)
            return self._update(entry, entry.desired, kind, entry.record)
        except ObjectFailedError as error:
            if error.data["reason"] == Reason.KIND_MISSING:
                self._client.discovery.forget()
            return _outcome(entry, OutcomeStatus.FAILED, error.data["reason"], error.message)
        except ObjectRefusedError as error:
            message = f"{error.message}{_live_values(entry, error)}"
            return _outcome(entry, OutcomeStatus.REFUSED, error.data["reason"], message)

    def _kind(self, entry: PlanEntry) -> ServedKind:
        group, name, _, _ = entry.identity
        kind = self._client.discovery.kind(group, name)
        version = "" if entry.desired is None else compare.version_of(entry.desired)
        if kind is not None and (not version or version in kind.versions):
            return kind
        has = f"only {', '.join(kind.versions)}" if kind is not None else "none"
        raise ObjectFailedError(
            f"{entry.identity}: {name} of {group or 'core'} is needed in version {version},"
            f" and the cluster serves {has}.",
            data={"reason": Reason.KIND_MISSING.value},
        )

    def _create(self, entry: PlanEntry, desired: Resource, kind: ServedKind) -> Outcome:
        """Only where nothing has the name: an apply would merge into an object of anybody's."""
        try:
            answer = self._client.apply(
                kind, _with(desired, resourceVersion=_NO_VERSION), manager=self._manager
            )
        except (ObjectFailedError, ObjectRefusedError) as error:
            if error.data["reason"] not in (Reason.CHANGED_MEANWHILE, Reason.CONFLICT):
                raise
            found = self._found(kind, desired)
            if found is None:
                raise
            return self._update(entry, desired, kind, found.record(""))
        return self._applied(entry, desired, answer)

    def _found(self, kind: ServedKind, desired: Resource) -> Live | None:
        """The object that has the name already; None when it is gone again.

        Raises:
            ObjectRefusedError: it is not ours.
        """
        body = self._client.read(
            kind,
            version=compare.version_of(desired),
            namespace=desired.namespace,
            name=desired.name,
        )
        if body is None:
            return None
        live = Live.of(body["metadata"], manager=self._manager)
        if live.own is None:
            raise ObjectRefusedError(
                f"{desired.identity} exists already, and is not this tenant's.",
                data={"reason": Reason.NAME_TAKEN.value},
            )
        return live

    def _update(
        self, entry: PlanEntry, desired: Resource, kind: ServedKind, record: Record
    ) -> Outcome:
        """Of the very object that was compared: one that replaced it is left alone."""
        answer = self._client.apply(
            kind,
            _with(desired, uid=record.uid),
            manager=self._manager,
            is_forced=self._takes_over and bool(record.sent),
        )
        return self._applied(entry, desired, answer)

    def _applied(self, entry: PlanEntry, desired: Resource, answer: dict[str, Any]) -> Outcome:
        live = Live.of(answer["metadata"], manager=self._manager)
        if live.deleted_at:
            return _being_deleted(entry, live)
        return Outcome(
            entry.identity,
            entry.action,
            OutcomeStatus.DONE,
            Reason.PROGRAMMED.value,
            record=live.record(compare.sent_hash(desired)),
        )

    def _delete(self, entry: PlanEntry, kind: ServedKind) -> Outcome:
        _, _, namespace, name = entry.identity
        uid = entry.record.uid if entry.record is not None else ""
        left = self._client.delete(kind, namespace=namespace, name=name, uid=uid)
        if left is not None and left["metadata"].get("finalizers"):
            return _being_deleted(entry, Live.of(left["metadata"], manager=self._manager))
        return _outcome(entry, OutcomeStatus.DONE, Reason.PROGRAMMED)


def _with(desired: Resource, **metadata: str) -> dict[str, Any]:
    """The body, bound to one object; no manager owns these fields."""
    body: dict[str, Any] = desired.body
    body["metadata"] = {**body["metadata"], **metadata}
    return body


def _live_values(entry: PlanEntry, error: ObjectRefusedError) -> str:
    """What the fields of a conflict hold, as the plan saw it; secrets hidden, long ones cut."""
    paths = error.data.get("fields")
    if entry.observed is None or not isinstance(paths, list):
        return ""
    body = entry.observed.body
    held: dict[str, JsonValue] = {path.lstrip("."): value_at(body, path) for path in paths}
    known: dict[str, JsonValue] = {path: value for path, value in held.items() if value is not None}
    said = [f"{one.path} is {_short(one.before)}" for one in changed_fields(known, {})]
    return f" There {'; '.join(said)}." if said else ""


def _short(value: JsonValue) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _being_deleted(entry: PlanEntry, live: Live) -> Outcome:
    waits = f"waits for {', '.join(live.finalizers)}" if live.finalizers else "is not gone yet"
    message = f"{entry.identity} is being deleted and {waits}."
    return _outcome(entry, OutcomeStatus.FAILED, Reason.BEING_DELETED, message)


def _outcome(entry: PlanEntry, status: OutcomeStatus, reason: object, message: str = "") -> Outcome:
    return Outcome(entry.identity, entry.action, status, str(reason), message)
