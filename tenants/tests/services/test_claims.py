"""Claims: written with stable keys, only from grants, with refusals that name what may be named."""

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.tests.factories import PlanFactory
from tenants.domain.actor import system
from tenants.domain.claims import (
    AddressClaim,
    AddressRole,
    Claim,
    NamespaceClaim,
    SubnetClaim,
    VlanClaim,
    VniClaim,
)
from tenants.errors import ConflictError, InvalidError, TransientError
from tenants.models import claim as stored
from tenants.models import platform_scope, tenant_scope
from tenants.services import claim_kinds, claims
from tenants.tests.factories import (
    AddressPoolFactory,
    ClusterFactory,
    NamespaceGrantFactory,
    PrefixGrantFactory,
    ReservedFactory,
    TenantFactory,
    VlanGrantFactory,
    VniGrantFactory,
)

ADDRESSES, SUBNETS = "10.4.7.0/24", "10.8.0.0/16"


@pytest.fixture
def granted(acme, globex, cluster):
    """Both tenants may take the same of everything."""
    addresses = AddressPoolFactory(name="vips", prefix=ADDRESSES)
    subnets = AddressPoolFactory(name="subnets", prefix=SUBNETS, purpose="subnets")
    for tenant in (acme, globex):
        PrefixGrantFactory(tenant=tenant, pool=addresses)
        PrefixGrantFactory(tenant=tenant, pool=subnets)
        VlanGrantFactory(tenant=tenant, cluster=cluster)
        VniGrantFactory(tenant=tenant, cluster=cluster)
        NamespaceGrantFactory(tenant=tenant, cluster=cluster, pattern="shop*")


def virtual(address="10.4.7.9", **fields) -> AddressClaim:
    return AddressClaim(
        **{
            "cluster": "local",
            "vrf": "default",
            "address": address,
            "role": AddressRole.VIRTUAL,
            "user": "listener web",
            **fields,
        }
    )


def subnet(prefix="10.8.1.0/24", user="segment front") -> SubnetClaim:
    return SubnetClaim(cluster="local", vrf="default", prefix=prefix, user=user)


def self_ip(address="10.8.1.2", within="10.8.1.0/24") -> AddressClaim:
    return virtual(address, role=AddressRole.SELF_IP, subnet=within, user="self-ip front")


VLAN = VlanClaim(cluster="local", trunk="1.1", tag=101, user="segment front")
VNI = VniClaim(cluster="local", vni=5000, user="segment overlay")
NAMESPACE = NamespaceClaim(cluster="local", name="shop", user="namespace shop")
EVERYTHING: tuple[Claim, ...] = (NAMESPACE, VLAN, VNI, subnet(), self_ip(), virtual())


def wanted(*found: Claim) -> frozenset[Claim]:
    return frozenset(found)


def write(person, before, after, **fields) -> None:
    with person.acting() as actor:
        claims.write(person.tenant, wanted(*before), wanted(*after), actor=actor, **fields)


def keys() -> dict[str, int]:
    with platform_scope("test"):
        return {
            f"{model.__name__} {row}": row.pk
            for model in (
                stored.NamespaceClaim,
                stored.VlanClaim,
                stored.VniClaim,
                stored.SubnetClaim,
                stored.AddressClaim,
            )
            for row in model.objects.all()
        }


def test_write_makes_rows_and_keeps_their_keys(alice, granted):
    write(alice, (), EVERYTHING)
    first = keys()

    write(alice, EVERYTHING, (*EVERYTHING, virtual("10.4.7.10")))
    second = keys()
    write(alice, (*EVERYTHING, virtual("10.4.7.10")), (virtual(),))

    assert len(first) == 6
    assert {name: second[name] for name in first} == first
    assert keys() == {"AddressClaim 10.4.7.9": first["AddressClaim 10.4.7.9"]}


def test_check_writes_nothing_and_knows_subnets_that_are_to_come(alice, granted):
    with alice.acting() as actor:
        claims.check(alice.tenant, wanted(*EVERYTHING), actor=actor)

    assert keys() == {}


def test_check_of_what_is_there_already_asks_for_nothing_more(alice, granted):
    write(alice, (), EVERYTHING)

    with alice.acting() as actor:
        claims.check(alice.tenant, wanted(*EVERYTHING), actor=actor)


