"""``manage.py seed_demo``: two tenants to try Sluice with, where there are none."""

from dataclasses import dataclass
from typing import Any

from django.core.management.base import BaseCommand

from ragapp.services.corpora import save_corpus
from tenants.domain.actor import Actor
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.segment import SegmentKind
from tenants.models.tenant import Cluster, Flavour, Tenant
from tenants.services import segments
from tenants.services.changes import network_change
from tenants.services.tenants import create_tenant

_SEEDER = Actor(name="system:seed-demo", is_platform_admin=True)


@dataclass(frozen=True, slots=True)
class _Demo:
    slug: str
    name: str
    vlan_tag: int
    subnet: str
    virtual_address: str
    snat_address: str


DEMOS = (
    _Demo("acme", "Acme Robotics", 101, "10.101.0.0/24", "127.10.1.1", "127.20.1.1"),
    _Demo("globex", "Globex Research", 102, "10.102.0.0/24", "127.10.2.1", "127.20.2.1"),
)


class Command(BaseCommand):
    """Makes a local cluster and two tenants without policies, so that everything is denied."""

    help = "Make the demo's cluster and tenants, if there is no tenant."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run; a second run changes nothing."""
        with platform_scope("seed demo"):
            if Tenant.objects.exists():
                self.stdout.write("There are tenants already; nothing was changed.")
                return
            cluster, _ = Cluster.objects.get_or_create(
                name="local", defaults={"flavour": Flavour.LOCAL.value}
            )
            for demo in DEMOS:
                _seed(demo, cluster)
        self.stdout.write(f"Tenants {' and '.join(demo.slug for demo in DEMOS)} were made.")


def _seed(demo: _Demo, cluster: Cluster) -> None:
    tenant = create_tenant(demo.slug, demo.name, actor=_SEEDER)
    with tenant_scope(tenant.pk):
        with network_change(tenant, actor=_SEEDER, reason="Demo network"):
            draft = segments.SegmentDraft(
                name=f"{demo.slug}-vlan",
                cluster=cluster,
                kind=SegmentKind.VLAN,
                vlan_tag=demo.vlan_tag,
                subnets=(segments.SubnetDraft(prefix=demo.subnet),),
            )
            segments.save_segment(tenant, draft, actor=_SEEDER)
            segments.add_namespace(tenant, cluster, demo.slug, actor=_SEEDER)
            segments.add_virtual_address(tenant, cluster, demo.virtual_address, actor=_SEEDER)
            segments.add_snat_address(tenant, cluster, demo.snat_address, actor=_SEEDER)
        save_corpus(tenant, name="docs", urls=[], actor=_SEEDER, description="Sluice's own manual")
