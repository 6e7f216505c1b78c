"""Rows for tests, without surprises; they make no plan."""

import uuid

import factory
from django.utils import timezone

from proxyconfig.domain import manifest
from proxyconfig.domain.intent import Intent
from proxyconfig.models import (
    Connection,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Listener,
    Placement,
    Plan,
    Revision,
)
from tenants.domain.states import ChangeState, Direction, Verdict
from tenants.tests.factories import (
    ClusterFactory,
    NamespaceFactory,
    ScopedFactory,
    TenantFactory,
    VirtualAddressFactory,
)


class PlacementFactory(ScopedFactory):
    class Meta:
        model = Placement

    tenant = factory.SubFactory(TenantFactory)
    cluster = factory.SubFactory(ClusterFactory)


class ListenerFactory(ScopedFactory):
    class Meta:
        model = Listener

    tenant = factory.SubFactory(TenantFactory)
    virtual_address = factory.SubFactory(
        VirtualAddressFactory, tenant=factory.SelfAttribute("..tenant")
    )
    port = 8080


class IngressPolicyFactory(ScopedFactory):
    class Meta:
        model = IngressPolicy

    tenant = factory.SubFactory(TenantFactory)
    name = factory.Sequence(lambda n: f"ingress-{n}")
    listener = factory.SubFactory(ListenerFactory, tenant=factory.SelfAttribute("..tenant"))
    namespace = factory.SubFactory(NamespaceFactory, tenant=factory.SelfAttribute("..tenant"))


class EgressPolicyFactory(ScopedFactory):
    class Meta:
        model = EgressPolicy

    tenant = factory.SubFactory(TenantFactory)
    name = factory.Sequence(lambda n: f"egress-{n}")


class EgressRuleFactory(ScopedFactory):
    class Meta:
        model = EgressRule

    policy = factory.SubFactory(EgressPolicyFactory)
    tenant = factory.SelfAttribute("policy.tenant")
    order = factory.Sequence(lambda n: n)
    host = "docs.example.org"
    ports = factory.LazyFunction(lambda: [443])


class PlanFactory(ScopedFactory):
    class Meta:
        model = Plan

    tenant = factory.SubFactory(TenantFactory)
    state = ChangeState.AWAITING_APPROVAL.value
    author_name = "somebody"
    reason = "because"
    base_generation = 0
    intent = factory.LazyAttribute(lambda row: manifest.to_mapping(Intent(tenant=row.tenant.slug)))
    intent_hash = factory.LazyAttribute(
        lambda row: manifest.intent_hash(Intent(tenant=row.tenant.slug))
    )
    summary = "0 added, 0 changed, 0 deleted"
    entries = factory.LazyFunction(list)


class RevisionFactory(ScopedFactory):
    class Meta:
        model = Revision

    plan = factory.SubFactory(PlanFactory, state=ChangeState.APPLIED.value)
    tenant = factory.SelfAttribute("plan.tenant")
    generation = factory.Sequence(lambda n: n + 1)
    intent = factory.SelfAttribute("plan.intent")
    intent_hash = factory.SelfAttribute("plan.intent_hash")
    author_name = factory.SelfAttribute("plan.author_name")


class ConnectionFactory(ScopedFactory):
    class Meta:
        model = Connection

    tenant = factory.SubFactory(TenantFactory)
    proxy_id = factory.LazyFunction(uuid.uuid4)
    trace_id = factory.LazyFunction(lambda: uuid.uuid4().hex)
    direction = Direction.OUT.value
    destination_host = "docs.example.org"
    destination_port = 443
    verdict = Verdict.ALLOWED.value
    rule_id = factory.LazyAttribute(lambda row: f"{row.tenant.slug}/web/1")
    opened_at = factory.LazyFunction(timezone.now)
