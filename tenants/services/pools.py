"""The platform's address space: VRFs, pools and ranges, and what each tenant is granted of them.

Only platform NetOps change it, and each change is on record. The database refuses overlaps, grants
outside of pools and VRFs of others, and whatever would leave a claim without its grant; the module
``refusals`` names what is in the way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.db import IntegrityError, models, transaction
from django.db.models import ProtectedError, RestrictedError

from tenants import audit, locks
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.addresses import pool_complaint
from tenants.domain.claims import AddressRole
from tenants.domain.notation import (
    IpNetwork,
    as_network,
    network_complaint,
    sentence,
    source_complaint,
    trunk_complaint,
)
from tenants.domain.roles import Action
from tenants.errors import ConflictError, InvalidError
from tenants.models.claim import AddressClaim, SubnetClaim
from tenants.models.grant import NamespaceGrant, PrefixGrant, VlanGrant, VniGrant
from tenants.models.pool import AddressPool, Purpose, VlanRange, VniRange
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Cluster, Tenant
from tenants.models.vrf import Vrf
from tenants.services import conflicts, refusals
from tenants.services.claim_kinds import inside, overlapping, supernets

Parent = Vrf | AddressPool | VlanRange | VniRange
Grant = PrefixGrant | VlanGrant | VniGrant | NamespaceGrant


def save_vrf(
    name: str,
    *,
    actor: Actor,
    owner: Tenant | None = None,
    description: str = "",
    vrf: Vrf | None = None,
) -> Vrf:
    """Make a VRF, or change ``vrf``; with an owner, only that tenant may be granted any of it.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        InvalidError: the name is another one: every intent has it, so it stays.
        ConflictError: the name is taken, or other tenants have grants in it (``in-use``).
    """
    if vrf is not None and name != vrf.name:
        says = "A VRF keeps its name: networks of tenants have it. Add another VRF."
        raise InvalidError(says, fields={"name": [says]})
    row = vrf or Vrf()
    row.name, row.owner, row.description = name, owner, description
    with _changing(row, actor):
        _store(row)
    return row


def save_pool(
    name: str,
    vrf: Vrf,
    prefix: str,
    purpose: Purpose,
    *,
    actor: Actor,
    description: str = "",
    pool: AddressPool | None = None,
) -> AddressPool:
    """Make a pool, or change ``pool``. Grants of an earlier version that lie inside become its own.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        InvalidError: not a prefix, or not one of addresses that a proxy can hold.
        ConflictError: it overlaps another pool (``taken``), or no longer covers what is granted
            (``in-use``).
    """
    row = pool or AddressPool()
    row.name, row.vrf, row.description = name, vrf, description
    row.purpose, row.hint = purpose.value, None
    with _changing(row, actor):
        old, row.prefix = row.prefix, str(_network(prefix))
        # One of an earlier version keeps its prefix.
        if row.prefix != old and (wrong := pool_complaint(row.prefix)):
            raise _refused("prefix", wrong)
        _check_stays(row, "vrf_id")
        _store(row)
        _adopt(row)
    return row


def save_vlan_range(
    name: str,
    cluster: Cluster,
    tags: tuple[int, int],
    *,
    actor: Actor,
    trunk: str = "1.1",
    row: VlanRange | None = None,
) -> VlanRange:
    """Make a range of VLAN tags, first and last included, or change ``row``.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        InvalidError: not a range from 1 to 4094, or no name of a trunk.
        ConflictError: it overlaps another (``taken``), or no longer covers what is granted
            (``in-use``).
    """
    _check_span(tags, 4094)
    saved = row or VlanRange()
    saved.name, saved.cluster, saved.trunk = name, cluster, trunk
    saved.first, saved.last, saved.hint = *tags, None
    with _changing(saved, actor):
        if wrong := trunk_complaint(trunk):
            raise _refused("trunk", wrong)
        _check_stays(saved, "cluster_id", "trunk")
        _store(saved)
        inside = VlanGrant.objects.filter(
            cluster=cluster, trunk=trunk, first__gte=tags[0], last__lte=tags[1]
        )
        inside.filter(vlan_range=None).update(
            vlan_range=saved, range_first=tags[0], range_last=tags[1]
        )
    return saved


def save_vni_range(
    name: str,
    cluster: Cluster,
    vnis: tuple[int, int],
    *,
    actor: Actor,
    row: VniRange | None = None,
) -> VniRange:
    """Make a range of VNIs, first and last included, or change ``row``; errors as for tags."""
    _check_span(vnis, 16777215)
    saved = row or VniRange()
    saved.name, saved.cluster = name, cluster
    saved.first, saved.last, saved.hint = *vnis, None
    with _changing(saved, actor):
        _check_stays(saved, "cluster_id")
        _store(saved)
        inside = VniGrant.objects.filter(cluster=cluster, first__gte=vnis[0], last__lte=vnis[1])
        inside.filter(vni_range=None).update(
            vni_range=saved, range_first=vnis[0], range_last=vnis[1]
        )
    return saved


def delete(row: Parent, *, actor: Actor) -> None:
    """Delete a VRF, pool or range.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        ConflictError: something uses it (``in-use``); the message says what.
    """
    if isinstance(row, Vrf) and row.name == "default":
        raise ConflictError("VRF default serves whatever names no VRF; it stays.", code="in-use")
    _delete(row, actor)


def reserve(cluster: Cluster, vrf: Vrf, prefix: str, *, actor: Actor, reason: str) -> AddressClaim:
    """Keep an address or a prefix for the platform: no tenant can take any of it.

    Inside a subnet that a tenant has already, only the addresses are kept.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        InvalidError: neither an address nor a prefix.
        ConflictError: a tenant has an address or a subnet in it (``taken``).
    """
    row = AddressClaim(
        cluster=cluster, vrf=vrf, address=prefix, role=AddressRole.RESERVED.value, user=reason
    )
    with _changing(row, actor, event="address.reserved", reason=reason):
        if wrong := source_complaint(prefix):
            raise _refused("prefix", wrong)
        network = as_network(prefix)
        row.address = str(network)
        claims = SubnetClaim.objects.filter(cluster=cluster, vrf=vrf)
        _store(row)
        if not claims.filter(prefix__in=supernets(network)[:-1]).exists():
            _store(SubnetClaim(cluster=cluster, vrf=vrf, prefix=str(network), user=reason))
    return row


def unreserve(row: AddressClaim, *, actor: Actor) -> None:
    """Let tenants take what was reserved.

    Raises:
        ForbiddenError: the actor may not manage the address space.
    """
    require(actor, Action.MANAGE_ADDRESS_SPACE)
    with platform_scope("address space"):
        audit.record(actor, "address.released", row)
        place = {"cluster_id": row.cluster_id, "vrf_id": row.vrf_id}
        reserved = AddressClaim.objects.filter(pk=row.pk, role=AddressRole.RESERVED.value)
        SubnetClaim.objects.filter(tenant=None, prefix=row.address, **place).delete()
        reserved.delete()


def grant_prefix(
    tenant: Tenant, pool: AddressPool, *, actor: Actor, prefix: str = ""
) -> PrefixGrant:
    """Let the tenant take from the pool, or from a part of it.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        InvalidError: the prefix does not lie in the pool.
        ConflictError: it has that grant already, or the VRF is another tenant's (``taken``).
    """
    row = PrefixGrant(
        tenant=tenant,
        pool=pool,
        pool_prefix=pool.prefix,
        vrf=pool.vrf,
        vrf_owner=pool.vrf.owner_id or 0,
        prefix=str(_network(prefix or pool.prefix)),
        purpose=pool.purpose,
    )
    with _changing(row, actor):
        _store(row)
    return row


def grant_vlans(
    tenant: Tenant, vlan_range: VlanRange, *, actor: Actor, tags: tuple[int, int] | None = None
) -> VlanGrant:
    """Let the tenant take tags of the range, or of a part of it; errors as for a prefix."""
    first, last = tags or (vlan_range.first, vlan_range.last)
    _check_span((first, last), 4094)
    row = VlanGrant(
        tenant=tenant,
        vlan_range=vlan_range,
        range_first=vlan_range.first,
        range_last=vlan_range.last,
        cluster=vlan_range.cluster,
        trunk=vlan_range.trunk,
        first=first,
        last=last,
    )
    with _changing(row, actor):
        _store(row)
    return row


def grant_vnis(
    tenant: Tenant, vni_range: VniRange, *, actor: Actor, vnis: tuple[int, int] | None = None
) -> VniGrant:
    """Let the tenant take identifiers of the range, or of a part of it; errors as for a prefix."""
    first, last = vnis or (vni_range.first, vni_range.last)
    _check_span((first, last), 16777215)
    row = VniGrant(
        tenant=tenant,
        vni_range=vni_range,
        range_first=vni_range.first,
        range_last=vni_range.last,
        cluster=vni_range.cluster,
        first=first,
        last=last,
    )
    with _changing(row, actor):
        _store(row)
    return row


def grant_namespaces(
    tenant: Tenant, cluster: Cluster, pattern: str, *, actor: Actor
) -> NamespaceGrant:
    """Let the tenant take a namespace, or with a star at the end those that begin so.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        InvalidError: not a pattern.
        ConflictError: it has that grant already (``taken``).
    """
    row = NamespaceGrant(tenant=tenant, cluster=cluster, pattern=pattern)
    with _changing(row, actor):
        _store(row)
    return row


def withdraw(grant: Grant, *, actor: Actor) -> None:
    """Take a grant back.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        ConflictError: the tenant has taken something of it (``in-use``).
    """
    _delete(grant, actor)


@contextmanager
def _changing(
    row: models.Model, actor: Actor, *, event: str = "", reason: str = ""
) -> Iterator[None]:
    """Rights, the platform's scope, one transaction, and the audit entry at its end."""
    require(actor, Action.MANAGE_ADDRESS_SPACE)
    noun = str(row._meta.verbose_name).lower().replace(" ", "-")
    done = event or f"{noun}.{'created' if row.pk is None else 'changed'}"
    with platform_scope("address space"):
        if row.pk is not None and type(row) in locks.PARENTS:
            locks.parents([row])
        yield
        audit.record(actor, done, row, reason=reason, detail=_detail(row))


