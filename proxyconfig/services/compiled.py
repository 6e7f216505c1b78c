"""What an intent comes to on the proxies of its clusters: asked while a change is planned.

Pure but for the clusters' rows: no proxy is spoken to.
"""

import contextlib
from collections.abc import Iterable
from typing import Any

from proxyconfig.domain.compilers import COMPILERS
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.plan import diff
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.resources import Resource
from proxyconfig.services import environment
from tenants.errors import PermanentError, TransientError
from tenants.models.tenant import Cluster, Tenant


def unsupported(intent: Intent) -> list[Problem]:
    """What the proxies of the intent's clusters cannot do, by name, each complaint once."""
    problems = [
        problem
        for cluster in _clusters(intent)
        if cluster.flavour in COMPILERS
        for problem in COMPILERS[cluster.flavour].unsupported(intent.on(cluster.name))
    ]
    return list(dict.fromkeys(problems))


def proxy_changes(before: Intent, after: Intent, *, tenant: Tenant) -> list[dict[str, Any]]:
    """What a change does to the proxies' objects, by cluster; for storage and pages.

    A cluster without a compiler, or not connected yet, adds nothing: reconciling says so on its
    placement.
    """
    lines: list[dict[str, Any]] = []
    for cluster in _clusters(before, after):
        with contextlib.suppress(PermanentError, TransientError):
            now, was = (_compiled(cluster, intent, tenant) for intent in (after, before))
            lines += [
                {"cluster": cluster.name, **entry.plain()} for entry in diff(now, was).changing
            ]
    return lines


def _compiled(cluster: Cluster, intent: Intent, tenant: Tenant) -> tuple[Resource, ...]:
    if cluster.name not in intent.clusters:
        return ()
    return environment.compile_for(cluster, intent, tenant=tenant)


def _clusters(*intents: Intent) -> Iterable[Cluster]:
    names = {name for intent in intents for name in intent.clusters}
    return Cluster.objects.filter(name__in=names).order_by("name")
