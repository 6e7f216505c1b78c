"""A proxy of a few lines: it holds what it is told, and does nothing with it."""

from collections.abc import Callable, Sequence

from proxyconfig.domain.conditions import Reason
from proxyconfig.domain.plan import PlanAction, PlanEntry
from proxyconfig.domain.resources import Identity, Resource
from proxyconfig.domain.target import Footprint, Outcome, OutcomeStatus, Probe
from proxyconfig.targets.local import LocalTarget


class MemoryTarget:
    """One cluster's proxy, with a hook before each call."""

    cadence = LocalTarget.cadence

    def __init__(self) -> None:
        self.held: dict[Identity, Resource] = {}
        self.before: Callable[[str], None] = lambda name: None

    @property
    def names(self) -> list[str]:
        """What it holds, by name."""
        return sorted(identity.name for identity in self.held)

    def upkeep(self) -> tuple[str, ...]:
        self.before("upkeep")
        return ()

    def observe(self, footprint: Footprint) -> tuple[Resource, ...]:
        self.before("observe")
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
            Outcome(entry.identity, entry.action, OutcomeStatus.DONE, Reason.PROGRAMMED.value)
            for entry in entries
        )

    def probe(self, resources: Sequence[Resource]) -> tuple[Probe, ...]:
        self.before("probe")
        return tuple(
            Probe(resource.identity, resource.identity in self.held, "", "held")
            for resource in resources
        )
