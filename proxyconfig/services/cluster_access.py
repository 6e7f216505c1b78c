"""How Sluice reaches the API server of a cluster: saved by people, checked by workers.

What is saved holds from the next look at a placement on; what a check finds is shown, and tells the
compilers which versions are served.
"""

from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from proxyconfig.domain.compilers import COMPILERS
from proxyconfig.models.access import AccessMethod, ClusterAccess, DriftPolicy
from proxyconfig.services import sealing
from proxyconfig.targets.kube import preflight
from proxyconfig.targets.kube.connection import Connection
from tenants import audit, wake
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.roles import Action
from tenants.errors import InvalidError, PermanentError, SluiceError, TransientError
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Cluster, Flavour

CHECK_CLUSTER = "proxyconfig.check_cluster"
# Flavours whose proxy is programmed through an API server.
KUBERNETES = frozenset({Flavour.GATEWAY.value, Flavour.SPK.value, Flavour.BNK.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person enters.

    Attributes:
        credential: the kubeconfig or the token; "" keeps the one that is saved.
        authority: PEM of who signs the server's certificate; "" for those that the system trusts.
    """

    method: AccessMethod
    credential: str = field(default="", repr=False)
    server: str = ""
    authority: str = ""
    drift_policy: DriftPolicy = DriftPolicy.HEAL
    gateway_class: str = ""
    proxy_namespaces: tuple[str, ...] = ()


def find(cluster: Cluster) -> ClusterAccess | None:
    """What is saved for a cluster; in any scope."""
    with platform_scope("cluster access"):
        return ClusterAccess.objects.select_related("cluster").filter(cluster=cluster).first()


def connected_to(cluster: Cluster) -> ClusterAccess:
    """What is saved for a cluster, as far as a worker found out what it serves.

    Raises:
        TransientError: nothing is saved, or nothing was found out yet (``cluster.not-connected``).
    """
    row = find(cluster)
    if row is None or not row.served:
        says = f"Cluster {cluster} is not connected yet. See its page under Clusters."
        raise TransientError(says, code="cluster.not-connected")
    return row


def save(cluster: Cluster, wish: Wish, *, actor: Actor) -> ClusterAccess:
    """Let Sluice reach the cluster so, and have a worker check it.

    Raises:
        ForbiddenError: the actor is no platform administrator.
        InvalidError: nothing can be reached with it; names the field.
        PermanentError: credentials cannot be encrypted here (``encryption-key``).
    """
    require(actor, Action.MANAGE_PLATFORM)
    if cluster.flavour not in KUBERNETES:
        raise InvalidError(f"Cluster {cluster} has no API server: its proxy is local.")
    with platform_scope("cluster access"), transaction.atomic():
        # The access need not be there yet, so the cluster's row is the lock; ``rotate`` takes the
        # access's own.
        Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
        rows = ClusterAccess.objects.select_for_update(no_key=True)
        row = rows.filter(cluster=cluster).first() or ClusterAccess(cluster=cluster)
        reached = ""
        is_kept = not wish.credential and bool(row.credential) and row.method == wish.method
        if is_kept and (row.server, row.authority) != (wish.server, wish.authority):
            # Else a saved token could be sent to whichever server somebody names.
            raise _at("credential", "Enter the credential again: the API server is another one.")
        if not is_kept:
            row.server, row.authority = wish.server, wish.authority
            reached = _reached(wish)
            row.credential = sealing.seal(wish.credential) if wish.credential else ""
            row.version, row.served = "", []  # Of another server, or seen by somebody else.
        row.method = wish.method.value
        row.drift_policy = wish.drift_policy.value
        row.gateway_class = wish.gateway_class
        row.proxy_namespaces = list(wish.proxy_namespaces)
        row.saved_at = timezone.now()
        row.save()
        audit.record(
            actor,
            "cluster.connected",
            cluster,
            detail={
                "method": row.method,
                "server": reached or row.server,
                "credential": "kept" if is_kept else "new" if row.credential else "none",
                "drift_policy": row.drift_policy,
            },
        )
    wake.send(CHECK_CLUSTER, cluster.pk)
    return row


def _reached(wish: Wish) -> str:
    """The API server's address; "" for the cluster that the workers are in, which they alone know.

    Raises:
        InvalidError: nothing can be reached with it.
    """
    if wish.method is AccessMethod.IN_CLUSTER:
        return ""
    return _connection(wish.method, wish.server, wish.authority, wish.credential).server


def request_check(cluster: Cluster, *, actor: Actor) -> None:
    """Have a worker check the cluster now.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        InvalidError: nothing is saved.
    """
    require(actor, Action.MANAGE_ADDRESS_SPACE)
    with platform_scope("cluster access"):
        if not ClusterAccess.objects.filter(cluster=cluster).update(saved_at=timezone.now()):
            raise InvalidError(f"Cluster {cluster} is not connected yet.")
    wake.send(CHECK_CLUSTER, cluster.pk)


def check(cluster_id: int) -> None:
    """Ask the API server who it is, what it serves and what Sluice may do; a worker's work."""
    with platform_scope("cluster check"):
        rows = ClusterAccess.objects.select_related("cluster")
        row = rows.filter(cluster_id=cluster_id).first()
    if row is None:
        return
    try:
        found = _look(row)
    except SluiceError as error:
        found = preflight.Report(problems=(preflight.Missing("Connection", error.message),))
    except Exception as error:  # The page must not wait for ever for a check that broke.
        says = f"The check failed: {type(error).__name__}. See the worker's log."
        _store(row, preflight.Report(problems=(preflight.Missing("Check", says),)))
        raise
    _store(row, found)


def _store(row: ClusterAccess, found: preflight.Report) -> None:
    with platform_scope("cluster check"):
        news = {
            "checked_at": timezone.now(),
            "problems": [{"what": each.what, "message": each.message} for each in found.problems],
        }
        if found.version:
            news |= {"version": found.version, "served": [list(kind) for kind in found.served]}
        # One that was saved meanwhile has a check of its own.
        ClusterAccess.objects.filter(pk=row.pk, saved_at=row.saved_at).update(**news)


def _look(row: ClusterAccess) -> preflight.Report:
    if row.cluster.flavour not in COMPILERS:
        says = "This version of Sluice cannot program this kind of proxy yet."
        return preflight.Report(problems=(preflight.Missing("Proxy", says),))
    return preflight.check(
        connection_of(row),
        gateway_class=row.gateway_class,
        proxy_namespaces=row.proxy_namespaces,
    )


def connected() -> list[int]:
    """The ids of all clusters that have an API server. Opens its own scope."""
    with platform_scope("cluster checks"):
        return list(ClusterAccess.objects.values_list("cluster_id", flat=True))


def rotate() -> int:
    """Encrypt every credential with the first key; how many there were.

    Raises:
        PermanentError: a credential cannot be read (``encryption-key``); none was changed.
    """
    with platform_scope("rotate encryption"), transaction.atomic():
        rows = list(ClusterAccess.objects.select_for_update(no_key=True).exclude(credential=""))
        for row in rows:
            row.credential = sealing.reseal(row.credential)
        ClusterAccess.objects.bulk_update(rows, ["credential"])
    return len(rows)


def connection_of(row: ClusterAccess) -> Connection:
    """With the credential in it: never shown, logged or kept.

    Raises:
        PermanentError: no key reads the credential (``encryption-key``), or it is none.
    """
    credential = sealing.unseal(row.credential) if row.credential else ""
    try:
        return _connection(AccessMethod(row.method), row.server, row.authority, credential)
    except InvalidError as error:
        raise PermanentError(error.message, code=error.code) from error


def _connection(method: AccessMethod, server: str, authority: str, credential: str) -> Connection:
    if method is AccessMethod.IN_CLUSTER:
        return Connection.in_cluster()
    if not credential.strip():
        raise _at("credential", "Enter the kubeconfig or the token.")
    if method is AccessMethod.KUBECONFIG:
        try:
            return Connection.from_kubeconfig(credential)
        except InvalidError as error:
            raise _at("credential", error.message) from error
    try:
        return Connection(
            server=server.rstrip("/"), certificate_authority=authority, token=credential.strip()
        )
    except InvalidError as error:
        raise _at("server", error.message) from error


def _at(field: str, says: str) -> InvalidError:
    return InvalidError(says, fields={field: [says]})
