"""Desired against live, object by object, without the noise of defaults and of others' fields.

Pure. An object is kept without being read when what was sent is what is wanted, and nothing that is
ours has moved since; otherwise it is compared field by field with what is wanted or ours.
"""

from collections.abc import Mapping
from typing import Any

from proxyconfig.domain import labels
from proxyconfig.domain.inventory import Record
from proxyconfig.domain.plan import FieldChange, PlanAction, PlanEntry, changed_fields
from proxyconfig.domain.resources import Identity, Resource, canonical_json
from proxyconfig.targets.kube import fields
from proxyconfig.targets.kube.live import Live, short_hash

_MANAGER = " (manager)"


def sent_hash(resource: Resource) -> str:
    """What a record says of a resource that was sent as it is."""
    return short_hash(resource.content)


def version_of(resource: Resource) -> str:
    """The API version that a resource is written in, without its group."""
    return str(resource.body.get("apiVersion") or "").rpartition("/")[2]


def is_unmoved(resource: Resource, live: Live, known: Record) -> bool:
    """Whether the metadata alone proves that the object holds what is wanted."""
    return (
        bool(live.owned)
        and not live.deleted_at
        and known == live.record(known.sent)
        and known.sent == sent_hash(resource)
    )


def kept(resource: Resource, record: Record) -> PlanEntry:
    """Nothing to do; ``record`` is what is known by now."""
    reason = "the proxy already has it so"
    return PlanEntry(
        PlanAction.KEEP,
        resource.identity,
        reason,
        desired=resource,
        observed=resource,
        record=record,
    )


def created(resource: Resource) -> PlanEntry:
    """It is not there."""
    reason = "the proxy does not have it yet"
    return PlanEntry(PlanAction.CREATE, resource.identity, reason, desired=resource)


def unwanted(identity: Identity, live: Live) -> PlanEntry:
    """It is there and ours, and no longer wanted; bound to the object that was seen."""
    reason = "no policy of the tenant asks for it"
    return PlanEntry(PlanAction.DELETE, identity, reason, record=live.record(""))


def compared(
    resource: Resource, body: Mapping[str, Any], live: Live, known: Record | None
) -> PlanEntry:
    """Keep or update, from the whole object.

    Without a record of what was sent, a default inside a list cannot be told from something that
    was sent before and is no longer wanted: then it is applied, which changes nothing if all is
    well, and is on record from then on.
    """
    wanted = resource.body
    seen = Resource(
        *resource.identity, canonical_json(fields.project(dict(body), wanted, live.own))
    )
    changes = changed_fields(seen.body, wanted)
    changes += _deleted(live)
    taken = _taken(wanted, live)
    sent = known.sent if known is not None and known.uid == live.uid else ""
    record = live.record(sent)
    if not changes and not taken and sent == sent_hash(resource):
        return kept(resource, record)
    covered = {change.path for change in changes}
    changes += tuple(change for change in taken if _path(change) not in covered)
    reason = _reason(changes, sent)
    return PlanEntry(PlanAction.UPDATE, resource.identity, reason, changes, resource, seen, record)


def _taken(wanted: dict[str, Any], live: Live) -> tuple[FieldChange, ...]:
    """Fields that hold what is wanted, but by another's hand, who may change them again."""
    if live.own is None and not live.managers:
        return ()  # The server does not say who owns what.
    return tuple(
        FieldChange(f"{path}{_MANAGER}", _names(path, live), labels.SLUICE)
        for path in fields.lost(wanted, live.own)
        if path
    )


def _deleted(live: Live) -> tuple[FieldChange, ...]:
    """Somebody asked for its deletion, so it will be gone, whatever is applied to it now."""
    if not live.deleted_at:
        return ()
    return (FieldChange("metadata.deletionTimestamp", live.deleted_at, None),)


def _names(path: str, live: Live) -> str | None:
    return ", ".join(fields.owners(path, live.managers)) or None


def _path(change: FieldChange) -> str:
    return change.path.removesuffix(_MANAGER)


def _reason(changes: tuple[FieldChange, ...], sent: str) -> str:
    if len(changes) == 1:
        return f"{changes[0].path} differs"
    if changes:
        return f"{len(changes)} fields differ"
    return "it was last sent otherwise" if sent else "there is no record of what was sent"
