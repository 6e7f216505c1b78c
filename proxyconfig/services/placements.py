"""Which clusters a tenant is on."""

from django.db import transaction

from proxyconfig.models.placement import Placement
from tenants import audit, wake
from tenants.domain.actor import Actor
from tenants.errors import ForbiddenError
from tenants.models.tenant import Cluster, Tenant


def place(tenant: Tenant, cluster: Cluster, *, actor: Actor, reason: str = "") -> Placement:
    """Have this cluster's proxy hold the tenant's current revision; again: nothing changes.

    Raises:
        ForbiddenError: the actor is no platform administrator.
    """
    if not actor.is_platform_admin:
        raise ForbiddenError(
            f"Only a platform administrator places a tenant on a cluster. Ask one to place {tenant}"
            f" on {cluster}."
        )
    with transaction.atomic():
        placement, is_new = Placement.objects.get_or_create(tenant=tenant, cluster=cluster)
        if is_new:
            audit.record(actor, "placement.created", placement, reason=reason)
            wake.tenant(tenant.pk)
    return placement
