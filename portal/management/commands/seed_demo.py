"""``manage.py seed_demo``: an address space, a template, and two tenants made from it."""

from dataclasses import dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from proxyconfig import facade
from ragapp.services.corpora import save_corpus
from tenants.domain.actor import Actor
from tenants.domain.claims import DEFAULT_VRF
from tenants.domain.roles import PlatformRole
from tenants.models.pool import Purpose
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Cluster, Flavour, Tenant
from tenants.models.vrf import Vrf
from tenants.services import pools
from tenants.services.clusters import ensure_cluster

_SEEDER = Actor(name="system:seed-demo", platform_role=PlatformRole.ADMIN)


@dataclass(frozen=True, slots=True)
class _Demo:
    slug: str
    name: str
    vlan_tag: int
    subnet: str
    virtual_address: str
    snat_address: str


# Documentation, images and the end-to-end tests name these values.
DEMOS = (
    _Demo("acme", "Acme Robotics", 101, "10.101.0.0", "127.10.1.1", "127.20.1.1"),
    _Demo("globex", "Globex Research", 102, "10.102.0.0", "127.10.2.1", "127.20.2.1"),
)


class Command(BaseCommand):
    """Makes a local cluster and two tenants without policies, so that everything is denied."""

    help = "Make the demo's cluster, address space, template and tenants, if there is no tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        """By default nothing is made on a platform that is in use."""
        parser.add_argument("--beside", action="store_true", help="Also where there are tenants.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run; a second run changes nothing."""
        in_the_way = Tenant.objects.all()
        if options["beside"]:
            in_the_way = in_the_way.filter(slug__in=[demo.slug for demo in DEMOS])
        with platform_scope("seed demo"):
            if in_the_way.exists():
                self.stdout.write("There are tenants already; nothing was changed.")
                return
            ensure_cluster("local", Flavour.LOCAL)
            cluster = Cluster.objects.get(name="local")
            _make_space(cluster)
            facade.save_template(
                "standard",
                _standard(cluster),
                actor=_SEEDER,
                description="A VLAN with one subnet, one virtual and one SNAT address.",
            )
        for demo in DEMOS:  # A transaction each: a tenant is locked before any address pool.
            with platform_scope("seed demo"):
                _seed(demo)
        self.stdout.write(f"Tenants {' and '.join(demo.slug for demo in DEMOS)} were made.")


def _make_space(cluster: Cluster) -> None:
    vrf = Vrf.objects.get(name=DEFAULT_VRF)
    for name, prefix, purpose, description in (
        ("virtual", "127.10.0.0/16", Purpose.ADDRESSES, "Addresses that clients connect to."),
        ("snat", "127.20.0.0/16", Purpose.ADDRESSES, "Source addresses of the tenants."),
        ("tenants", "10.96.0.0/11", Purpose.SUBNETS, "Subnets of the tenants' segments."),
    ):
        pools.save_pool(name, vrf, prefix, purpose, actor=_SEEDER, description=description)
    pools.save_vlan_range("vlans", cluster, (101, 199), actor=_SEEDER)
    pools.save_vni_range("vnis", cluster, (10000, 10999), actor=_SEEDER)


def _standard(cluster: Cluster) -> dict[str, Any]:
    """The template's JSON: what REST takes too."""
    return {
        "cluster": cluster.name,
        "segments": [
            {
                "name": "{tenant}-vlan",
                "vlanRange": "vlans",
                "subnets": [{"pool": "tenants", "length": 24, "gateway": False}],
            }
        ],
        "virtualAddresses": [{"pool": "virtual", "count": 1}],
        "snatAddresses": [{"pool": "snat", "count": 1}],
        "namespaces": ["{tenant}"],
        "namespaceGrants": ["{tenant}-*"],
    }


def _seed(demo: _Demo) -> None:
    tenant = facade.create_tenant_from(
        "standard",
        slug=demo.slug,
        name=demo.name,
        actor=_SEEDER,
        reason="Demo network",
        begin={
            "vlan_tag": demo.vlan_tag,
            "subnet": demo.subnet,
            "virtual_address": demo.virtual_address,
            "snat_address": demo.snat_address,
        },
    )
    with tenant_scope(tenant.pk):
        save_corpus(tenant, name="docs", urls=[], actor=_SEEDER, description="Sluice's own manual")
