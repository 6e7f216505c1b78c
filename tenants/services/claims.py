"""The one writer of claims: what a tenant takes of the platform's, and what waiting plans hold.

The database holds every rule: one owner for each, and only what was granted. This module finds the
grant that covers each claim, writes few statements, and puts refusals into words that name what is
in the way to those who may see it.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import RestrictedError

from tenants.domain.actor import Actor
from tenants.domain.claims import Claim, SubnetClaim
from tenants.errors import TransientError
from tenants.models import claim as stored
from tenants.models.tenant import Tenant
from tenants.retries import sqlstate
from tenants.services import clashes
from tenants.services.claim_kinds import KINDS, Kind, Places, without
from tenants.services.conflicts import constraint_name

# Any: each kind has rows of its own; ``ClaimRow`` has what they share.
Rows = dict[Claim, Any]
# A grant or a subnet changed between the look-up and the write.
_SOURCE_CHANGED = frozenset({"23503", "23514"})


def write(
    tenant: Tenant,
    before: frozenset[Claim],
    after: frozenset[Claim],
    *,
    actor: Actor,
    plan: int | None = None,
) -> None:
    """Make the tenant's claims in force ``after`` where they were ``before``.

    Rows of what stays keep their keys. Call it in a scope that sees the tenant's rows.

    Args:
        plan: whose approval this is: what was held for it becomes the tenant's own, or goes.

    Raises:
        InvalidError: something was not granted (``not-granted``); says what was.
        ConflictError: something has an owner already (``taken``), or a subnet that goes has
            addresses that stay (``in-use``).
        TransientError: what was granted changed at the same moment.
    """
    users = {claim: claim.user for claim in before}
    gone = before - after
    new = {claim for claim in after if claim not in users}
    renamed = {claim for claim in after if users.get(claim, claim.user) != claim.user}
    clashes.check_apart(new, after)
    with _in_words(tenant, new, actor=actor, leaving=gone):
        rows = _rows(tenant, gone | new | renamed, plan)
        ending = {
            claim: row
            for claim, row in rows.items()
            if claim in gone or (row.plan_id is not None and claim not in after)
        }
        ending |= _lying_in(tenant, ending, after)
        _delete(ending)
        kept = rows.keys() - ending.keys()
        _keep({claim: rows[claim] for claim in after if claim in kept})
        _insert(tenant, (new | (ending.keys() & after)) - kept, plan=None)


def check(
    tenant: Tenant,
    wanted: frozenset[Claim],
    *,
    actor: Actor,
    plan: int | None = None,
) -> None:
    """Say now what ``write`` would say; nothing is written.

    Args:
        wanted: everything that the tenant would then have.
        plan: whose approval it would be.

    Raises:
        InvalidError: something was not granted (``not-granted``).
        ConflictError: something has an owner already (``taken``).
    """
    rows = _rows(tenant, wanted, plan)
    new = wanted - rows.keys()
    if not new:
        return
    clashes.check_apart(new, wanted)
    places = Places.of(new)
    future = {claim for claim in wanted if claim not in rows}
    for kind, claims in _by_kind(new):
        clashes.check_granted(kind, tenant, claims, places, beside=future)
    in_the_way = clashes.find(new, places)
    for claim in sorted(in_the_way, key=str):
        row = in_the_way[claim]
        if not (row.tenant_id == tenant.pk and row.plan_id in (None, plan)):
            raise clashes.taken(claim, row, tenant=tenant, actor=actor)


def hold(tenant: Tenant, claims: frozenset[Claim], plan_id: int, *, actor: Actor) -> None:
    """Let the waiting plan hold exactly ``claims``, until ``write`` or ``release``.

    What the tenant has in force is not held: it is the tenant's already, and becomes free for the
    new use in the write that ends the old one. Of a subnet that grows, the new part is held.

    Raises:
        InvalidError: something was not granted (``not-granted``).
        ConflictError: somebody, or another plan, has it (``taken``).
        TransientError: what was granted changed at the same moment.
    """
    clashes.check_apart(set(claims), claims)
    places = Places.of(claims)
    in_the_way = clashes.find(claims, places)
    own = {
        claim
        for claim, row in in_the_way.items()
        if row.tenant_id == tenant.pk and row.plan_id is None
    }
    # An address in a subnet that cannot be held yet cannot be held either.
    late = [claim for claim in own if isinstance(claim, SubnetClaim)]
    wanted = {
        claim
        for claim in claims - own
        if not any(clashes.lies_in(claim, subnet) for subnet in late)
    }
    wanted |= _new_parts(tenant, late)
    with _in_words(tenant, wanted, actor=actor):
        rows = _held(tenant, plan_id)
        _delete({claim: row for claim, row in rows.items() if claim not in wanted})
        _insert(tenant, wanted - rows.keys(), plan=plan_id)


def _new_parts(tenant: Tenant, growing: Collection[SubnetClaim]) -> set[SubnetClaim]:
    """What ``growing`` subnets take beside the tenant's subnets in force."""
    if not growing:
        return set()
    kind = next(kind for kind in KINDS if kind.claim is SubnetClaim)
    rows = [kind.read(row) for row in kind.own(tenant, None)]
    return {
        replace(subnet, prefix=str(part))
        for subnet in growing
        for part in without(
            subnet.prefix,
            [row.prefix for row in rows if (row.cluster, row.vrf) == (subnet.cluster, subnet.vrf)],
        )
    }


