"""Tenants created from templates: one transaction, one plan, everything allocated.

A new tenant is granted the pools and ranges that its template names, whole, so that its NetOps can
take more of them later; the plan then goes through the same gates as any other change.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from proxyconfig.domain import objects, template
from proxyconfig.domain.template import (
    AddressTemplate,
    SegmentTemplate,
    Taken,
    TakenAddress,
    TakenSegment,
    Template,
    named,
)
from proxyconfig.models import Plan
from proxyconfig.services import plans
from proxyconfig.services.limits import set_limits
from proxyconfig.services.template_sources import Sources, own_sources, sources_of
from proxyconfig.services.templates import template_of
from tenants import locks
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.roles import Action, Role
from tenants.errors import InvalidError
from tenants.models.grant import span
from tenants.models.pool import AddressPool, VlanRange, VniRange
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.template import TenantTemplate
from tenants.models.tenant import Tenant
from tenants.services import allocation, pools, quotas
from tenants.services.allocation import Wish
from tenants.services.people import find_user
from tenants.services.tenants import add_member, create_tenant


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
        InvalidError: no reason was given, what the template names is not there any more, or
            ``begin`` lies outside of what the template takes from.
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
            sources = sources_of(wanted)
            _check_begin(wanted, sources, begin or Begin())
            users = [(find_user(member.username), member.role) for member in members]
            tenant = create_tenant(slug, name, actor=actor)
            locks.tenant(tenant.pk)
            for user, role in users:
                add_member(tenant, user, role, actor=actor)
            for quota in wanted.quotas:
                quotas.set_limit(tenant, quota.resource, quota.limit, actor=actor)
            sources = own_sources(tenant, wanted, sources, actor)
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


def _check_begin(wanted: Template, sources: Sources, begin: Begin) -> None:
    """Refuse a beginning where nothing is searched: the search would begin elsewhere, unseen."""
    fields: dict[str, list[str]] = {}
    for name, what, rows in (
        ("vlan_tag", "VLAN ranges", [sources.vlan_ranges[each] for each in wanted.vlan_ranges]),
        ("vni", "VNI ranges", [sources.vni_ranges[each] for each in wanted.vni_ranges]),
        ("subnet", "pools of subnets", [sources.pools[each] for each in wanted.subnet_pools]),
        *(
            (name, "pools for it", _pools_of(entries, sources))
            for name, entries in (
                ("virtual_address", wanted.virtual_addresses),
                ("snat_address", wanted.snat_addresses),
            )
        ),
    ):
        value = getattr(begin, name)
        if value is None or any(_is_in(value, row) for row in rows):
            continue
        shown = ", ".join(f"{row} ({_extent(row)})" for row in rows)
        where = f"the template's {what}: {shown}" if rows else "the template, which takes none"
        fields[name] = [f"{value} is outside of {where}."]
    if fields:
        first = next(iter(fields.values()))[0]
        raise InvalidError(f"The search cannot begin there. {first}", fields=fields)


def _pools_of(entries: Sequence[AddressTemplate], sources: Sources) -> list[AddressPool]:
    return [sources.pools[name] for name in dict.fromkeys(entry.pool for entry in entries)]


def _is_in(value: int | str, row: AddressPool | VlanRange | VniRange) -> bool:
    if isinstance(row, AddressPool):
        return ipaddress.ip_address(value) in ipaddress.ip_network(row.prefix)
    return row.first <= int(value) <= row.last


def _extent(row: AddressPool | VlanRange | VniRange) -> str:
    return row.prefix if isinstance(row, AddressPool) else span(row.first, row.last)


def _grant(tenant: Tenant, wanted: Template, sources: Sources, actor: Actor) -> None:
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

    def __init__(self, tenant: Tenant, sources: Sources, begin: Begin) -> None:
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


def _allocate(tenant: Tenant, wanted: Template, sources: Sources, begin: Begin) -> Taken:
    allocator = _Allocator(tenant, sources, begin)
    return Taken(
        segments=tuple(allocator.segment(segment) for segment in wanted.segments),
        virtual_addresses=allocator.addresses(wanted.virtual_addresses, begin.virtual_address),
        snat_addresses=allocator.addresses(wanted.snat_addresses, begin.snat_address),
    )
