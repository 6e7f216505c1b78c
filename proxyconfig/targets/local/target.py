"""Ingress and egress of one machine as one target."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from proxyconfig.domain.compilers.local import CADDY_SERVER
from proxyconfig.domain.inventory import Inventory
from proxyconfig.domain.plan import Plan, PlanAction, PlanEntry, diff
from proxyconfig.domain.resources import Resource
from proxyconfig.domain.target import Cadence, Footprint, Outcome, Probe
from proxyconfig.targets.local.caddy import Caddy
from proxyconfig.targets.local.caddy_base import base_config
from proxyconfig.targets.local.egress import Egress

_PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Where the local proxy's processes listen; all are paths of unix sockets."""

    caddy_admin: str
    egress_admin: str
    access_log: str


class LocalTarget:
    """Fulfils ``domain.target.Target`` with Caddy and the egress proxy."""

    # Calls take milliseconds here, so a short lease is enough and a killed worker is soon replaced.
    cadence = Cadence(
        check_every=timedelta(seconds=2), lease_seconds=4.0, resend_after=timedelta(seconds=4)
    )

    def __init__(self, settings: LocalSettings) -> None:
        base = base_config(admin_socket=settings.caddy_admin, access_log_socket=settings.access_log)
        self._caddy = Caddy(settings.caddy_admin, base=base)
        self._egress = Egress(settings.egress_admin)

    def upkeep(self) -> tuple[str, ...]:
        """Restore Caddy's base configuration; the egress proxy has none."""
        return self._caddy.upkeep()

    def plan(self, desired: Sequence[Resource], footprint: Footprint, inventory: Inventory) -> Plan:
        """Desired against observed; both halves are read whole, so no inventory is needed."""
        return diff(desired, self.observe(footprint))

    def observe(self, footprint: Footprint) -> tuple[Resource, ...]:
        """The tenant's servers and egress entry, sorted."""
        return tuple(sorted((*self._caddy.observe(footprint), *self._egress.observe(footprint))))

    def apply(self, footprint: Footprint, entries: Sequence[PlanEntry]) -> tuple[Outcome, ...]:
        """Do the changing entries in order; one that fails does not stop the others."""
        return tuple(
            self._caddy.apply(entry)
            if entry.identity.kind == CADDY_SERVER
            else self._egress.apply(entry)
            for entry in entries
            if entry.action is not PlanAction.KEEP
        )

    def probe(self, resources: Sequence[Resource]) -> tuple[Probe, ...]:
        """Connect to each listener, and ask for each egress entry."""
        return tuple(
            _listener_probe(resource)
            if resource.kind == CADDY_SERVER
            else self._egress_probe(resource)
            for resource in resources
        )

    def _egress_probe(self, resource: Resource) -> Probe:
        held = self._egress.observe(Footprint(resource.name))
        is_serving = resource in held
        message = "the egress proxy knows the tenant" if is_serving else "it holds something else"
        return Probe(resource.identity, is_serving, "", message)


def _listener_probe(resource: Resource) -> Probe:
    listens = resource.body.get("listen")
    listen = str(listens[0]) if isinstance(listens, list) and listens else ""
    host, _, port = listen.rpartition(":")
    try:
        address = (host.strip("[]"), int(port))
        socket.create_connection(address, timeout=_PROBE_SECONDS).close()
    except (OSError, ValueError) as error:
        return Probe(resource.identity, False, listen, f"{listen} does not answer: {error}")
    return Probe(resource.identity, True, listen, f"{listen} accepts connections")
