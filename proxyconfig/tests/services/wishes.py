"""Revisions without the way that leads to them: a test says what a tenant wishes for."""

from dataclasses import replace

from proxyconfig.domain import manifest
from proxyconfig.domain.intent import (
    Backend,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Intent,
    Listener,
    Namespace,
    PortRange,
    SnatPool,
    VirtualAddress,
)
from proxyconfig.models import Revision
from proxyconfig.services import placements, revisions
from proxyconfig.tests.conftest import ADDRESS, SNAT_ADDRESS
from proxyconfig.tests.factories import PlanFactory
from tenants.domain.actor import Actor
from tenants.domain.states import ChangeState
from tenants.models import Cluster, Tenant, tenant_scope

ACTOR = Actor(name="alice")


def network(
    tenant: Tenant, cluster: Cluster, *, address: str = ADDRESS, snat: str = SNAT_ADDRESS
) -> Intent:
    """What a tenant holds before any policy: a namespace, a virtual address and a SNAT address."""
    where = cluster.name
    return Intent(
        tenant=tenant.slug,
        namespaces=(Namespace(name=f"{tenant.slug}-rag", cluster=where),),
        virtual_addresses=(VirtualAddress(address=address, cluster=where),),
        snat_pools=(SnatPool(name=f"out-{where}", cluster=where, addresses=(snat,)),),
    )


def with_ingress(intent: Intent, *, port: int = 8080, sources: tuple[str, ...] = ()) -> Intent:
    """Anybody, or only some, may come in by HTTP on each of the intent's addresses."""
    listeners = tuple(
        Listener(
            name=f"http-{entry.address.replace('.', '-')}-{port}",
            cluster=entry.cluster,
            virtual_address=entry.address,
            port=port,
        )
        for entry in intent.virtual_addresses
    )
    backend = Backend(namespace=intent.namespaces[0].name, service="rag", port=80)
    added = tuple(
        IngressPolicy(
            name=f"web-{len(intent.listeners) + number}",
            listener=listener.name,
            backend=backend,
            sources=sources,
        )
        for number, listener in enumerate(listeners)
    )
    return replace(
        intent,
        listeners=(*intent.listeners, *listeners),
        ingress_policies=(*intent.ingress_policies, *added),
    )


def with_egress(intent: Intent, *, host: str = "docs.example.org") -> Intent:
    """Out to one public host."""
    rule = EgressRule(order=1, host=host, ports=(PortRange.single(443),))
    policy = EgressPolicy(name=f"docs-{len(intent.egress_policies)}", rules=(rule,))
    return replace(intent, egress_policies=(*intent.egress_policies, policy))


def both(*intents: Intent) -> Intent:
    """One intent with the networks of several clusters."""
    first, *others = intents
    for other in others:
        first = replace(
            first,
            namespaces=first.namespaces + other.namespaces,
            virtual_addresses=first.virtual_addresses + other.virtual_addresses,
            snat_pools=first.snat_pools + other.snat_pools,
            listeners=first.listeners + other.listeners,
        )
    return first


def wish(tenant: Tenant, intent: Intent) -> Revision:
    """Make an intent the tenant's current revision, as an approved plan does."""
    with tenant_scope(tenant.pk):
        placements.place(tenant, intent)
        plan = PlanFactory(
            tenant=tenant,
            state=ChangeState.APPROVED.value,
            base_generation=tenant.generation,
            intent=manifest.to_mapping(intent),
            intent_hash=manifest.intent_hash(intent),
            entries=[{}] * 2,
        )
        return revisions.make_current(tenant, plan, intent, actor=ACTOR)
