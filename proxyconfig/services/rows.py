"""Intent to rows and back: the only module that writes what a tenant's people have had approved.

``build_intent(write_rows(i))`` is ``i``, field by field, and writing it again writes nothing.
Both run inside the caller's tenant scope.
"""

from collections.abc import Iterable, Sequence

from django.db.models import Q
from django.utils import timezone

from proxyconfig.domain import holdings, objects
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.objects import ChangeKind, Key, ObjectChange
from proxyconfig.domain.plan import changed_fields
from proxyconfig.models import IntentObject
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import InvalidError
from tenants.models.tenant import Cluster, Tenant
from tenants.services import claims

_EVENTS = {
    ChangeKind.ADD: "created",
    ChangeKind.CHANGE: "changed",
    ChangeKind.DELETE: "deleted",
}


def build_intent(tenant: Tenant) -> Intent:
    """What the tenant's rows say, canonical; one query, however many objects."""
    rows = IntentObject.objects.filter(tenant=tenant).order_by()
    stored = rows.values_list("collection", "spec")
    return objects.assemble(
        tenant.slug, (objects.read(collection, spec) for collection, spec in stored)
    )


def write_rows(
    tenant: Tenant,
    before: Intent,
    after: Intent,
    *,
    actor: Actor,
    reason: str = "",
    plan_id: int | None = None,
) -> tuple[ObjectChange, ...]:
    """Make the tenant's rows, which say ``before``, say ``after``; in the caller's transaction.

    Rows of objects that stay keep their keys. The audit is written from the difference.

    Args:
        plan_id: the plan that is applied; what was held for it is taken over.

    Returns:
        What changed, in the order of the audit.

    Raises:
        ConflictError: something that ``after`` takes has another owner by now.
        InvalidError: it takes what the tenant was not granted.
    """
    changes = objects.difference(before, after)
    _delete(tenant, [change.key for change in changes if change.kind is ChangeKind.DELETE])
    claims.write(tenant, holdings.claims(before), holdings.claims(after), actor=actor, plan=plan_id)
    _save(tenant, before, after, actor)
    audit.record_all(
        actor,
        [_audit_line(change) for change in changes],
        tenant_id=tenant.pk,
        reason=reason,
    )
    return changes


def _delete(tenant: Tenant, keys: Sequence[Key]) -> None:
    if keys:
        IntentObject.objects.filter(_named(keys), tenant=tenant).delete()


def _save(tenant: Tenant, before: Intent, after: Intent, actor: Actor) -> None:
    known = {key: (item, objects.cluster_of(before, item)) for key, item in _items(before)}
    wanted = {key: (item, objects.cluster_of(after, item)) for key, item in _items(after)}
    changed = {key: entry for key, entry in wanted.items() if known.get(key) != entry}
    if not changed:
        return
    ids = _cluster_ids(cluster for _, cluster in changed.values())
    now = timezone.now()
    IntentObject.objects.bulk_create(
        [
            IntentObject(
                tenant=tenant,
                collection=key.collection,
                name=key.name,
                cluster_id=ids[cluster] if cluster else None,
                spec=objects.plain(item),
                version=objects.version(item),
                updated_by=actor.name,
                created_at=now,
                updated_at=now,
            )
            for key, (item, cluster) in changed.items()
        ],
        update_conflicts=True,
        unique_fields=["tenant", "collection", "name"],
        update_fields=["cluster", "spec", "version", "updated_by", "updated_at"],
    )


def unknown_clusters(intent: Intent) -> tuple[str, ...]:
    """The clusters that the intent names and that do not exist."""
    named = set(intent.clusters)
    known = Cluster.objects.filter(name__in=named).values_list("name", flat=True)
    return tuple(sorted(named - set(known)))


def _items(intent: Intent) -> Iterable[tuple[Key, objects.IntentObject]]:
    return objects.objects(intent).items()


def _cluster_ids(names: Iterable[str | None]) -> dict[str, int]:
    wanted = {name for name in names if name}
    if not wanted:
        return {}
    ids = dict(Cluster.objects.filter(name__in=wanted).values_list("name", "pk"))
    if missing := sorted(wanted - ids.keys()):
        says = f"there is no cluster {missing[0]}"
        raise InvalidError(f"{says[0].upper()}{says[1:]}.", fields={"cluster": [says]})
    return ids


def _named(keys: Iterable[Key]) -> Q:
    names: dict[str, list[str]] = {}
    for key in keys:
        names.setdefault(key.collection, []).append(key.name)
    condition = Q(pk__in=[])
    for collection, found in names.items():
        condition |= Q(collection=collection, name__in=found)
    return condition


def _audit_line(change: ObjectChange) -> audit.Line:
    label = objects.BY_NAME[change.key.collection].label
    noun = label.lower().replace(" ", "-")
    before = objects.plain(change.before) if change.before is not None else None
    after = objects.plain(change.after) if change.after is not None else None
    fields = [] if change.kind is not ChangeKind.CHANGE else changed_fields(before, after)
    return audit.Line(
        event=f"{noun}.{_EVENTS[change.kind]}",
        object_type=noun,
        object_name=change.key.name,
        detail={"fields": [field.plain() for field in fields]}
        if fields
        else {"object": after if after is not None else before},
    )
