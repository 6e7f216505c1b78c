"""The connections of one run, summed up for the trace page: what came in, what went out."""

from collections.abc import Sequence
from dataclasses import dataclass

from proxyconfig.facade import ConnectionView
from tenants.domain.states import Direction, Verdict


@dataclass(frozen=True, slots=True)
class Traffic:
    """Everything that the proxies reported under a run's trace id, oldest first."""

    all: Sequence[ConnectionView]

    @property
    def inbound(self) -> list[ConnectionView]:
        """Through the tenant's own address."""
        return [line for line in self.all if line.direction == Direction.IN]

    @property
    def outbound(self) -> list[ConnectionView]:
        """Through the tenant's egress."""
        return [line for line in self.all if line.direction == Direction.OUT]

    @property
    def allowed(self) -> int:
        """How many went out."""
        return sum(line.verdict == Verdict.ALLOWED for line in self.outbound)

    @property
    def denied(self) -> int:
        """How many were refused."""
        return sum(line.verdict == Verdict.DENIED for line in self.outbound)

    @property
    def bytes_sent(self) -> int:
        """Bytes that left the cluster."""
        return sum(line.bytes_sent for line in self.outbound)

    @property
    def bytes_received(self) -> int:
        """Bytes that came back."""
        return sum(line.bytes_received for line in self.outbound)

    @property
    def destinations(self) -> list[str]:
        """Hosts and ports, each once."""
        names = (f"{line.destination_host}:{line.destination_port}" for line in self.outbound)
        return list(dict.fromkeys(names))

    @property
    def snat(self) -> str:
        """The addresses that the far sides saw."""
        seen = (line.snat_address for line in self.outbound if line.snat_address)
        return ", ".join(dict.fromkeys(seen))
