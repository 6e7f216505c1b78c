"""A Kubernetes API server as a target: what a tenant should hold there, by server-side apply."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from proxyconfig.domain import labels
from proxyconfig.domain.conditions import Reason
from proxyconfig.domain.inventory import Inventory, Record
from proxyconfig.domain.plan import Plan, PlanAction, PlanEntry
from proxyconfig.domain.resources import Identity, Resource, by_identity
from proxyconfig.domain.target import Cadence, Footprint, Outcome, Probe
from proxyconfig.targets.kube import compare, verdicts
from proxyconfig.targets.kube.apply import Applier
from proxyconfig.targets.kube.client import Object, client_for
from proxyconfig.targets.kube.connection import Connection
from proxyconfig.targets.kube.discovery import ServedKind
from proxyconfig.targets.kube.errors import ObjectFailedError
from proxyconfig.targets.kube.kinds import KINDS, Kind, in_order
from proxyconfig.targets.kube.live import Live
from proxyconfig.targets.kube.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeSettings:
    """One cluster.

    Attributes:
        kinds: group and kind of all that Sluice may ever write there.
        takes_over: a field of one of Sluice's objects that another manager took is taken back by
            force; else that is a conflict, which names the manager.
    """

    connection: Connection
    kinds: Sequence[Kind] = KINDS
    takes_over: bool = False


class KubeTarget:
    """Fulfils ``domain.target.Target`` with one API server.

    Every resource is a whole object, with apiVersion, kind and metadata, and carries the labels of
    ``domain.labels``.
    """

    cadence = Cadence(
        check_every=timedelta(seconds=30), lease_seconds=15.0, resend_after=timedelta(seconds=15)
    )

    def __init__(self, settings: KubeSettings) -> None:
        self._settings = settings
        self._client = client_for(settings.connection)

    def upkeep(self) -> tuple[str, ...]:
        """Nothing: a cluster has no base configuration of Sluice's."""
        return ()

    def plan(self, desired: Sequence[Resource], footprint: Footprint, inventory: Inventory) -> Plan:
        """One list of metadata for each kind; objects are read only where that shows a change.

        Raises:
            TransientError: the API server cannot be reached or used now.
            PermanentError: it does not let Sluice in.
            ValueError: a resource lacks the tenant's labels, so it would never be found again.
        """
        wanted = by_identity(desired)
        _check_labels(desired, footprint.tenant)
        listed = self._listed(footprint.tenant, {*wanted, *inventory}, inventory)
        manager = labels.manager_of(footprint.tenant)
        entries = [
            *(
                self._wanted(resource, listed.get(identity), inventory.get(identity), manager)
                for identity, resource in wanted.items()
            ),
            *(
                self._unwanted(identity, listed.get(identity), inventory.get(identity), manager)
                for identity in {*listed, *inventory} - wanted.keys()
            ),
        ]
        return Plan(in_order([entry for entry in entries if entry is not None]))

    def apply(self, footprint: Footprint, entries: Sequence[PlanEntry]) -> tuple[Outcome, ...]:
        """Do the changing entries in order; one that is not taken does not stop the others."""
        applier = Applier(
            self._client,
            manager=labels.manager_of(footprint.tenant),
            takes_over=self._settings.takes_over,
        )
        return tuple(
            applier.apply(entry) for entry in entries if entry.action is not PlanAction.KEEP
        )

    def probe(self, resources: Sequence[Resource]) -> tuple[Probe, ...]:
        """What the proxy's own status says about each Gateway and route."""
        return tuple(
            self._probe(resource) for resource in resources if verdicts.is_judged(resource.kind)
        )

    def _listed(
        self, tenant: str, known: set[Identity], inventory: Inventory
    ) -> dict[Identity, Live]:
        """All that carries the tenant's label, of every kind that may be written.

        Raises:
            ObjectFailedError: a kind of which there are objects on record is not served now.
        """
        manager = labels.manager_of(tenant)
        found: dict[Identity, Live] = {}
        for group, name in self._settings.kinds:
            kind = self._client.discovery.kind(group, name)
            namespaces = {entry.namespace for entry in known if entry[:2] == (group, name)}
            if kind is None:
                if any(entry[:2] == (group, name) for entry in inventory):
                    raise _gone(name)
                continue
            for metadata in self._metadata(kind, tenant, namespaces):
                live = Live.of(metadata, manager=manager)
                found[Identity(group, name, live.namespace, live.name)] = live
        return found

    def _metadata(self, kind: ServedKind, tenant: str, namespaces: set[str]) -> Iterator[Object]:
        selector = f"{labels.TENANT}={tenant}"
        try:
            yield from self._client.metadata(kind, selector=selector)
        except ObjectFailedError as error:
            if error.data["reason"] == Reason.KIND_MISSING:
                self._client.discovery.forget()
                return
            if error.data["reason"] != Reason.FORBIDDEN or not kind.is_namespaced:
                raise
            # It may look into single namespaces only.
            for namespace in sorted(namespaces):
                yield from self._client.metadata(kind, selector=selector, namespace=namespace)

    def _wanted(
        self, resource: Resource, live: Live | None, known: Record | None, manager: str
    ) -> PlanEntry:
        if live is None and known is None:
            return compare.created(resource)
        if live is not None and known is not None and compare.is_unmoved(resource, live, known):
            return compare.kept(resource, known)
        body = self._read(resource.identity, compare.version_of(resource))
        if body is None:
            return compare.created(resource)
        now = Live.of(body["metadata"], manager=manager)
        if live is None and now.own is None:
            # Somebody else's has the name; applying says so, and changes nothing.
            return compare.created(resource)
        return compare.compared(resource, body, now, known)

    def _unwanted(
        self, identity: Identity, live: Live | None, known: Record | None, manager: str
    ) -> PlanEntry | None:
        if live is None:  # On record, and gone or without its label.
            body = self._read(identity, "")
            live = None if body is None else Live.of(body["metadata"], manager=manager)
        if live is None or not live.is_ours(known):
            return None
        return compare.unwanted(identity, live)

    def _read(self, identity: Identity, version: str) -> Object | None:
        kind = self._client.discovery.kind(identity.group, identity.kind)
        if kind is None:
            return None
        return self._client.read(
            kind, version=version, namespace=identity.namespace, name=identity.name
        )

    def _probe(self, resource: Resource) -> Probe:
        body = self._read(resource.identity, compare.version_of(resource))
        if body is None:
            return Probe(resource.identity, False, "", f"{resource.identity} is not there")
        judged = verdicts.judge(resource.kind, body)
        return Probe(
            resource.identity,
            judged.verdict is Verdict.GOOD,
            judged.address,
            f"{resource.identity}: {judged.words}",
            is_pending=judged.verdict is Verdict.PENDING,
        )


def _gone(kind: str) -> ObjectFailedError:
    """A server that starts, or a definition that is replaced: what is on record is still there."""
    return ObjectFailedError(
        f"{kind}: the cluster does not serve this kind now, and has objects of it.",
        data={"reason": Reason.KIND_MISSING.value},
    )


def _check_labels(desired: Sequence[Resource], tenant: str) -> None:
    needed = labels.of(tenant)
    for resource in desired:
        metadata = resource.body.get("metadata")
        found = metadata.get("labels") if isinstance(metadata, dict) else None
        if not isinstance(found, dict) or not needed.items() <= found.items():
            raise ValueError(f"{resource.identity} lacks the labels {needed}")