def _detail(row: models.Model) -> dict[str, object]:
    named = ("prefix", "address", "first", "last", "trunk", "pattern", "purpose")
    found = {name: getattr(row, name) for name in named if hasattr(row, name)}
    return {**found, **{n: str(getattr(row, n)) for n in ("vrf", "cluster") if hasattr(row, n)}}


def _check_stays(row: models.Model, *columns: str) -> None:
    """Refuse to move what is granted to another place: the grants and claims would come along."""
    old = type(row)._default_manager.filter(pk=row.pk).values_list(*columns).first()
    is_moved = old is not None and old != tuple(getattr(row, column) for column in columns)
    if is_moved and (users := refusals.users(row)):
        raise refusals.in_use(row, users, "cannot move while it is granted")


def _store(row: models.Model) -> None:
    conflicts.store(row, refusal=partial(refusals.refusal, row))


def _delete(row: Parent | Grant, actor: Actor) -> None:
    require(actor, Action.MANAGE_ADDRESS_SPACE)
    noun = str(row._meta.verbose_name).lower().replace(" ", "-")
    with platform_scope("address space"):
        if type(row) in locks.PARENTS:
            locks.parents([row])
        audit.record(actor, f"{noun}.deleted", row, detail=_detail(row))
        try:
            with transaction.atomic():
                row.delete()
        except (ProtectedError, RestrictedError, IntegrityError) as error:
            raise refusals.in_use(row, refusals.users(row), "is still used") from error


