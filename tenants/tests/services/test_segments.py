from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

from tenants.domain.actor import Actor
from tenants.errors import ConflictError, InvalidError
from tenants.models import (
    AuditEntry,
    Cluster,
    Flavour,
    Namespace,
    Segment,
    SegmentKind,
    Tenant,
    VirtualAddress,
    platform_scope,
    tenant_scope,
)
from tenants.services import segments
from tenants.services.segments import SegmentDraft, SubnetDraft, next_free_vlan_tag
from tenants.tests.factories import (
    ClusterFactory,
    SegmentFactory,
    SubnetFactory,
    TenantFactory,
)


def draft(cluster: Cluster, name: str = "front", **fields: object) -> SegmentDraft:
    return SegmentDraft(name=name, cluster=cluster, **{"vlan_tag": 101, **fields})


def test_save_segment_makes_it_with_its_subnets_and_audits(alice, cluster):
    wanted = draft(cluster, subnets=(SubnetDraft(prefix="10.1.0.0/24", gateway="10.1.0.1"),))

    with alice.acting() as actor:
        segment = segments.save_segment(alice.tenant, wanted, actor=actor)

        assert [str(subnet) for subnet in segment.subnets.all()] == ["10.1.0.0/24"]
        entry = AuditEntry.objects.get(event="segment.created")
    assert (entry.object_name, entry.detail) == ("front", {"identifier": "VLAN 101"})


def test_save_segment_replaces_subnets_whole(alice, cluster):
    with alice.acting() as actor:
        segment = segments.save_segment(
            alice.tenant, draft(cluster, subnets=(SubnetDraft(prefix="10.1.0.0/24"),)), actor=actor
        )
        changed = draft(cluster, "back", vlan_tag=102, subnets=(SubnetDraft(prefix="10.1.0.0/25"),))
        segments.save_segment(alice.tenant, changed, actor=actor, segment=segment)

        stored = Segment.objects.get()
        assert (stored.name, stored.vlan_tag) == ("back", 102)
        assert [str(subnet) for subnet in stored.subnets.all()] == ["10.1.0.0/25"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"vlan_tag": None}, "vlan_tag"),
        ({"vni": 7}, "vlan_tag"),
        ({"vlan_tag": 4095}, "vlan_tag"),
        ({"kind": SegmentKind.VXLAN, "vlan_tag": None}, "vni"),
        ({"kind": SegmentKind.SUBNET}, "vlan_tag"),
        ({"name": "Front Door"}, "name"),
        ({"subnets": (SubnetDraft(prefix="10.1.0.1/24"),)}, "subnets"),
        ({"subnets": (SubnetDraft(prefix="10.1.0.0/24", gateway="10.2.0.1"),)}, "subnets"),
    ],
)
def test_save_segment_names_the_field_that_cannot_be_taken(alice, cluster, fields, field):
    with pytest.raises(InvalidError) as refusal, alice.acting() as actor:
        segments.save_segment(alice.tenant, draft(cluster, **fields), actor=actor)

    assert list(refusal.value.fields) == [field]


def test_taken_vlan_of_another_tenant_is_not_named_but_the_next_free_one_is(alice, globex, cluster):
    SegmentFactory(tenant=globex, cluster=cluster, name="secret", vlan_tag=101)

    with pytest.raises(ConflictError) as refusal, alice.acting() as actor:
        segments.save_segment(alice.tenant, draft(cluster), actor=actor)

    assert refusal.value.message == (
        "VLAN 101 on trunk 1.1 of cluster local is already taken. The next free tag is 102."
    )


def test_taken_vlan_of_the_same_tenant_is_named(alice, cluster):
    SegmentFactory(tenant=alice.tenant, cluster=cluster, name="first", vlan_tag=101)

    with pytest.raises(ConflictError, match="taken by segment first of tenant acme"):
        _save(alice, draft(cluster))


def test_platform_admin_learns_who_has_it(ada, globex, cluster):
    SegmentFactory(tenant=globex, cluster=cluster, name="secret", vlan_tag=101)

    with pytest.raises(ConflictError, match="taken by segment secret of tenant globex"):
        _save(ada, draft(cluster))


def test_taken_vni_is_refused(alice, globex, cluster):
    SegmentFactory(tenant=globex, cluster=cluster, kind="vxlan", vlan_tag=None, vni=5000)

    with pytest.raises(ConflictError, match="VNI 5000 of cluster local is already taken"):
        _save(alice, draft(cluster, kind=SegmentKind.VXLAN, vlan_tag=None, vni=5000))


@pytest.mark.parametrize("prefix", ["10.1.0.0/24", "10.1.0.128/25", "10.0.0.0/8"])
def test_overlapping_subnet_is_refused(alice, globex, cluster, prefix):
    SubnetFactory(segment=SegmentFactory(tenant=globex, cluster=cluster), prefix="10.1.0.0/24")

    with pytest.raises(ConflictError, match=rf"Subnet {prefix} \(VRF default .* already taken\."):
        _save(alice, draft(cluster, subnets=(SubnetDraft(prefix=prefix),)))


