"""Tenants made from templates: one transaction, one plan, everything allocated.

A new tenant is granted the pools and ranges that its template names, whole, so that its NetOps can
take more of them later; the plan then goes through the same gates as any other change.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from proxyconfig.domain import objects, template
from proxyconfig.domain.codec import Unreadable, camel
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.template import (
    AddressTemplate,
    SegmentTemplate,
    Taken,
    TakenAddress,
    TakenSegment,
    Template,
    named,
)
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.models import Plan
from proxyconfig.services import compiled, plans
from proxyconfig.services.limits import set_limits
from tenants import audit, locks
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.claims import DEFAULT_VRF
from tenants.domain.roles import Action, Role
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models.pool import AddressPool, Purpose, VlanRange, VniRange
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.template import TenantTemplate
from tenants.models.tenant import Cluster, Tenant
from tenants.models.vrf import Vrf
from tenants.services import allocation, conflicts, pools, quotas
from tenants.services.allocation import Wish
from tenants.services.people import find_user
from tenants.services.tenants import add_member, create_tenant

# Any: each kind of row by its name.
_Rows = dict[str, Any]
_SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who gets a role in the new tenant."""

    username: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Where to begin the search for what is free; where the last one ended when None."""

    vlan_tag: int | None = None
    vni: int | None = None
    subnet: str | None = None
    virtual_address: str | None = None
    snat_address: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A new tenant and the plan of its network, which is in force unless it waits."""

    tenant: Tenant
    plan: Plan


@dataclass(frozen=True, slots=True)
class _Sources:
    """The rows that a template names."""

    cluster: Cluster
    vrf: Vrf
    pools: _Rows
    vlan_ranges: _Rows
    vni_ranges: _Rows


def find_template(name: str) -> TenantTemplate:
    """The template of that name.

    Raises:
        NotVisibleError: there is none.
    """
    row = TenantTemplate.objects.filter(name=name).first()
    if row is None:
        raise NotVisibleError(f"There is no template {name}. List the templates to see which are.")
    return row


def template_of(row: TenantTemplate) -> Template:
    """What a stored template says.

    Raises:
        InvalidError: it cannot be read any more.
    """
    problems: list[Problem] = []
    try:
        return template.read(row.spec, problems=problems, is_strict=False)
    except Unreadable:
        raise InvalidError(f"Template {row} cannot be read: {problems[0]}.") from None


def read_template(stored: JsonValue) -> Template:
    """A template from its JSON mapping.

    Raises:
        InvalidError: with the complaints by field.
    """
    problems: list[Problem] = []
    try:
        return template.read(stored, problems=problems)
    except Unreadable:
        raise _invalid(problems) from None


def save_template(
    name: str,
    wanted: Template,
    *,
    actor: Actor,
    description: str = "",
    row: TenantTemplate | None = None,
) -> TenantTemplate:
    """Make a template, or change ``row``; tenants that were made from it stay as they are.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        InvalidError: it names what is not there, or no tenant could be made from it.
        ConflictError: the name is taken.
    """
    require(actor, Action.MANAGE_ADDRESS_SPACE)
    wanted = template.without_grants(read_template(template.plain(wanted)))
    if problems := list(_complaints(wanted)):
        raise _invalid(problems)
    saved = TenantTemplate() if row is None else copy(row)  # A refusal leaves ``row`` as it is.
    event = "template.created" if saved.pk is None else "template.changed"
    saved.name, saved.description, saved.spec = name, description, template.plain(wanted)
    taken = conflicts.Taken(f"The name {name}", lambda: TenantTemplate.objects.filter(name=name))
    with platform_scope("templates"):
        conflicts.save(saved, actor=actor, taken={"tenants_tenanttemplate_name_key": taken})
        audit.record(actor, event, saved, detail={"spec": saved.spec})
    return saved


def delete_template(row: TenantTemplate, *, actor: Actor) -> None:
    """Delete a template; tenants that were made from it stay as they are.

    Raises:
        ForbiddenError: the actor may not manage the address space.
    """
    require(actor, Action.MANAGE_ADDRESS_SPACE)
    with platform_scope("templates"):
        audit.record(actor, "template.deleted", row, detail={"spec": row.spec})
        row.delete()