def _adopt(pool: AddressPool) -> None:
    """Take in grants of an earlier version; refuse a pool over those of another purpose."""
    grants = PrefixGrant.objects.filter(
        overlapping("prefix", as_network(pool.prefix)), pool=None, vrf=pool.vrf
    ).select_related("tenant")
    strange = [grant for grant in grants if grant.purpose != pool.purpose and not _is_own(grant)]
    if strange:
        raise refusals.in_use(
            pool, strange, f"is for {pool.purpose}, but holds grants of {strange[0].purpose}"
        )
    for grant in grants:
        if grant.purpose == pool.purpose and inside(grant.prefix, pool.prefix):
            grant.pool, grant.pool_prefix = pool, pool.prefix
            grant.save(update_fields=["pool", "pool_prefix"])


def _is_own(grant: PrefixGrant) -> bool:
    """True for an address inside a subnet of the same tenant, which no neighbour can take."""
    around = supernets(as_network(grant.prefix))
    return SubnetClaim.objects.filter(
        tenant=grant.tenant_id, vrf=grant.vrf_id, prefix__in=around
    ).exists()


def _check_span(ends: tuple[int, int], most: int) -> None:
    if not 1 <= ends[0] <= ends[1] <= most:
        says = f"Write a first and a last number from 1 to {most}, in this order."
        raise InvalidError(says, fields={"first": [says]})


def _network(text: str) -> IpNetwork:
    if wrong := network_complaint(text):
        raise _refused("prefix", wrong)
    return as_network(text)


def _refused(field: str, wrong: str) -> InvalidError:
    says = sentence(wrong)
    return InvalidError(says, fields={field: [says]})