@pytest.mark.django_db(transaction=True)
def test_one_of_two_concurrent_writers_wins(services):
    cluster, pool = ClusterFactory(), AddressPoolFactory(name="vips", prefix=ADDRESSES)
    tenants = [TenantFactory(), TenantFactory()]
    start = Barrier(2)
    for tenant in tenants:
        PrefixGrantFactory(tenant=tenant, pool=pool)

    def attempt(tenant) -> str:
        try:
            with tenant_scope(tenant.pk):
                claim = virtual(cluster=cluster.name)
                claims.write(tenant, wanted(), wanted(claim), actor=system("test"))
        except ConflictError as error:
            return error.message
        except TransientError:  # Each waited for the other; doors try again, and so does this.
            return attempt(tenant)
        return "won"

    def one(tenant) -> str:
        start.wait()
        try:
            return attempt(tenant)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool_of_threads:
        ends = sorted(pool_of_threads.map(one, tenants))

    assert ends == [
        "Address 10.4.7.9 (VRF default) of cluster local is already taken by another tenant."
        " The next free address is 10.4.7.10.",
        "won",
    ]


def test_second_write_of_the_same_changes_nothing(alice, granted, django_assert_num_queries):
    write(alice, (), EVERYTHING)

    with alice.acting() as actor, django_assert_num_queries(2):  # A savepoint and its end.
        claims.write(alice.tenant, wanted(*EVERYTHING), wanted(*EVERYTHING), actor=actor)


def test_write_counts_few_statements(alice, granted, django_assert_max_num_queries):
    with alice.acting() as actor, django_assert_max_num_queries(20):
        claims.write(alice.tenant, wanted(), wanted(*EVERYTHING), actor=actor)


def test_write_changes_the_user_alone(alice, granted):
    write(alice, (), [virtual()])
    before = keys()

    write(alice, [virtual()], [virtual(user="listener shop")])

    assert keys() == before
    with alice.acting():
        assert stored.AddressClaim.objects.get().user == "listener shop"


def test_addresses_swap_roles_in_one_write(alice, granted):
    snat = virtual("10.4.7.10", role=AddressRole.SNAT)
    write(alice, (), [virtual(), snat])
    swapped = virtual("10.4.7.10"), virtual(role=AddressRole.SNAT)

    write(alice, [virtual(), snat], swapped)

    with alice.acting():
        rows = stored.AddressClaim.objects.values_list("address", "role")
        assert sorted(rows) == [("10.4.7.10", "virtual"), ("10.4.7.9", "snat")]


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        (
            NamespaceClaim(cluster="local", name="kube-system"),
            "Namespace kube-system of cluster local is not granted to tenant acme."
            " It may take shop*. Ask platform NetOps for a grant.",
        ),
        (
            virtual("8.8.8.8"),
            "Address 8.8.8.8 (VRF default) of cluster local is not granted to tenant acme."
            " It may take 10.4.7.0/24. Ask platform NetOps for a grant.",
        ),
        (
            subnet("10.4.7.0/25"),
            "Subnet 10.4.7.0/25 (VRF default) of cluster local is not granted to tenant acme."
            " It may take 10.8.0.0/16. Ask platform NetOps for a grant.",
        ),
        (
            self_ip(),
            "Address 10.8.1.2 (VRF default) of cluster local is not granted to tenant acme."
            " It is granted nothing of this kind here. Ask platform NetOps for a grant.",
        ),
        (VlanClaim(cluster="local", trunk="1.2", tag=7), "may take VLAN 1-4094 on trunk 1.1"),
        (VlanClaim(cluster="moon", trunk="1.1", tag=7), "There is no cluster moon."),
        (virtual(vrf="red"), "There is no VRF red."),
    ],
)
def test_what_was_not_granted_is_refused_with_what_was(alice, granted, claim, says):
    with pytest.raises(InvalidError) as refused:
        write(alice, (), [claim])
    with pytest.raises(InvalidError) as foreseen, alice.acting() as actor:
        claims.check(alice.tenant, wanted(claim), actor=actor)

    assert says in refused.value.message
    assert (refused.value.code, foreseen.value.message) == ("not-granted", refused.value.message)
    assert keys() == {}


