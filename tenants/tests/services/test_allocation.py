"""Next free: within grants, around the end, past what is held, another for each caller."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from django.db import connection

from proxyconfig.tests.factories import PlanFactory
from tenants.domain.actor import system
from tenants.domain.claims import AddressClaim, AddressRole, Claim, SubnetClaim, VlanClaim, VniClaim
from tenants.errors import ConflictError, InvalidError
from tenants.locks import LockOrderError
from tenants.models import AddressPool, VlanRange, platform_scope, tenant_scope
from tenants.services import allocation, claims
from tenants.services.allocation import (
    Wish,
    next_address,
    next_in_subnet,
    next_prefix,
    next_vlan,
    next_vni,
)
from tenants.tests.factories import (
    AddressClaimFactory,
    AddressPoolFactory,
    ClusterFactory,
    PrefixGrantFactory,
    ReservedFactory,
    SubnetClaimFactory,
    TenantFactory,
    VlanClaimFactory,
    VlanGrantFactory,
    VlanRangeFactory,
    VniClaimFactory,
    VniGrantFactory,
    VniRangeFactory,
    VrfFactory,
)

CALLERS = 64


@pytest.fixture
def vrf(db):
    return VrfFactory()


def addresses(tenant, prefix="10.4.7.0/29", **fields):
    return PrefixGrantFactory(tenant=tenant, pool=AddressPoolFactory(prefix=prefix), **fields)


def subnets(tenant, prefix="10.8.0.0/22"):
    pool = AddressPoolFactory(prefix=prefix, purpose="subnets")
    return PrefixGrantFactory(tenant=tenant, pool=pool)


def test_next_vlan_is_the_first_free_of_the_grant(acme, globex, cluster):
    tags = VlanRangeFactory(first=100, last=110)
    VlanGrantFactory(tenant=acme, vlan_range=tags, first=102, last=105)
    VlanClaimFactory(grant__tenant=globex, tag=102)

    assert next_vlan(acme, cluster, "1.1") == 103
    assert next_vlan(acme, cluster, "1.1", wish=Wish(skip=(103, 104))) == 105
    assert next_vlan(acme, cluster, "1.1", wish=Wish(after=105)) == 105


def test_search_goes_on_from_the_start(acme, cluster):
    tags = VlanRangeFactory(first=100, last=102)
    grant = VlanGrantFactory(tenant=acme, vlan_range=tags)
    found = []

    for _ in range(3):
        found.append(next_vlan(acme, cluster, "1.1", lock=True))
        last = VlanClaimFactory(grant=grant, tag=found[-1])
        if len(found) == 1:
            with platform_scope("test"):
                last.delete()
    tags.refresh_from_db()

    assert found == [100, 101, 102]
    assert tags.hint is None
    assert next_vlan(acme, cluster, "1.1") == 100
    VlanRange.objects.update(hint=102)
    assert next_vlan(acme, cluster, "1.1") == 100


def test_full_grant_says_so_in_words(acme, cluster):
    VlanClaimFactory(grant=VlanGrantFactory(tenant=acme, first=7, last=7), tag=7)

    with pytest.raises(ConflictError) as full:
        next_vlan(acme, cluster, "1.1")

    assert full.value.code == "pool-full"
    assert full.value.message == (
        "No VLAN tag on trunk 1.1 of cluster local is free in what tenant acme is granted."
        " Give one back, or ask platform NetOps for a larger grant."
    )


def test_second_grant_serves_when_the_first_is_full(acme, cluster):
    VlanClaimFactory(grant=VlanGrantFactory(tenant=acme, first=7, last=7), tag=7)
    VlanGrantFactory(tenant=acme, first=9, last=9)

    assert next_vlan(acme, cluster, "1.1", lock=True) == 9


@pytest.mark.parametrize(
    "ask",
    [
        lambda tenant, cluster, vrf: next_vlan(tenant, cluster, "1.1"),
        lambda tenant, cluster, vrf: next_vni(tenant, cluster),
        lambda tenant, cluster, vrf: next_prefix(tenant, cluster, vrf, 24),
        lambda tenant, cluster, vrf: next_address(tenant, cluster, vrf),
    ],
)
def test_tenant_without_a_grant_is_refused(acme, globex, cluster, vrf, ask):
    VlanGrantFactory(tenant=globex)
    addresses(globex)

    with pytest.raises(InvalidError, match="Tenant acme is granted no") as refused:
        ask(acme, cluster, vrf)

    assert refused.value.code == "not-granted"


def test_next_vni_is_free(acme, cluster):
    grant = VniGrantFactory(tenant=acme, vni_range=VniRangeFactory())
    VniClaimFactory(grant=grant, vni=5000)

    assert next_vni(acme, cluster) == 5001


def test_next_address_is_no_network_broadcast_reserved_or_held_one(acme, cluster, vrf):
    grant = addresses(acme)
    plan = PlanFactory(tenant=acme)
    AddressClaimFactory(grant=grant, address="10.4.7.2", plan=plan)
    ReservedFactory(cluster=cluster, address="10.4.7.4/31")
    found = []

    for _ in range(3):
        found.append(next_address(acme, cluster, vrf, lock=True))
        AddressClaimFactory(grant=grant, address=found[-1])

    assert found == ["10.4.7.1", "10.4.7.3", "10.4.7.6"]
    with pytest.raises(ConflictError, match="No address"):
        next_address(acme, cluster, vrf)


def test_next_address_of_ipv6_and_of_one_pool(acme, cluster, vrf):
    addresses(acme)
    six = addresses(acme, "fd00:7::/64")
    other = addresses(acme, "10.5.0.0/24")

    assert next_address(acme, cluster, vrf, version=6) == "fd00:7::1"
    assert next_address(acme, cluster, six.pool, version=6) == "fd00:7::1"
    assert next_address(acme, cluster, other.pool) == "10.5.0.1"


def test_next_address_of_a_role_is_from_where_the_others_of_it_are(acme, cluster, vrf):
    first, _, third = (
        PrefixGrantFactory(tenant=acme, pool=AddressPoolFactory(vrf=vrf, prefix=prefix))
        for prefix in ("10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/30")
    )
    AddressClaimFactory(grant=first, address="10.1.0.9")

    unused = next_address(acme, cluster, vrf, role=AddressRole.SNAT)
    AddressClaimFactory(grant=third, address="10.3.0.1", role="snat")

    used = next_address(acme, cluster, vrf, role=AddressRole.SNAT, lock=True)
    AddressClaimFactory(grant=third, address=used, role="snat")

    assert (unused, used) == ("10.2.0.1", "10.3.0.2")
    assert next_address(acme, cluster, vrf, role=AddressRole.SNAT, lock=True) == "10.2.0.1"
    assert next_address(acme, cluster, vrf, role=AddressRole.VIRTUAL) == "10.1.0.1"


def test_adopted_address_is_the_only_one(acme, cluster, vrf):
    PrefixGrantFactory(tenant=acme, pool=None, prefix="10.4.9.9/32")

    assert next_address(acme, cluster, vrf, lock=True) == "10.4.9.9"


def test_address_space_of_an_end_has_an_end(acme, cluster, vrf):
    grant = addresses(acme, "255.255.255.248/29")
    AddressPool.objects.update(hint="255.255.255.254")

    assert next_address(acme, cluster, vrf, lock=True) == "255.255.255.254"
    AddressClaimFactory(grant=grant, address="255.255.255.254")
    assert next_address(acme, cluster, vrf, lock=True) == "255.255.255.249"


def test_next_prefix_fits_between_the_others(acme, globex, cluster, vrf):
    grant = subnets(acme)
    theirs = PrefixGrantFactory(tenant=globex, pool=grant.pool)
    SubnetClaimFactory(grant=theirs, prefix="10.8.0.64/26")
    SubnetClaimFactory(grant=grant, prefix="10.8.1.0/24")
    ReservedFactory(cluster=cluster, address="10.8.2.0/30")

    assert next_prefix(acme, cluster, vrf, 24) == "10.8.3.0/24"
    assert next_prefix(acme, cluster, vrf, 26) == "10.8.0.0/26"
    assert next_prefix(acme, cluster, vrf, 25, wish=Wish(skip=("10.8.0.128/25",))) == (
        "10.8.2.128/25"
    )
    assert next_prefix(acme, cluster, vrf, 24, wish=Wish(after="10.8.1.7")) == "10.8.3.0/24"
    with pytest.raises(ConflictError, match="No subnet /23"):
        next_prefix(acme, cluster, vrf, 23)
    with pytest.raises(InvalidError, match="a length from 1 to 32"):
        next_prefix(acme, cluster, vrf, 33)


def test_next_prefix_goes_around_and_past_wider_subnets(acme, cluster, vrf):
    grant = subnets(acme)
    SubnetClaimFactory(grant=grant, prefix="10.8.2.0/23")
    AddressPool.objects.update(hint="10.8.3.0")

    assert next_prefix(acme, cluster, vrf, 24, lock=True) == "10.8.0.0/24"
    assert next_prefix(acme, cluster, grant.pool, 24) == "10.8.1.0/24"


def test_next_in_subnet_leaves_its_edges_and_what_is_taken(acme, cluster, vrf):
    front = SubnetClaimFactory(grant=subnets(acme), prefix="10.8.1.0/29")
    AddressClaimFactory(
        grant=None,
        tenant=acme,
        vrf=vrf,
        grant_prefix=None,
        subnet=front,
        subnet_prefix=front.prefix,
        address="10.8.1.1",
        role="gateway",
    )

    assert next_in_subnet(acme, cluster, vrf, "10.8.1.0/29", lock=True) == "10.8.1.2"
    assert next_in_subnet(acme, cluster, vrf, "10.8.1.0/29", wish=Wish(skip=("10.8.1.2",))) == (
        "10.8.1.3"
    )
    # A subnet that is only planned has nobody in it.
    assert next_in_subnet(acme, cluster, vrf, "10.8.3.0/30") == "10.8.3.1"
    assert next_in_subnet(acme, cluster, vrf, "10.8.3.8/31") == "10.8.3.8"
    assert next_in_subnet(acme, cluster, vrf, "fd00::/64") == "fd00::1"


def test_several_allocations_take_their_parents_first(acme, cluster, vrf):
    first, second = addresses(acme), subnets(acme)
    VlanGrantFactory(tenant=acme, vlan_range=VlanRangeFactory())

    with platform_scope("test"):
        next_prefix(acme, cluster, second.pool, 24, lock=True)
        with pytest.raises(LockOrderError):
            next_address(acme, cluster, first.pool, lock=True)
    with platform_scope("test"):
        allocation.lock_parents(acme, cluster)
        assert next_prefix(acme, cluster, vrf, 24, lock=True) == "10.8.1.0/24"
        assert next_address(acme, cluster, vrf, lock=True) == "10.4.7.1"
        assert next_vlan(acme, cluster, "1.1", lock=True) == 100


def test_suggestion_takes_nothing(acme, cluster, vrf):
    grant = addresses(acme)

    assert {next_address(acme, cluster, vrf) for _ in range(3)} == {"10.4.7.1"}
    grant.pool.refresh_from_db()
    assert grant.pool.hint is None


def at_once(count: int, one: Callable[[int], object]) -> list[object]:
    """What ``count`` callers get that begin together, each on a connection of its own."""
    start = Barrier(count)

    def call(number: int) -> object:
        try:
            start.wait()
            return one(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def take(tenant, ask: Callable[[], object], claim: Callable[[object], Claim]) -> object:
    """Ask and claim in one transaction, as an edit does."""
    with tenant_scope(tenant.pk):
        value = ask()
        wanted = frozenset({claim(value)})
        claims.write(tenant, frozenset(), wanted, actor=system("test"))
    return value


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["vlan", "vni", "prefix", "address"])
def test_parallel_callers_each_get_another_answer(services, kind):
    cluster, vrf = ClusterFactory(), VrfFactory()
    tenants = [TenantFactory(), TenantFactory()]
    parents = {
        "vlan": VlanRangeFactory(),
        "vni": VniRangeFactory(),
        "prefix": AddressPoolFactory(prefix="10.8.0.0/16", purpose="subnets"),
        "address": AddressPoolFactory(prefix="10.4.7.0/24"),
    }
    for tenant in tenants:
        VlanGrantFactory(tenant=tenant, vlan_range=parents["vlan"])
        VniGrantFactory(tenant=tenant, vni_range=parents["vni"])
        PrefixGrantFactory(tenant=tenant, pool=parents["prefix"])
        PrefixGrantFactory(tenant=tenant, pool=parents["address"])
    place = {"cluster": "local", "vrf": "default"}
    ask, claim = {
        "vlan": (
            lambda tenant: next_vlan(tenant, cluster, "1.1", lock=True),
            lambda tag: VlanClaim(cluster="local", trunk="1.1", tag=tag),
        ),
        "vni": (
            lambda tenant: next_vni(tenant, cluster, lock=True),
            lambda vni: VniClaim(cluster="local", vni=vni),
        ),
        "prefix": (
            lambda tenant: next_prefix(tenant, cluster, vrf, 24, lock=True),
            lambda prefix: SubnetClaim(**place, prefix=prefix),
        ),
        "address": (
            lambda tenant: next_address(tenant, cluster, vrf, lock=True),
            lambda address: AddressClaim(**place, address=address, role=AddressRole.SNAT),
        ),
    }[kind]

    answers = at_once(
        CALLERS,
        lambda number: take(tenants[number % 2], lambda: ask(tenants[number % 2]), claim),
    )

    assert len(set(answers)) == CALLERS


@pytest.mark.django_db(transaction=True)
def test_callers_of_other_parents_do_not_wait(services):
    cluster, vrf, tenant = ClusterFactory(), VrfFactory(), TenantFactory()
    busy, idle = addresses(tenant), addresses(tenant, "10.5.0.0/24")
    is_held, may_end = Event(), Event()

    def hold() -> None:
        try:
            with tenant_scope(tenant.pk):
                next_address(tenant, cluster, busy.pool, lock=True)
                is_held.set()
                may_end.wait(20)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold)
        is_held.wait(20)
        with tenant_scope(tenant.pk), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            answer = next_address(tenant, cluster, idle.pool, lock=True)
        may_end.set()
        holder.result()

    assert answer == "10.5.0.1"
    assert vrf == idle.vrf
