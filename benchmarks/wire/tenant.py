"""A tenant with one address to open and close, through the product's own services.

Imported only after Django is set up.
"""

from dataclasses import dataclass

from proxyconfig.models import IngressPolicy
from proxyconfig.services.policies import IngressDraft, delete_ingress, save_ingress
from tenants.domain.actor import Actor
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Cluster, Tenant
from tenants.services import segments
from tenants.services.changes import network_change
from tenants.services.tenants import create_tenant

SLUG = "bench"
_ACTOR = Actor(name="system:benchmark", is_platform_admin=True)


@dataclass(frozen=True, slots=True)
class Scene:
    """The tenant's one address, closed at first."""

    tenant: Tenant
    draft: IngressDraft

    def open_address(self) -> None:
        """Add the ingress policy; returns once it is committed."""
        with tenant_scope(self.tenant.pk):
            save_ingress(self.tenant, self.draft, actor=_ACTOR, reason="benchmark")

    def close_address(self) -> None:
        """Take it away again."""
        with tenant_scope(self.tenant.pk):
            delete_ingress(IngressPolicy.objects.get(), actor=_ACTOR, reason="benchmark")


def make(address: str, port: int) -> Scene:
    """The tenant, on the local cluster that the demo has made."""
    with platform_scope("benchmark"):
        cluster = Cluster.objects.get(name="local")
        tenant = create_tenant(SLUG, "Benchmark", actor=_ACTOR)
    with tenant_scope(tenant.pk), network_change(tenant, actor=_ACTOR, reason="benchmark"):
        segments.add_namespace(tenant, cluster, SLUG, actor=_ACTOR)
        segments.add_virtual_address(tenant, cluster, address, actor=_ACTOR)
    draft = IngressDraft(name="web", virtual_address=address, port=port, namespace=SLUG)
    return Scene(tenant, draft)