@pytest.mark.parametrize(
    ("claim", "mine", "says", "free"),
    [
        (
            NAMESPACE,
            NAMESPACE,
            "Namespace shop of cluster local",
            "",
        ),
        (
            VLAN,
            VLAN,
            "VLAN 101 on trunk 1.1 of cluster local",
            " The next free tag is 102.",
        ),
        (
            VNI,
            VNI,
            "VNI 5000 of cluster local",
            " The next free VNI is 5001.",
        ),
        (
            subnet("10.8.0.0/23"),
            subnet(),
            "Subnet 10.8.1.0/24 (VRF default) of cluster local",
            " The next free prefix is 10.8.2.0/24.",
        ),
        (
            virtual(role=AddressRole.SNAT),
            virtual(),
            "Address 10.4.7.9 (VRF default) of cluster local",
            " The next free address is 10.4.7.10.",
        ),
    ],
)
def test_neighbours_claim_is_refused_without_its_name(
    alice, charlie, granted, claim, mine, says, free
):
    write(charlie, (), [claim])

    with pytest.raises(ConflictError) as refused:
        write(alice, (), [mine])
    with pytest.raises(ConflictError) as foreseen, alice.acting() as actor:
        claims.check(alice.tenant, wanted(mine), actor=actor)

    assert refused.value.message == f"{says} is already taken by another tenant.{free}"
    assert refused.value.code == "taken"
    assert foreseen.value.message == refused.value.message


def test_platform_staff_learn_whose_it_is(ada, charlie, granted):
    write(charlie, (), [virtual(role=AddressRole.SNAT, user="SNAT pool web")])

    with pytest.raises(ConflictError, match=r"by SNAT pool web \(10\.4\.7\.9\) of tenant globex\."):
        write(ada, (), [virtual()])


def test_own_claim_in_the_way_is_named(alice, granted):
    write(alice, (), [virtual(role=AddressRole.SNAT, user="SNAT pool web")])

    with pytest.raises(ConflictError, match=r"is already taken by SNAT pool web \(10\.4\.7\.9\)\."):
        write(alice, (), [virtual()])


@pytest.mark.parametrize(
    "twice",
    [
        [virtual(), virtual(role=AddressRole.SNAT, user="SNAT pool web")],
        [subnet("10.8.0.0/22"), subnet("10.8.1.0/24", user="segment back")],
    ],
)
def test_what_one_change_wants_twice_is_refused(alice, granted, twice):
    with pytest.raises(ConflictError, match="is wanted twice in this change"):
        write(alice, (), twice)


def test_reserved_prefix_is_refused_by_name_only_to_staff(alice, ada, granted, cluster):
    ReservedFactory(cluster=cluster, address="10.4.7.8/29", user="routers")

    with pytest.raises(ConflictError, match=r"is reserved by the platform\. The next free"):
        write(alice, (), [virtual()])
    with pytest.raises(ConflictError, match=r"is reserved by the platform: routers \(10.4.7.8/29"):
        write(ada, (), [virtual()])


def test_other_clusters_are_other_networks(alice, charlie, granted):
    ClusterFactory(name="second")
    write(charlie, (), [virtual()])

    write(alice, (), [virtual(cluster="second")])

    assert len(claims_of(alice.tenant)) == 1


def test_virtual_address_may_lie_in_a_subnet_of_the_tenants_own(alice, charlie, granted):
    write(charlie, (), [subnet()])

    write(charlie, [subnet()], [subnet(), virtual("10.8.1.9")])
    with pytest.raises(InvalidError, match="is not granted to tenant acme"):
        write(alice, (), [virtual("10.8.1.10")])


def test_plan_holds_what_it_wants_until_it_ends(alice, charlie, granted):
    plan = PlanFactory(tenant=alice.tenant)
    with alice.acting() as actor:
        claims.hold(alice.tenant, wanted(*EVERYTHING), plan.pk, actor=actor)
        claims.hold(alice.tenant, wanted(*EVERYTHING), plan.pk, actor=actor)

    with pytest.raises(ConflictError, match="is already taken by another tenant"):
        write(charlie, (), [virtual()])
    with pytest.raises(ConflictError, match=rf"is held for plan {plan.pk}, by listener web"):
        write(alice, (), [virtual()])
    assert len(keys()) == 6

    with alice.acting():
        claims.release(plan.pk)
    write(charlie, (), [virtual()])


def test_approved_plan_turns_what_it_holds_into_claims(alice, granted):
    plan = PlanFactory(tenant=alice.tenant)
    dropped = virtual("10.4.7.77")
    with alice.acting() as actor:
        claims.hold(alice.tenant, wanted(*EVERYTHING, dropped), plan.pk, actor=actor)
    held = keys()

    write(alice, (), (*EVERYTHING, virtual("10.4.7.10")), plan=plan.pk)

    assert {name: held[name] for name in held if "10.4.7.77" not in name}.items() <= keys().items()
    assert "AddressClaim 10.4.7.77" not in keys()
    assert [row.plan_id for row in claims_of(alice.tenant)] == [None] * 7


