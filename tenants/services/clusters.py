"""Clusters: the places whose proxies Sluice keeps."""

from collections import Counter
from typing import Final

from django.db import models, transaction
from django.db.models import Count, ProtectedError

from tenants import audit
from tenants.access import require
from tenants.domain.actor import Actor, system
from tenants.domain.roles import Action
from tenants.errors import ConflictError
from tenants.models.claim import AddressClaim, NamespaceClaim, SubnetClaim, VlanClaim, VniClaim
from tenants.models.grant import NamespaceGrant, VlanGrant, VniGrant
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Cluster, Flavour, Tenant
from tenants.services import conflicts

_MOST_NAMED = 5
# What a tenant has on one cluster.
_PLACED: Final[tuple[type[models.Model], ...]] = (
    NamespaceGrant,
    VlanGrant,
    VniGrant,
    NamespaceClaim,
    VlanClaim,
    VniClaim,
    SubnetClaim,
    AddressClaim,
)


def create_cluster(name: str, flavour: Flavour, *, actor: Actor) -> Cluster:
    """A cluster that tenants can be placed on. Its name stays: every intent has it.

    Raises:
        ForbiddenError: the actor is no platform administrator.
        InvalidError: the name cannot be taken.
        ConflictError: another cluster has it, or the local proxy (``taken``).
    """
    require(actor, Action.MANAGE_PLATFORM)
    return _create(name, flavour, actor)


def home_of(tenant: Tenant) -> str:
    """The name of the cluster where the tenant has most grants and claims; "" where it has none.

    The only cluster there is, is everybody's.
    """
    names = list(Cluster.objects.values_list("name", flat=True)[:2])
    if len(names) == 1:
        return names[0]
    first, *others = (
        model._default_manager.filter(tenant=tenant)
        .order_by()
        .values_list("cluster__name")
        .annotate(count=Count("pk"))
        for model in _PLACED
    )
    counts: Counter[str] = Counter()
    for name, count in first.union(*others, all=True):
        counts[name] += count
    return min(counts, key=lambda name: (-counts[name], name), default="")


def ensure_cluster(name: str, flavour: Flavour) -> bool:
    """Make the cluster of this machine, where there is none of that name; True if it was made.

    Raises:
        InvalidError: the name cannot be taken.
    """
    if Cluster.objects.filter(name=name).exists():
        return False
    _create(name, flavour, system("first-cluster"))
    return True


def delete_cluster(row: Cluster, *, actor: Actor) -> None:
    """Delete a cluster that nothing is on.

    Raises:
        ForbiddenError: the actor is no platform administrator.
        ConflictError: something is on it (``in-use``); the message says what.
    """
    require(actor, Action.MANAGE_PLATFORM)
    with platform_scope("clusters"):
        audit.record(actor, "cluster.deleted", row, detail={"flavour": row.flavour})
        try:
            with transaction.atomic():
                row.delete()
        except ProtectedError as error:
            users = sorted(f"{user._meta.verbose_name} {user}" for user in error.protected_objects)
            more = f" and {len(users) - _MOST_NAMED} more" if len(users) > _MOST_NAMED else ""
            raise ConflictError(
                f"Cluster {row} is still used by {'; '.join(users[:_MOST_NAMED])}{more}. Delete"
                " that first.",
                code="in-use",
            ) from error


def _create(name: str, flavour: Flavour, actor: Actor) -> Cluster:
    row = Cluster(name=name, flavour=flavour.value)
    with platform_scope("clusters"):
        conflicts.store(row, refusal=lambda constraint: _refusal(row, constraint, actor))
        audit.record(actor, "cluster.created", row, detail={"flavour": row.flavour})
    return row


def _refusal(row: Cluster, constraint: str, actor: Actor) -> ConflictError | None:
    if constraint == "tenants_cluster_name_key":
        named = conflicts.Taken(
            f"The name {row.name}", lambda: Cluster.objects.filter(name=row.name)
        )
        return conflicts.conflict(row, named, actor)
    if constraint == "cluster_one_local":
        other = Cluster.objects.filter(flavour=Flavour.LOCAL).exclude(pk=row.pk).first()
        says = f"The local proxy serves cluster {other}. Choose the proxy of another cluster."
        return ConflictError(says, code="taken")
    return None
