"""The front door's tasks: look at a placement, and find those that need it.

They acknowledge early, which is Celery's default: a killed worker's work is found by the sweep when
its lease has run out.
"""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from proxyconfig.services import cluster_access, connections, decisions
from proxyconfig.services import reconcile as service
from workers.celery import app

# Two workers look at a few hundred placements a second; what is left waits for the next sweep.
SWEEP_LIMIT = 200
# Redis serves lower numbers first: a change that somebody waits for overtakes routine checks.
ROUTINE_PRIORITY = 6
# Once its placement is found by the next sweep, a message that waited so long is worth nothing.
EXPIRES_SECONDS = 10.0
CLUSTER_SECONDS = 60.0
# What one sweep deletes at most, in batches.
MOST_BATCHES = 100


@app.task(name="proxyconfig.reconcile_tenant", soft_time_limit=240, time_limit=270)
def reconcile_tenant(tenant_id: int) -> None:
    """Bring every proxy of a tenant to what its current revision says."""
    for placement_id in service.placements_of(tenant_id):
        service.reconcile(placement_id)


@app.task(name="proxyconfig.reconcile_placement", soft_time_limit=120, time_limit=150)
def reconcile_placement(placement_id: int) -> None:
    """Bring one proxy to what the tenant's current revision says."""
    service.reconcile(placement_id)


@app.task(name="proxyconfig.sweep", soft_time_limit=10, time_limit=20)
def sweep() -> int:
    """Send a message for each placement that is behind or due for a check."""
    due = service.due_placements(timezone.now(), SWEEP_LIMIT)
    for placement_id in due:
        reconcile_placement.apply_async(
            args=(placement_id,), priority=ROUTINE_PRIORITY, expires=EXPIRES_SECONDS
        )
    return len(due)


@app.task(name="proxyconfig.check_cluster", soft_time_limit=60, time_limit=90)
def check_cluster(cluster_id: int) -> None:
    """Test how Sluice reaches a cluster, and what it may do there."""
    cluster_access.check(cluster_id)


@app.task(name="proxyconfig.check_clusters", soft_time_limit=10, time_limit=20)
def check_clusters() -> None:
    """Have each cluster that has an API server tested."""
    for cluster_id in cluster_access.connected():
        check_cluster.apply_async(
            args=(cluster_id,), priority=ROUTINE_PRIORITY, expires=CLUSTER_SECONDS
        )


@app.task(name="proxyconfig.expire_plans", soft_time_limit=60, time_limit=90)
def expire_plans() -> int:
    """Withdraw the plans on which nobody decided in time."""
    return decisions.expire(timezone.now())


@app.task(name="proxyconfig.forget_connections", soft_time_limit=240, time_limit=270)
def forget_connections() -> None:
    """Delete connections that are older than the settings say."""
    days = settings.KEEP_CONNECTIONS_DAYS
    if days is None:
        return
    before = timezone.now() - timedelta(days=days)
    for _ in range(MOST_BATCHES):
        if not connections.forget(before):
            return