def test_claims_of_a_deleted_plan_go_with_it(alice, granted):
    plan = PlanFactory(tenant=alice.tenant)
    with alice.acting() as actor:
        claims.hold(alice.tenant, wanted(virtual()), plan.pk, actor=actor)
        plan.delete()

    assert keys() == {}


def test_plan_that_changes_an_own_claim_holds_the_rest(alice, granted):
    write(alice, (), [subnet("10.8.1.0/25"), virtual()])
    plan = PlanFactory(tenant=alice.tenant)
    proposed = wanted(
        subnet("10.8.1.0/24"), self_ip(), virtual(role=AddressRole.SNAT), virtual("10.4.7.10")
    )

    with alice.acting() as actor:
        claims.check(alice.tenant, proposed, actor=actor)
        claims.hold(alice.tenant, proposed, plan.pk, actor=actor)
    held = [str(row) for row in claims_of(alice.tenant) if row.plan_id]
    with alice.acting() as actor:
        before = wanted(subnet("10.8.1.0/25"), virtual())
        claims.write(alice.tenant, before, proposed, actor=actor, plan=plan.pk)

    assert sorted(held) == ["10.4.7.10", "10.8.1.128/25"]
    assert sorted(map(str, claims_of(alice.tenant))) == [
        "10.4.7.10",
        "10.4.7.9",
        "10.8.1.0/24",
        "10.8.1.2",
    ]


def test_new_part_of_a_subnet_that_grows_is_held_for_its_plan(alice, granted):
    write(alice, (), [subnet("10.8.1.0/26"), subnet("10.8.1.192/27")])
    plan = PlanFactory(tenant=alice.tenant)
    with alice.acting() as actor:
        claims.hold(alice.tenant, wanted(subnet("10.8.1.0/24")), plan.pk, actor=actor)

    assert sorted(str(row) for row in claims_of(alice.tenant) if row.plan_id) == [
        "10.8.1.128/26",
        "10.8.1.224/27",
        "10.8.1.64/26",
    ]
    with pytest.raises(ConflictError, match=rf"is held for plan {plan.pk}"):
        write(alice, (), [subnet("10.8.1.64/28")])

    with alice.acting():
        claims.release(plan.pk)
    write(alice, (), [subnet("10.8.1.64/28")])


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(4, 8)), max_size=4),
    st.tuples(st.integers(0, 255), st.integers(0, 8)),
)
def test_parts_without_what_is_taken_are_the_other_addresses(taken, whole):
    networks = [
        str(ipaddress.ip_network(f"10.0.0.{at}/{24 + length}", strict=False))
        for at, length in (*taken, whole)
    ]
    left = claim_kinds.without(networks[-1], networks[:-1])

    addresses = [set(ipaddress.ip_network(text)) for text in networks]
    assert sum(part.num_addresses for part in left) == len(set().union(*left))
    assert set().union(*left) == addresses[-1] - set().union(*addresses[:-1])


def test_deleted_subnet_takes_its_addresses_along_or_stays(alice, granted):
    write(alice, (), [subnet(), self_ip()])

    write(alice, [subnet(), self_ip()], ())

    assert keys() == {}


def test_address_in_a_subnet_that_grows_is_taken_from_the_new_one(alice, granted):
    before = [subnet("10.8.1.0/25"), virtual("10.8.1.9")]
    after = [subnet("10.8.1.0/24"), virtual("10.8.1.9")]
    write(alice, (), before)

    write(alice, before, after)

    with alice.acting():
        assert stored.AddressClaim.objects.get().subnet_prefix == "10.8.1.0/24"


def test_subnet_with_an_address_held_for_a_plan_stays(alice, granted):
    write(alice, (), [subnet()])
    plan = PlanFactory(tenant=alice.tenant)
    with alice.acting() as actor:
        claims.hold(alice.tenant, wanted(self_ip()), plan.pk, actor=actor)

    with pytest.raises(ConflictError, match=rf"10\.8\.1\.2 .*, held for plan {plan.pk}\.") as used:
        write(alice, [subnet()], [])

    assert used.value.code == "in-use"


def claims_of(tenant) -> list[stored.ClaimRow]:
    with platform_scope("test"):
        return [
            row for kind in claim_kinds.KINDS for row in kind.model.objects.filter(tenant=tenant)
        ]