def test_overlap_with_the_tenants_own_subnet_names_it(alice, cluster):
    SubnetFactory(segment=SegmentFactory(tenant=alice.tenant, cluster=cluster), prefix="fd00::/64")

    with pytest.raises(ConflictError, match="taken by subnet fd00::/64 of tenant acme"):
        _save(alice, draft(cluster, subnets=(SubnetDraft(prefix="fd00::/48"),)))


def test_same_subnet_in_another_vrf_or_cluster_is_taken_on_purpose(alice, globex, cluster):
    SubnetFactory(segment=SegmentFactory(tenant=globex, cluster=cluster), prefix="10.1.0.0/24")
    elsewhere = ClusterFactory(name="elsewhere", flavour=Flavour.GATEWAY)

    _save(alice, draft(cluster, subnets=(SubnetDraft(prefix="10.1.0.0/24", vrf="blue"),)))
    _save(alice, draft(elsewhere, "back", subnets=(SubnetDraft(prefix="10.1.0.0/24"),)))


def test_namespace_and_addresses_have_one_owner(alice, charlie, cluster):
    adders = {
        "Namespace shop": lambda who, actor: segments.add_namespace(
            who.tenant, cluster, "shop", actor=actor
        ),
        "Virtual address 127.10.9.9": lambda who, actor: segments.add_virtual_address(
            who.tenant, cluster, "127.10.9.9", actor=actor
        ),
        "SNAT address 127.20.9.9": lambda who, actor: segments.add_snat_address(
            who.tenant, cluster, "127.20.9.9", actor=actor
        ),
    }

    for what, add in adders.items():
        with alice.acting() as actor:
            add(alice, actor)
        with pytest.raises(ConflictError) as refusal, charlie.acting() as actor:
            add(charlie, actor)
        assert refusal.value.message == f"{what} of cluster local is already taken."


def test_mapped_address_is_the_same_address(alice, cluster):
    with alice.acting() as actor:
        segments.add_virtual_address(alice.tenant, cluster, "127.10.9.9", actor=actor)

    with pytest.raises(ConflictError, match=r"127\.10\.9\.9"), alice.acting() as actor:
        segments.add_virtual_address(alice.tenant, cluster, "::ffff:127.10.9.9", actor=actor)


def test_remove_gives_the_address_back(alice, charlie, cluster):
    with alice.acting() as actor:
        row = segments.add_virtual_address(alice.tenant, cluster, "127.10.9.9", actor=actor)
        segments.remove(row, actor=actor)

    with charlie.acting() as actor:
        segments.add_virtual_address(charlie.tenant, cluster, "127.10.9.9", actor=actor)


def test_next_free_vlan_tag_wraps_and_counts_every_tenant(db, cluster):
    for tag in (1, 2, 4094):
        SegmentFactory(cluster=cluster, vlan_tag=tag)

    assert next_free_vlan_tag(cluster, "1.1") == 3
    assert next_free_vlan_tag(cluster, "1.1", after=4093) == 3
    assert next_free_vlan_tag(cluster, "1.2", after=4093) == 4094


def _save(who, wanted: SegmentDraft) -> Segment:
    with who.acting() as actor:
        return segments.save_segment(who.tenant, wanted, actor=actor)


@pytest.mark.parametrize("what", ["vlan", "virtual address", "namespace"])
def test_one_of_two_concurrent_owners_wins(transactional_db, services, what):
    cluster = ClusterFactory()
    tenants = [TenantFactory(), TenantFactory()]
    together, outcomes = Barrier(2, timeout=60), []
    attempts = [Thread(target=_race, args=(t, cluster, what, together, outcomes)) for t in tenants]

    for attempt in attempts:
        attempt.start()
    for attempt in attempts:
        attempt.join(timeout=60)

    assert sorted(outcomes) == ["conflict", "won"]
    with platform_scope("test"):
        rows = {"vlan": Segment, "virtual address": VirtualAddress, "namespace": Namespace}[what]
        assert rows.objects.count() == 1


def _race(
    tenant: Tenant, cluster: Cluster, what: str, together: Barrier, outcomes: list[str]
) -> None:
    actor = Actor(name="racer")
    try:
        with tenant_scope(tenant.pk), transaction.atomic():
            together.wait()
            if what == "vlan":
                segments.save_segment(tenant, draft(cluster), actor=actor)
            elif what == "namespace":
                segments.add_namespace(tenant, cluster, "shop", actor=actor)
            else:
                segments.add_virtual_address(tenant, cluster, "127.10.9.9", actor=actor)
        outcomes.append("won")
    except ConflictError:
        outcomes.append("conflict")
    finally:
        connection.close()
