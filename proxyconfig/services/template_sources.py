"""The pools and ranges that a template names, and how they fit each other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxyconfig.domain.codec import camel
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.template import (
    AddressTemplate,
    Template,
)
from tenants.domain.actor import Actor
from tenants.domain.claims import DEFAULT_VRF
from tenants.domain.notation import sentence
from tenants.errors import InvalidError
from tenants.models.pool import AddressPool, Purpose, VlanRange, VniRange
from tenants.models.tenant import Cluster, Tenant
from tenants.models.vrf import Vrf
from tenants.services import pools

# Any: each kind of row by its name.
Rows = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sources:
    """The rows that a template names."""

    cluster: Cluster
    vrf: Vrf
    pools: Rows
    vlan_ranges: Rows
    vni_ranges: Rows


def sources_of(wanted: Template) -> Sources:
    """The rows that the template names.

    Raises:
        InvalidError: something is not there, or does not fit the rest.
    """
    problems: list[Problem] = []
    cluster = Cluster.objects.filter(name=wanted.cluster).first()
    if cluster is None:
        raise invalid([Problem("cluster", "unknown", f"there is no cluster {wanted.cluster}")])
    vrf_name = wanted.vrf or DEFAULT_VRF
    vrf = Vrf.objects.filter(name=vrf_name).first()
    if vrf is None:
        raise invalid([Problem("vrf", "unknown", f"there is no VRF {vrf_name}")])
    found = Sources(
        cluster,
        vrf,
        pools=_rows(AddressPool, (*wanted.subnet_pools, *wanted.address_pools)),
        vlan_ranges=_rows(VlanRange, wanted.vlan_ranges),
        vni_ranges=_rows(VniRange, wanted.vni_ranges),
    )
    problems.extend(_missing(wanted, found))
    problems.extend(_misfits(wanted, found) if not problems else ())
    if problems:
        raise invalid(problems)
    return found


def _rows(model: type[Any], names: Sequence[str]) -> Rows:  # Any: pools and ranges.
    related = "vrf" if model is AddressPool else "cluster"
    rows = model.objects.filter(name__in=names).select_related(related)
    return {row.name: row for row in rows}


def _missing(wanted: Template, found: Sources) -> Iterator[Problem]:
    for path, names, rows, kind in (
        ("segments", wanted.vlan_ranges, found.vlan_ranges, "VLAN range"),
        ("segments", wanted.vni_ranges, found.vni_ranges, "VNI range"),
        ("segments", wanted.subnet_pools, found.pools, "pool"),
        *(
            (path, [entry.pool for entry in entries], found.pools, "pool")
            for path, entries in _addresses(wanted).items()
        ),
    ):
        for name in names:
            if name not in rows:
                yield Problem(path, "unknown", f"there is no {kind} {name}")


def _misfits(wanted: Template, found: Sources) -> Iterator[Problem]:
    for row in (*found.vlan_ranges.values(), *found.vni_ranges.values()):
        if row.cluster != found.cluster:
            kind = row._meta.verbose_name
            says = f"{kind} {row} is of cluster {row.cluster}, not {found.cluster}"
            yield Problem("segments", "other-cluster", says)
    for name in wanted.subnet_pools:
        pool = found.pools[name]
        if pool.purpose != Purpose.SUBNETS:
            yield Problem("segments", "other-purpose", f"pool {name} is for single addresses")
        elif not wanted.own_vrf and pool.vrf != found.vrf:
            says = f"pool {name} is in VRF {pool.vrf}, not {found.vrf}"
            yield Problem("segments", "other-vrf", says)
    for path, entries in _addresses(wanted).items():
        rows = [found.pools[entry.pool] for entry in entries]
        for pool in rows:
            if pool.purpose != Purpose.ADDRESSES:
                yield Problem(path, "other-purpose", f"pool {pool} is for subnets")
        if path == "snatAddresses" and len({pool.vrf for pool in rows}) > 1:
            yield Problem(path, "other-vrf", "a SNAT pool's addresses are of one VRF")


def _addresses(wanted: Template) -> Mapping[str, Sequence[AddressTemplate]]:
    return {
        "virtualAddresses": wanted.virtual_addresses,
        "snatAddresses": wanted.snat_addresses,
    }


def own_sources(tenant: Tenant, wanted: Template, sources: Sources, actor: Actor) -> Sources:
    """With a VRF of the tenant's own, and in it a pool like each of those for subnets."""
    if not wanted.own_vrf:
        return sources
    vrf = pools.save_vrf(tenant.slug, actor=actor, owner=tenant)
    own = {
        name: pools.save_pool(
            f"{tenant.slug}-{name}"[:63],
            vrf,
            sources.pools[name].prefix,
            Purpose.SUBNETS,
            actor=actor,
        )
        for name in wanted.subnet_pools
    }
    return Sources(
        sources.cluster,
        vrf,
        pools={**sources.pools, **own},
        vlan_ranges=sources.vlan_ranges,
        vni_ranges=sources.vni_ranges,
    )


def invalid(problems: Sequence[Problem]) -> InvalidError:
    """One error for all problems; fields are the template's parts, in snake case."""
    fields: dict[str, list[str]] = {}
    for problem in problems:
        part = problem.path.partition(".")[0].partition("[")[0]
        says = sentence(problem.message)
        fields.setdefault(_NAMES.get(part, part), []).append(says)
    first = problems[0].message.rstrip(".")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidError(
        f"The template cannot be taken: {first}{more}.", fields=fields, code="template.invalid"
    )


_NAMES = {camel(name): name for name in Template.__dataclass_fields__}
