"""What a tenant of a test may take and has: grants of exactly that, rows, and a revision."""

from proxyconfig.domain import holdings, objects
from proxyconfig.domain.intent import Intent
from proxyconfig.models import Plan
from proxyconfig.services import plans
from proxyconfig.services.rows import build_intent, write_rows
from tenants.domain.actor import Actor
from tenants.domain.claims import (
    AddressClaim,
    Claim,
    NamespaceClaim,
    SubnetClaim,
    VlanClaim,
    VniClaim,
)
from tenants.models import (
    Cluster,
    NamespaceGrant,
    PrefixGrant,
    Tenant,
    VlanGrant,
    VniGrant,
    Vrf,
    platform_scope,
    tenant_scope,
)

SEEDER = Actor(name="system:test")


def grant(tenant: Tenant, intent: Intent) -> None:
    """Let the tenant take everything that ``intent`` takes, and nothing else."""
    with platform_scope("test"):
        for claim in holdings.claims(intent):
            _grant(tenant, claim)


def settle(tenant: Tenant, *items: objects.IntentObject) -> Intent:
    """Give the tenant these objects beside those that it has, as rows without a plan."""
    with tenant_scope(tenant.pk):
        before = build_intent(tenant)
    after = objects.put(before, *items)
    grant(tenant, after)
    with tenant_scope(tenant.pk):
        write_rows(tenant, before, after, actor=SEEDER)
    return after


def publish(tenant: Tenant, *items: objects.IntentObject) -> Plan:
    """The same through a plan, which a rule approves: rows, a revision, and placements."""
    with tenant_scope(tenant.pk):
        after = objects.put(build_intent(tenant), *items)
    grant(tenant, after)
    with tenant_scope(tenant.pk):
        return plans.propose(
            tenant, lambda intent: objects.put(intent, *items), actor=SEEDER, reason="test"
        )


def _grant(tenant: Tenant, claim: Claim) -> None:
    cluster = Cluster.objects.get(name=claim.cluster)
    match claim:
        case NamespaceClaim():
            NamespaceGrant.objects.get_or_create(tenant=tenant, cluster=cluster, pattern=claim.name)
        case VlanClaim():
            VlanGrant.objects.get_or_create(
                tenant=tenant,
                cluster=cluster,
                trunk=claim.trunk,
                first=claim.tag,
                last=claim.tag,
            )
        case VniClaim():
            VniGrant.objects.get_or_create(
                tenant=tenant, cluster=cluster, first=claim.vni, last=claim.vni
            )
        case SubnetClaim():
            _prefix(tenant, claim.vrf, claim.prefix, "subnets")
        case AddressClaim(subnet=""):
            bits = 128 if ":" in claim.address else 32
            _prefix(tenant, claim.vrf, f"{claim.address}/{bits}", "addresses")


def _prefix(tenant: Tenant, vrf: str, prefix: str, purpose: str) -> None:
    row, _ = Vrf.objects.get_or_create(name=vrf)
    PrefixGrant.objects.get_or_create(tenant=tenant, vrf=row, prefix=prefix, purpose=purpose)