def create_tenant_from(
    row: TenantTemplate,
    *,
    slug: str,
    name: str,
    actor: Actor,
    reason: str,
    members: Sequence[Member] = (),
    begin: Begin | None = None,
) -> Created:
    """A tenant with its network, policies, guardrails, quotas and members; or nothing at all.

    Raises:
        ForbiddenError: the actor may not make tenants.
        InvalidError: no reason was given, or what the template names is not there any more.
        NotVisibleError: there is no user of a member's name.
        ConflictError: the name is taken, or a pool or range has nothing free (``pool-full``).
    """
    require(actor, Action.CREATE_TENANT)
    if not reason.strip():
        message = "Say why: the reason stands in the audit log and in the tenant's history."
        raise InvalidError(message, fields={"reason": [message]}, code="reason-missing")
    wanted = template_of(row)
    with transaction.atomic():
        with platform_scope("tenant from template"):
            sources = _sources(wanted)
            users = [(find_user(member.username), member.role) for member in members]
            tenant = create_tenant(slug, name, actor=actor)
            locks.tenant(tenant.pk)
            for user, role in users:
                add_member(tenant, user, role, actor=actor)
            for quota in wanted.quotas:
                quotas.set_limit(tenant, quota.resource, quota.limit, actor=actor)
            sources = _own_sources(tenant, wanted, sources, actor)
            _grant(tenant, wanted, sources, actor)
        with tenant_scope(tenant.pk, user_id=actor.user_id):
            set_limits(
                tenant,
                wanted.limits,
                auto_apply=wanted.auto_apply,
                actor=actor,
                reason=f"Template {row.name}",
            )
            taken = _allocate(tenant, wanted, sources, begin or Begin())
            intent = template.expand(wanted, tenant.slug, taken)
            plan = plans.propose(
                tenant,
                lambda known: objects.put(known, *objects.objects(intent).values()),
                actor=actor,
                reason=reason,
            )
            tenant.refresh_from_db()
    return Created(tenant, plan)


def _sources(wanted: Template) -> _Sources:
    """The rows that the template names.

    Raises:
        InvalidError: something is not there, or does not fit the rest.
    """
    problems: list[Problem] = []
    cluster = Cluster.objects.filter(name=wanted.cluster).first()
    if cluster is None:
        raise _invalid([Problem("cluster", "unknown", f"there is no cluster {wanted.cluster}")])
    vrf_name = wanted.vrf or DEFAULT_VRF
    vrf = Vrf.objects.filter(name=vrf_name).first()
    if vrf is None:
        raise _invalid([Problem("vrf", "unknown", f"there is no VRF {vrf_name}")])
    found = _Sources(
        cluster,
        vrf,
        pools=_rows(AddressPool, (*wanted.subnet_pools, *wanted.address_pools)),
        vlan_ranges=_rows(VlanRange, wanted.vlan_ranges),
        vni_ranges=_rows(VniRange, wanted.vni_ranges),
    )
    problems.extend(_missing(wanted, found))
    problems.extend(_misfits(wanted, found) if not problems else ())
    if problems:
        raise _invalid(problems)
    return found


def _rows(model: type[Any], names: Sequence[str]) -> _Rows:  # Any: pools and ranges.
    related = "vrf" if model is AddressPool else "cluster"
    rows = model.objects.filter(name__in=names).select_related(related)
    return {row.name: row for row in rows}


def _missing(wanted: Template, found: _Sources) -> Iterator[Problem]:
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


def _misfits(wanted: Template, found: _Sources) -> Iterator[Problem]:
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


def _own_sources(tenant: Tenant, wanted: Template, sources: _Sources, actor: Actor) -> _Sources:
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
    return _Sources(
        sources.cluster,
        vrf,
        pools={**sources.pools, **own},
        vlan_ranges=sources.vlan_ranges,
        vni_ranges=sources.vni_ranges,
    )


def _grant(tenant: Tenant, wanted: Template, sources: _Sources, actor: Actor) -> None:
    for name in sorted(sources.vlan_ranges):
        pools.grant_vlans(tenant, sources.vlan_ranges[name], actor=actor)
    for name in sorted(sources.vni_ranges):
        pools.grant_vnis(tenant, sources.vni_ranges[name], actor=actor)
    for name in sorted(sources.pools):
        pools.grant_prefix(tenant, sources.pools[name], actor=actor)
    patterns = (*wanted.namespaces, *wanted.namespace_grants)
    for pattern in dict.fromkeys(named(pattern, tenant.slug) for pattern in patterns):
        pools.grant_namespaces(tenant, sources.cluster, pattern, actor=actor)


