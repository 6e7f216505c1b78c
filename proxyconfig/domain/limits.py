"""What a change may open by rule in a tenant; beyond it the change waits for a person.

Data of each tenant, kept as JSON: ``codec.to_plain`` writes it, ``codec.from_plain`` reads it.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from proxyconfig.domain import fields
from proxyconfig.domain.address_sets import AddressSet
from proxyconfig.domain.fields import Name, PortRange, Protocol, Says

Destination = Annotated[str, fields.Limits(form="destination", longest=255)]
_Prefix4 = Annotated[int, fields.Limits(minimum=0, maximum=32)]
_Prefix6 = Annotated[int, fields.Limits(minimum=0, maximum=128)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The guardrails of one tenant. An empty list allows any."""

    open_ports_from: Annotated[
        Annotated[int, fields.Limits(minimum=1, maximum=65536)],
        Says("Lowest port on which any client may be let in; 65536: none."),
    ] = 1024
    source_prefix_v4: Annotated[
        _Prefix4,
        Says("Below that port: as many public IPv4 clients as one network of this length."),
    ] = 8
    source_prefix_v6: Annotated[_Prefix6, Says("The same for IPv6.")] = 16
    destination_prefix_v4: Annotated[
        _Prefix4, Says("As many public IPv4 destinations as one network of this length.")
    ] = 8
    destination_prefix_v6: Annotated[_Prefix6, Says("The same for IPv6.")] = 16
    ports: Annotated[tuple[PortRange, ...], Says("Ports of listeners.")] = ()
    protocols: Annotated[tuple[Protocol, ...], Says("Protocols of listeners.")] = ()
    destinations: Annotated[
        tuple[Destination, ...], Says("Hosts, *.suffixes and networks outward.")
    ] = ()
    pools: Annotated[tuple[Name, ...], Says("SNAT pools outward.")] = ()
    deletes: Annotated[
        Annotated[int, fields.Limits(minimum=0, maximum=100_000)],
        Says("Most objects and rules that one change may delete."),
    ] = 10
    changes_per_hour: Annotated[
        Annotated[int, fields.Limits(minimum=0, maximum=100_000)],
        Says("Changes within an hour from which on each further one waits; 0: each waits."),
    ] = 1000

    def has_too_many_sources(self, public: AddressSet) -> bool:
        """True when these public clients are more than a port below ``open_ports_from`` takes."""
        return _is_wider(public, self.source_prefix_v4, self.source_prefix_v6)

    def has_too_many_destinations(self, public: AddressSet) -> bool:
        """True when these public destinations are too many for a rule to approve."""
        return _is_wider(public, self.destination_prefix_v4, self.destination_prefix_v6)


DEFAULT_LIMITS: Final = Limits()


def _is_wider(addresses: AddressSet, prefix_v4: int, prefix_v6: int) -> bool:
    widest = {4: 1 << (32 - prefix_v4), 6: 1 << (128 - prefix_v6)}
    return any(addresses.size(version) > most for version, most in widest.items())
