"""The port between reconciling and a proxy: what every target can do.

A target does I/O and nothing else: it knows no rows and decides nothing. The reconcile service
drives it: upkeep, plan, apply, plan again, probe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, Self

from proxyconfig.domain.intent import Intent
from proxyconfig.domain.inventory import Inventory, Record
from proxyconfig.domain.plan import Plan, PlanAction, PlanEntry
from proxyconfig.domain.resources import Identity, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often a kind of proxy is looked at, and how long one worker keeps it.

    Attributes:
        check_every: between two looks at a proxy that holds what it should; drift is healed one
            look later at most.
        lease_seconds: renewed while work goes on; the placement of a worker that was killed waits
            for its end.
        resend_after: how long a sent message may take before the sweep sends another one.
    """

    check_every: timedelta
    lease_seconds: float
    resend_after: timedelta


# For placements whose proxy this version cannot speak to: there is nothing to look at.
UNKNOWN_CADENCE = Cadence(
    check_every=timedelta(seconds=60), lease_seconds=10.0, resend_after=timedelta(seconds=30)
)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What on a proxy counts as one tenant's, so that nothing of it stays behind unseen.

    Attributes:
        tenant: the slug.
        virtual_addresses: an object of anyone's that listens on one of these is the tenant's.
    """

    tenant: str
    virtual_addresses: tuple[str, ...] = ()

    @classmethod
    def of(cls, intent: Intent) -> Self:
        """The footprint of one cluster's part of an intent: an address without a policy counts, for
        it has to stay silent.
        """
        addresses = {entry.address for entry in intent.virtual_addresses}
        addresses |= {listener.virtual_address for listener in intent.listeners}
        return cls(intent.tenant, tuple(sorted(addresses)))


class OutcomeStatus(StrEnum):
    """How the application of one entry ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one plan entry.

    Attributes:
        status: refused will be refused again until the intent changes; failed may work next time.
        reason: a ``conditions.Reason`` value.
        message: for people; "" when done.
        record: for the inventory, once done; None where nothing is left or nothing is kept in mind.
    """

    identity: Identity
    action: PlanAction
    status: OutcomeStatus
    reason: str
    message: str = ""
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether one object does its work now: a listener accepts, an egress tenant is known.

    Attributes:
        address: what was tried, ``host:port``; "" where there is none.
        is_pending: the proxy has not come to a verdict yet; no failure.
    """

    identity: Identity
    is_serving: bool
    address: str
    message: str
    is_pending: bool = False


class Target(Protocol):
    """A proxy that can be observed and changed.

    Each method raises ``TransientError`` when the proxy cannot be reached or is busy (try again)
    and ``PermanentError`` when it answers what no retry will change, such as a wrong version.
    A refusal of one object is an ``Outcome``, not an exception.
    """

    @property
    def cadence(self) -> Cadence:
        """How often it is looked at; the same for all targets of one kind."""
        ...

    def upkeep(self) -> tuple[str, ...]:
        """Repair what belongs to no tenant (base configuration).

        Returns:
            One sentence per thing that had to be repaired; empty when all was well.
        """
        ...

    def plan(self, desired: Sequence[Resource], footprint: Footprint, inventory: Inventory) -> Plan:
        """What turns what the proxy holds for the tenant now into ``desired``; writes nothing.

        Args:
            inventory: the records that earlier outcomes and plans gave; may lack any of them.
        """
        ...

    def apply(self, footprint: Footprint, entries: Sequence[PlanEntry]) -> tuple[Outcome, ...]:
        """Do the entries in their order; keeps are ignored.

        Returns:
            One outcome per changing entry, in order. Other tenants' open connections go on.
        """
        ...

    def probe(self, resources: Sequence[Resource]) -> tuple[Probe, ...]:
        """Try what was programmed, one probe per resource that can be tried, in order."""
        ...
