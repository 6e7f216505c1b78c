"""Data of an earlier checkout: rows become objects and claims, a waiting plan a change set."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management.base import CommandError
from django.db import IntegrityError, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from deploy.local import database
from proxyconfig.domain import holdings, manifest, objects
from proxyconfig.domain.intent import Intent
from tenants.domain.claims import AddressClaim

BEFORE = [
    ("tenants", "0003_quotas"),
    ("proxyconfig", "0003_row_level_security"),
]
AFTER = [("tenants", "0007_change_set_quota"), ("proxyconfig", "0006_drop_policy_tables")]
ALIAS = "earlier"


@pytest.fixture(scope="module")
def earlier(services, django_db_blocker):
    """A database of its own at the earlier schema, as the owner's role."""
    parts = urlsplit(services.superuser_url)
    with psycopg.connect(services.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE earlier")
    with django_db_blocker.unblock():
        owner = connections["owner"].settings_dict
        database.bootstrap(
            urlunsplit(parts._replace(path="/earlier")),
            owner_password=owner["PASSWORD"],
            app_password=connections["default"].settings_dict["PASSWORD"],
        )
        connections.databases[ALIAS] = {**owner, "NAME": "earlier"}
        try:
            yield connections[ALIAS]
        finally:
            connections[ALIAS].close()
            del connections.databases[ALIAS]


@pytest.fixture(scope="module")
def moved(earlier) -> Any:
    """The models of now over rows that were written by the models of then."""
    _migrate(earlier, BEFORE)
    _fill(_models(earlier, BEFORE))
    _migrate(earlier, AFTER)
    return _models(earlier, AFTER)


def test_objects_say_what_the_current_revision_said(moved):
    intent = built(moved, "acme")

    assert [segment.name for segment in intent.segments] == ["front", "front-red"]
    assert [(pool.name, pool.addresses) for pool in intent.snat_pools] == [
        ("default", ("127.20.1.9", "127.20.1.1"))
    ]
    assert [policy.name for policy in intent.ingress_policies] == ["web"]
    assert [listener.name for listener in intent.listeners] == ["http-127-10-1-1-8080"]
    assert {entry.address for entry in intent.virtual_addresses} == {"127.10.1.1", "127.10.1.2"}
    (rule,) = intent.egress_policies[0].rules
    assert (rule.granted.by, rule.granted.at is not None) == ("ada", True)
    assert stored(moved, "acme") == intent


def test_what_waited_is_not_in_force_and_becomes_a_change_set(moved):
    """The earlier version wrote the rows of ``wide`` before anybody had approved it."""
    intent = built(moved, "acme")
    assert objects.Key("ingress-policies", "wide") not in objects.objects(intent)

    plan = model(moved, "proxyconfig", "Plan").get(state="AwaitingApproval")
    base, proposal = (manifest.from_mapping(kept) for kept in (plan.base, plan.intent))

    assert base == intent
    assert [(change["action"], change["name"]) for change in plan.changes] == [
        ("add", "http-127-10-1-1-80"),
        ("add", "wide"),
    ]
    assert plan.intent_hash == manifest.intent_hash(proposal)
    assert plan.expires_at is not None


def test_every_claim_has_one_owner_and_a_grant(moved):
    for slug in ("acme", "globex"):
        rows = model(moved, "tenants", "AddressClaim").filter(tenant__slug=slug, plan=None)
        wanted = {
            (claim.role.value, claim.address)
            for claim in holdings.claims(built(moved, slug))
            if isinstance(claim, AddressClaim)
        }
        assert set(rows.values_list("role", "address")) == wanted


def test_address_of_two_owners_stays_with_the_virtual_one_and_is_on_record(moved):
    """Globex's SNAT address was acme's virtual address; traffic really left from it."""
    assert built(moved, "globex").snat_pools == ()
    entry = model(moved, "tenants", "AuditEntry").get(event="address.dropped")
    assert (entry.tenant.slug, entry.object_name) == ("globex", "snat 127.10.1.2")
    globex = model(moved, "tenants", "Tenant").get(slug="globex")
    assert globex.generation == 2
    assert stored(moved, "globex") == built(moved, "globex")


def test_vrfs_that_names_alone_made_are_objects(moved):
    assert set(model(moved, "tenants", "Vrf").values_list("name", flat=True)) == {
        "default",
        "red",
    }


def test_two_clusters_of_the_local_proxy_stop_the_upgrade_until_one_goes(moved, earlier):
    clusters = model(moved, "tenants", "Cluster")
    east = clusters.create(name="east", flavour="local")
    one_local = [("tenants", "0009_one_local_cluster")]

    with pytest.raises(CommandError, match="Clusters local, east share the local proxy"):
        _migrate(earlier, one_local)
    assert clusters.filter(flavour="local").count() == 2
    east.delete()
    _migrate(earlier, one_local)

    with pytest.raises(IntegrityError, match="cluster_one_local"), transaction.atomic(ALIAS):
        clusters.create(name="east", flavour="local")
    _migrate(earlier, AFTER)


def model(apps: Any, app: str, name: str) -> Any:
    return apps.get_model(app, name).objects.using(ALIAS)


def built(apps: Any, slug: str) -> Intent:
    rows = model(apps, "proxyconfig", "IntentObject").filter(tenant__slug=slug)
    return objects.assemble(
        slug, (objects.read(row.collection, row.spec) for row in rows.order_by("pk"))
    )


def stored(apps: Any, slug: str) -> Intent:
    newest = model(apps, "proxyconfig", "Revision").filter(tenant__slug=slug)
    return manifest.from_mapping(newest.latest("generation").intent)


def _migrate(connection: Any, targets: list[tuple[str, str]]) -> None:
    MigrationExecutor(connection).migrate(targets)
    with connection.cursor() as cursor:
        # The owner's role is bound by row-level security too.
        cursor.execute("SELECT set_config('app.staff', 'on', false)")


def _models(connection: Any, targets: list[tuple[str, str]]) -> Any:
    return MigrationExecutor(connection).loader.project_state(targets).apps


def _fill(apps: Any) -> None:
    acme, globex = (
        model(apps, "tenants", "Tenant").create(slug=slug, name=slug, generation=1)
        for slug in ("acme", "globex")
    )
    cluster = model(apps, "tenants", "Cluster").create(name="local", flavour="local")
    ada = model(apps, "tenants", "User").create(username="ada", is_superuser=True)
    _network(apps, acme, cluster, "127.10.1.1", ("127.20.1.9", "127.20.1.1"), 101)
    _network(apps, globex, cluster, "127.10.2.1", ("127.10.1.2",), 102)
    _address(apps, acme, cluster, "127.10.1.2")
    model(apps, "tenants", "Subnet").create(
        tenant=acme,
        cluster=cluster,
        segment=model(apps, "tenants", "Segment").get(tenant=acme),
        vrf="red",
        prefix="10.102.0.0/24",
    )
    _policies(apps, acme, ada)
    _revision(apps, acme, cluster, with_wide=False)
    _revision(apps, globex, cluster, with_wide=False, is_bare=True)
    waiting = _document("acme", with_wide=True)
    model(apps, "proxyconfig", "Plan").create(
        tenant=acme,
        state="AwaitingApproval",
        author_name="alice",
        reason="open it",
        base_generation=1,
        intent=waiting,
        intent_hash="x",
        summary="1 added, 0 changed, 0 deleted",
        entries=[],
    )


def _network(
    apps: Any, tenant: Any, cluster: Any, address: str, snat: tuple[str, ...], tag: int
) -> None:
    here = {"tenant": tenant, "cluster": cluster}
    segment = model(apps, "tenants", "Segment").create(
        **here, name="front", kind="vlan", vlan_tag=tag
    )
    model(apps, "tenants", "Subnet").create(
        **here, segment=segment, prefix=f"10.{tag}.0.0/24", gateway=f"10.{tag}.0.1"
    )
    model(apps, "tenants", "Namespace").create(**here, name=tenant.slug)
    _address(apps, tenant, cluster, address)
    for entry in snat:
        model(apps, "tenants", "SnatAddress").create(**here, address=entry)
    model(apps, "proxyconfig", "Placement").create(**here)


def _address(apps: Any, tenant: Any, cluster: Any, address: str) -> None:
    model(apps, "tenants", "VirtualAddress").create(tenant=tenant, cluster=cluster, address=address)


def _policies(apps: Any, tenant: Any, ada: Any) -> None:
    """The rows as the waiting plan left them: ``wide`` is there."""
    virtual = model(apps, "tenants", "VirtualAddress").get(tenant=tenant, address="127.10.1.1")
    namespace = model(apps, "tenants", "Namespace").get(tenant=tenant)
    for name, port in (("web", 8080), ("wide", 80)):
        listener = model(apps, "proxyconfig", "Listener").create(
            tenant=tenant, virtual_address=virtual, port=port
        )
        model(apps, "proxyconfig", "IngressPolicy").create(
            tenant=tenant, name=name, listener=listener, namespace=namespace
        )
    policy = model(apps, "proxyconfig", "EgressPolicy").create(tenant=tenant, name="lab")
    model(apps, "proxyconfig", "EgressRule").create(
        tenant=tenant,
        policy=policy,
        order=1,
        network="10.9.0.0/24",
        ports=[443],
        granted_by=ada,
        granted_at=timezone.now(),
    )


def _revision(
    apps: Any, tenant: Any, cluster: Any, *, with_wide: bool, is_bare: bool = False
) -> None:
    document = _document(tenant.slug, with_wide=with_wide, is_bare=is_bare)
    plan = model(apps, "proxyconfig", "Plan").create(
        tenant=tenant,
        state="Applied",
        author_name="alice",
        reason="first",
        base_generation=0,
        intent=document,
        intent_hash="x",
        summary="",
        entries=[],
    )
    model(apps, "proxyconfig", "Revision").create(
        tenant=tenant,
        generation=1,
        plan=plan,
        intent=document,
        intent_hash="x",
        author_name="alice",
    )


def _document(slug: str, *, with_wide: bool, is_bare: bool = False) -> dict[str, Any]:
    """A manifest of ``sluice/v1``, as the earlier version stored it."""
    tag = 101 if slug == "acme" else 102
    subnets = [{"cidr": f"10.{tag}.0.0/24", "gateway": f"10.{tag}.0.1"}]
    if slug == "acme":
        subnets.append({"cidr": "10.102.0.0/24", "gateway": None})
    spec: dict[str, Any] = {
        "namespaces": [slug],
        "segments": [
            {
                "name": "front",
                "vlan": {"cluster": "local", "interface": "1.1", "tag": tag, "internal": False},
                "subnets": subnets,
                "vrf": "red" if slug == "acme" else None,
            }
        ],
        "snatPools": [
            {
                "name": "default",
                "addresses": ["127.20.1.9", "127.20.1.1"] if slug == "acme" else ["127.10.1.2"],
            }
        ],
    }
    if not is_bare:
        ports = (8080, 80) if with_wide else (8080,)
        spec["listeners"] = [
            {
                "name": f"http-127-10-1-1-{port}",
                "virtualAddress": "127.10.1.1",
                "port": port,
                "protocol": "http",
            }
            for port in ports
        ]
        spec["ingressPolicies"] = [
            {
                "name": name,
                "listener": f"http-127-10-1-1-{port}",
                "backend": {"namespace": "acme", "service": "ragapp", "port": 8080},
            }
            for name, port in zip(("web", "wide"), ports, strict=False)
        ]
        spec["egressPolicies"] = [
            {
                "name": "lab",
                "rules": [{"order": 1, "cidr": "10.9.0.0/24", "ports": [443], "granted": True}],
            }
        ]
    return {
        "apiVersion": "sluice/v1",
        "kind": "TenantIntent",
        "metadata": {"name": slug},
        "spec": spec,
    }
