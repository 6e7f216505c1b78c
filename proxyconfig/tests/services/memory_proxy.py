"""A proxy of a few lines: it holds what it is told, and does nothing with it."""

import hashlib
from collections.abc import Callable, Sequence

from proxyconfig.domain.conditions import Reason
from proxyconfig.domain.inventory import Inventory, Record
from proxyconfig.domain.plan import Plan, PlanAction, PlanEntry, diff
from proxyconfig.domain.resources import Identity, Resource
from proxyconfig.domain.target import Footprint, Outcome, OutcomeStatus, Probe
from proxyconfig.targets.local import LocalTarget


def record_of(resource: Resource) -> Record:
    """What the memory proxy keeps in mind of a resource that it was told."""
    sent = hashlib.sha256(resource.content).hexdigest()
    return Record(uid=f"uid-{resource.name}", sent=sent, owned="all", generation=1)


class MemoryTarget:
    """One cluster's proxy, with a hook before each call."""

    cadence = LocalTarget.cadence

    def __init__(self) -> None:
        self.held: dict[Identity, Resource] = {}
        self.inventories: list[Inventory] = []
        self.is_pending = False
        self.before: Callable[[str], None] = lambda name: None

    @property
    def names(self) -> list[str]:
        """What it holds, by name."""
        return sorted(identity.name for identity in self.held)

    def upkeep(self) -> tuple[str, ...]:
        self.before("upkeep")
        return ()

    def plan(self, desired: Sequence[Resource], footprint: Footprint, inventory: Inventory) -> Plan:
        self.before("plan")
        self.inventories.append(dict(inventory))
        return diff(desired, self.observe(footprint))

    def observe(self, footprint: Footprint) -> tuple[Resource, ...]:
        return tuple(
            sorted(
                resource
                for resource in self.held.values()
                if resource.name.removeprefix("sluice-").partition(".")[0] == footprint.tenant
            )
        )

    def apply(self, footprint: Footprint, entries: Sequence[PlanEntry]) -> tuple[Outcome, ...]:
        self.before("apply")
        for entry in entries:
            if entry.action is PlanAction.DELETE:
                self.held.pop(entry.identity, None)
            elif entry.desired is not None:
                self.held[entry.identity] = entry.desired
        return tuple(
            Outcome(
                entry.identity,
                entry.action,
                OutcomeStatus.DONE,
                Reason.PROGRAMMED.value,
                record=None if entry.desired is None else record_of(entry.desired),
            )
            for entry in entries
        )

    def probe(self, resources: Sequence[Resource]) -> tuple[Probe, ...]:
        self.before("probe")
        return tuple(
            Probe(resource.identity, resource.identity in self.held, "", "held", self.is_pending)
            for resource in resources
        )