def release(plan_id: int) -> None:
    """Give back everything that is held for the plan."""
    for kind in reversed(KINDS):
        kind.model._default_manager.filter(plan_id=plan_id).delete()


@contextmanager
def _in_words(
    tenant: Tenant, new: Collection[Claim], *, actor: Actor, leaving: Collection[Claim] = ()
) -> Iterator[None]:
    """Run the block in a savepoint; put the database's refusal of ``new`` into words."""
    try:
        with transaction.atomic():
            yield
    except RestrictedError as error:
        raise clashes.still_used(error.restricted_objects) from error
    except IntegrityError as error:
        if constraint_name(error) in clashes.CONSTRAINTS:
            raise clashes.refusal(new, tenant=tenant, actor=actor, leaving=leaving) from error
        if new and sqlstate(error) in _SOURCE_CHANGED:
            raise TransientError(
                f"What {tenant} may take was changed at the same moment. Try again."
            ) from error
        raise


def _rows(tenant: Tenant, touched: Collection[Claim], plan: int | None) -> Rows:
    """The tenant's rows in force of the kinds of ``touched``, and all held for ``plan``."""
    rows: Rows = {}
    kinds = {type(claim) for claim in touched}
    for kind in KINDS:
        if kind.claim in kinds:
            rows |= {kind.read(row): row for row in kind.own(tenant, None, plan)}
        elif plan is not None:
            rows |= {kind.read(row): row for row in kind.own(tenant, plan)}
    return rows


def _held(tenant: Tenant, plan: int) -> Rows:
    return {kind.read(row): row for kind in KINDS for row in kind.own(tenant, plan)}


def _lying_in(tenant: Tenant, ending: Rows, after: Collection[Claim]) -> Rows:
    """Addresses that stay while the subnet that they were taken from goes: they are taken anew."""
    subnets = [row.pk for row in ending.values() if isinstance(row, stored.SubnetClaim)]
    if not subnets:
        return {}
    kind = KINDS[-1]
    rows = kind.own(tenant, None).filter(subnet__in=subnets)
    return {claim: row for row in rows if (claim := kind.read(row)) in after}


def _delete(rows: Rows) -> None:
    """Addresses before the subnets that they lie in."""
    for kind in reversed(KINDS):
        keys = [row.pk for row in rows.values() if isinstance(row, kind.model)]
        if keys:
            kind.model._default_manager.filter(pk__in=keys).delete()


def _keep(rows: Rows) -> None:
    """In force from now on, used by what the claims say."""
    for kind in KINDS:
        changed = []
        for claim, row in rows.items():
            if isinstance(row, kind.model) and (row.plan_id, row.user) != (None, claim.user):
                row.plan_id, row.user = None, claim.user
                changed.append(row)
        if changed:
            kind.model._default_manager.bulk_update(changed, ["plan", "user"])


def _insert(tenant: Tenant, claims: Collection[Claim], *, plan: int | None) -> None:
    """Subnets before the addresses that lie in them; sorted, so that writers meet in one order."""
    if not claims:
        return
    places = Places.of(claims)
    for kind, wanted in _by_kind(claims):
        rows = []
        for claim, source in clashes.check_granted(kind, tenant, wanted, places).items():
            row = kind.build(claim, source, places)
            row.tenant, row.user, row.plan_id = tenant, claim.user, plan
            rows.append(row)
        kind.model._default_manager.bulk_create(rows)


def _by_kind(claims: Iterable[Claim]) -> Iterator[tuple[Kind[Any, Any], list[Any]]]:
    """Kinds in the order of inserting, each with its claims, sorted."""
    for kind in KINDS:
        if found := sorted(claim for claim in claims if isinstance(claim, kind.claim)):
            yield kind, found