class _Allocator:
    """Takes what is free for one new tenant, each thing once, under the parents' locks."""

    def __init__(self, tenant: Tenant, sources: _Sources, begin: Begin) -> None:
        self._tenant, self._sources, self._begin = tenant, sources, begin
        self._tags: list[int] = []
        self._vnis: list[int] = []
        self._texts: list[str] = []
        allocation.lock_parents(tenant, sources.cluster)

    def segment(self, wanted: SegmentTemplate) -> TakenSegment:
        """A tag or an identifier, and the prefixes."""
        trunk, tag, vni = "", None, None
        if wanted.vlan_range:
            trunk = self._sources.vlan_ranges[wanted.vlan_range].trunk
            tag = allocation.next_vlan(
                self._tenant,
                self._sources.cluster,
                trunk,
                lock=True,
                wish=Wish(after=self._begin.vlan_tag, skip=tuple(self._tags)),
            )
            self._tags.append(tag)
        if wanted.vni_range:
            vni = allocation.next_vni(
                self._tenant,
                self._sources.cluster,
                lock=True,
                wish=Wish(after=self._begin.vni, skip=tuple(self._vnis)),
            )
            self._vnis.append(vni)
        prefixes = tuple(self._prefix(subnet.pool, subnet.length) for subnet in wanted.subnets)
        return TakenSegment(trunk=trunk, tag=tag, vni=vni, prefixes=prefixes)

    def addresses(
        self, wanted: Sequence[AddressTemplate], begin: str | None
    ) -> tuple[TakenAddress, ...]:
        """As many addresses as asked for, of each pool."""
        return tuple(
            self._address(self._sources.pools[entry.pool], begin)
            for entry in wanted
            for _ in range(entry.count)
        )

    def _prefix(self, pool_name: str, length: int) -> str:
        pool = self._sources.pools[pool_name]
        version = ipaddress.ip_network(pool.prefix).version
        prefix = allocation.next_prefix(
            self._tenant,
            self._sources.cluster,
            pool,
            length,
            version=version,
            lock=True,
            wish=self._wish(self._begin.subnet, version),
        )
        self._texts.append(prefix)
        return prefix

    def _address(self, pool: AddressPool, begin: str | None) -> TakenAddress:
        version = ipaddress.ip_network(pool.prefix).version
        address = allocation.next_address(
            self._tenant,
            self._sources.cluster,
            pool,
            version=version,
            lock=True,
            wish=self._wish(begin, version),
        )
        self._texts.append(address)
        return TakenAddress(address, pool.vrf.name)

    def _wish(self, begin: str | None, version: int) -> Wish:
        """What this transaction took already is not to be taken again."""
        taken = (text for text in self._texts if _version(text) == version)
        is_fitting = begin is not None and _version(begin) == version
        return Wish(after=begin if is_fitting else None, skip=tuple(taken))


def _version(text: str) -> int:
    return ipaddress.ip_network(text).version


def _allocate(tenant: Tenant, wanted: Template, sources: _Sources, begin: Begin) -> Taken:
    allocator = _Allocator(tenant, sources, begin)
    return Taken(
        segments=tuple(allocator.segment(segment) for segment in wanted.segments),
        virtual_addresses=allocator.addresses(wanted.virtual_addresses, begin.virtual_address),
        snat_addresses=allocator.addresses(wanted.snat_addresses, begin.snat_address),
    )


def _complaints(wanted: Template) -> Iterator[Problem]:
    """Why no tenant could be made from the template; tried on a sample that is not stored."""
    problems = list(template.complaints(wanted))
    yield from problems
    if problems:
        return
    try:
        intent = template.expand(wanted, _SAMPLE, _sample(wanted, _sources(wanted)))
    except ConflictError as error:
        yield Problem("", error.code, error.message.rstrip("."))
        return
    for problem in blocking([*validate(intent), *compiled.unsupported(intent)]):
        yield Problem(_template_path(problem.path), problem.code, problem.message)


def _sample(wanted: Template, sources: _Sources) -> Taken:
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
    wanted: Sequence[AddressTemplate], cutter: "_Cutter", sources: _Sources, path: str
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

    def __init__(self, rows: _Rows) -> None:
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
            raise _invalid([Problem(path, "pool-full", says)])
        self._next[name] = start + size
        return f"{type(whole.network_address)(start)}/{length}"


def _first(numbers: Iterator[int], path: str) -> int:
    number = next(numbers, None)
    if number is None:
        raise _invalid([Problem(path, "pool-full", "the range has too few numbers")])
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


def _invalid(problems: Sequence[Problem]) -> InvalidError:
    """One error; fields are the template's parts, in snake case."""
    fields: dict[str, list[str]] = {}
    for problem in problems:
        part = problem.path.partition(".")[0].partition("[")[0]
        says = f"{problem.message[:1].upper()}{problem.message[1:].rstrip('.')}."
        fields.setdefault(_NAMES.get(part, part), []).append(says)
    first = problems[0].message.rstrip(".")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidError(
        f"The template cannot be taken: {first}{more}.", fields=fields, code="template.invalid"
    )


_NAMES = {camel(name): name for name in Template.__dataclass_fields__}

__all__ = [
    "Begin",
    "Created",
    "Member",
    "create_tenant_from",
    "delete_template",
    "find_template",
    "read_template",
    "save_template",
    "template_of",
]
