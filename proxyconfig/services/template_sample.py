"""A template tried on a sample tenant that is not stored: what keeps it from making any."""

import ipaddress
from collections.abc import Iterator, Sequence

from proxyconfig.domain import template
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.template import (
    AddressTemplate,
    Taken,
    TakenAddress,
    TakenSegment,
    Template,
)
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.services import compiled
from proxyconfig.services.template_sources import Rows, Sources, invalid, sources_of
from tenants.errors import ConflictError
from tenants.models.pool import Purpose

_SAMPLE = "sample"


def complaints(wanted: Template) -> Iterator[Problem]:
    """Why no tenant could be made from the template; tried on a sample that is not stored."""
    problems = list(template.complaints(wanted))
    yield from problems
    if problems:
        return
    try:
        intent = template.expand(wanted, _SAMPLE, _sample(wanted, sources_of(wanted)))
    except ConflictError as error:
        yield Problem("", error.code, error.message.rstrip("."))
        return
    for problem in blocking([*validate(intent), *compiled.unsupported(intent)]):
        yield Problem(_template_path(problem.path), problem.code, problem.message)


def _sample(wanted: Template, sources: Sources) -> Taken:
    """The first of everything, whoever has it.

    Raises:
        InvalidError: a pool or range is too small for one tenant.
    """
    tags = {name: iter(range(row.first, row.last + 1)) for name, row in sources.vlan_ranges.items()}
    vnis = {name: iter(range(row.first, row.last + 1)) for name, row in sources.vni_ranges.items()}
    subnets = _Cutter(sources.pools)
    segments = []
    for place, segment in enumerate(wanted.segments):
        path = f"segments[{place}]"
        vlan_range = sources.vlan_ranges.get(segment.vlan_range or "")
        segments.append(
            TakenSegment(
                trunk=vlan_range.trunk if vlan_range else "",
                tag=_first(tags[segment.vlan_range], path) if segment.vlan_range else None,
                vni=_first(vnis[segment.vni_range], path) if segment.vni_range else None,
                prefixes=tuple(
                    subnets.cut(subnet.pool, subnet.length, path) for subnet in segment.subnets
                ),
            )
        )
    return Taken(
        segments=tuple(segments),
        virtual_addresses=_sample_addresses(
            wanted.virtual_addresses, subnets, sources, "virtualAddresses"
        ),
        snat_addresses=_sample_addresses(wanted.snat_addresses, subnets, sources, "snatAddresses"),
    )


def _sample_addresses(
    wanted: Sequence[AddressTemplate], cutter: "_Cutter", sources: Sources, path: str
) -> tuple[TakenAddress, ...]:
    found = []
    for entry in wanted:
        pool = sources.pools[entry.pool]
        for _ in range(entry.count):
            text = cutter.cut(entry.pool, ipaddress.ip_network(pool.prefix).max_prefixlen, path)
            found.append(TakenAddress(text.partition("/")[0], pool.vrf.name))
    return tuple(found)


class _Cutter:
    """Cuts prefixes off pools, one after the other."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._next: dict[str, int] = {}

    def cut(self, name: str, length: int, path: str) -> str:
        """The next prefix of this length; of single addresses the first is left out.

        Raises:
            InvalidError: the pool has no room for it.
        """
        whole = ipaddress.ip_network(self._rows[name].prefix)
        longest = whole.max_prefixlen
        size = 1 << max(longest - length, 0)
        is_address = self._rows[name].purpose == Purpose.ADDRESSES
        edge = 1 if is_address and whole.num_addresses > 2 else 0
        start = self._next.get(name, int(whole.network_address) + edge)
        start = -(-start // size) * size
        last = int(whole.broadcast_address) - (edge if whole.version == 4 else 0)
        if not whole.prefixlen <= length <= longest or start + size - 1 > last:
            says = f"pool {name} ({whole}) has no room for /{length}"
            raise invalid([Problem(path, "pool-full", says)])
        self._next[name] = start + size
        return f"{type(whole.network_address)(start)}/{length}"


def _first(numbers: Iterator[int], path: str) -> int:
    number = next(numbers, None)
    if number is None:
        raise invalid([Problem(path, "pool-full", "the range has too few numbers")])
    return number


# The parts of an intent, and the parts of a template that they come from.
_PATHS = {
    "selfIps": "segments",
    "snatPools": "snatAddresses",
    "ingressPolicies": "ingress",
    "listeners": "ingress",
    "egressPolicies": "egress",
}


def _template_path(path: str) -> str:
    part = path.removeprefix("spec.").partition(".")[0].partition("[")[0]
    return _PATHS.get(part, part)
