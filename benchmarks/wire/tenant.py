"""A tenant with one address to open and close, through the product's own services.

Imported only after Django is set up.
"""

from dataclasses import dataclass

from proxyconfig.domain import edits, objects
from proxyconfig.domain.edits import IngressDraft
from proxyconfig.domain.intent import Namespace, VirtualAddress
from proxyconfig.domain.objects import Key
from proxyconfig.services import plans
from tenants.domain.actor import Actor
from tenants.domain.claims import DEFAULT_VRF
from tenants.domain.roles import PlatformRole
from tenants.models import NamespaceGrant, PrefixGrant, Purpose, Vrf
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Cluster, Tenant
from tenants.services.tenants import create_tenant

SLUG = "bench"
_ACTOR = Actor(name="system:benchmark", platform_role=PlatformRole.ADMIN)


@dataclass(frozen=True, slots=True)
class Scene:
    """The tenant's one address, closed at first."""

    tenant: Tenant
    draft: IngressDraft

    def open_address(self) -> None:
        """Add the ingress policy; returns once it is committed."""
        self.propose(edits.save_ingress(self.draft))

    def close_address(self) -> None:
        """Take it away again."""
        self.propose(edits.delete(Key("ingress-policies", self.draft.name)))

    def propose(self, edit: edits.Edit) -> None:
        """Make a change; returns once it is committed."""
        with tenant_scope(self.tenant.pk):
            plans.propose(self.tenant, edit, actor=_ACTOR, reason="benchmark")


def make(address: str, port: int) -> Scene:
    """The tenant, on the local cluster that the demo has made."""
    with platform_scope("benchmark"):
        cluster = Cluster.objects.get(name="local")
        tenant = create_tenant(SLUG, "Benchmark", actor=_ACTOR)
        NamespaceGrant.objects.create(tenant=tenant, cluster=cluster, pattern=SLUG)
        PrefixGrant.objects.create(
            tenant=tenant,
            vrf=Vrf.objects.get(name=DEFAULT_VRF),
            prefix=f"{address}/32",
            purpose=Purpose.ADDRESSES.value,
        )
    held = (
        Namespace(name=SLUG, cluster=cluster.name),
        VirtualAddress(address=address, cluster=cluster.name),
    )
    draft = IngressDraft(name="web", virtual_address=address, port=port, namespace=SLUG)
    scene = Scene(tenant, draft)
    scene.propose(lambda intent: objects.put(intent, *held))
    return scene
