"""Tasks of the ground: the audit log's sealer, the sweep of operations, and old counters."""

from django.utils import timezone

from tenants.services import audit_chain, operations, quotas
from workers.celery import app

_SEAL_LIMIT = 2000


@app.task(name="tenants.seal_audit", soft_time_limit=50)
def seal_audit() -> None:
    """Chain what was written to the audit log since the last time."""
    audit_chain.seal(_SEAL_LIMIT)


@app.task(name="tenants.sweep_operations", soft_time_limit=50)
def sweep_operations() -> None:
    """Find operations that lost their worker or their message."""
    operations.sweep_stale(timezone.now())


@app.task(name="tenants.forget_windows", soft_time_limit=50)
def forget_windows() -> None:
    """Delete counters of windows long past."""
    quotas.forget_windows(timezone.now())
