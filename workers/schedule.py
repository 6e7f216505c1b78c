"""What beat sends, and how often. All are sweeps: late, lost or doubled, they cost nothing.

A message that waited longer than its ``expires`` is thrown away, so nothing piles up behind a busy
worker: the next one finds the same work.
"""

from typing import Final

SWEEP_SECONDS: Final = 1.0
RETENTION_SECONDS: Final = 900.0

BEAT: Final[dict[str, dict[str, object]]] = {
    "proxyconfig.sweep": {
        "task": "proxyconfig.sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": 2.0},
    },
    "proxyconfig.check_clusters": {
        "task": "proxyconfig.check_clusters",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    "tenants.seal_audit": {
        "task": "tenants.seal_audit",
        "schedule": 1.0,
        "options": {"expires": 2.0},
    },
    "tenants.sweep_operations": {
        "task": "tenants.sweep_operations",
        "schedule": 10.0,
        "options": {"expires": 10.0},
    },
    "ragapp.sweep": {
        "task": "ragapp.sweep",
        "schedule": 5.0,
        "options": {"expires": 5.0},
    },
    "ragapp.train_scheduled": {
        "task": "ragapp.train_scheduled",
        "schedule": 30.0,
        "options": {"expires": 30.0},
    },
    **{
        task: {"task": task, "schedule": RETENTION_SECONDS, "options": {"expires": 60.0}}
        for task in (
            "tenants.forget_windows",
            "proxyconfig.expire_plans",
            "proxyconfig.forget_connections",
            "ragapp.sweep_retention",
        )
    },
}
