"""Rows for tests, without surprises; they make no plan."""

import uuid

import factory
from django.utils import timezone

from proxyconfig.domain import manifest
from proxyconfig.domain.intent import Intent
from proxyconfig.models import (
    Connection,
    Placement,
    Plan,
    Revision,
)
from tenants.domain.states import ChangeState, Direction, Verdict
from tenants.tests.factories import (
    ClusterFactory,
    ScopedFactory,
    TenantFactory,
)


class PlacementFactory(ScopedFactory):
    class Meta:
        model = Placement

    tenant = factory.SubFactory(TenantFactory)
    cluster = factory.SubFactory(ClusterFactory)


class PlanFactory(ScopedFactory):
    class Meta:
        model = Plan

    tenant = factory.SubFactory(TenantFactory)
    state = ChangeState.AWAITING_APPROVAL.value
    author_name = "somebody"
    reason = "because"
    base_generation = 0
    base = factory.LazyAttribute(lambda row: manifest.to_mapping(Intent(tenant=row.tenant.slug)))
    intent = factory.LazyAttribute(lambda row: manifest.to_mapping(Intent(tenant=row.tenant.slug)))
    intent_hash = factory.LazyAttribute(
        lambda row: manifest.intent_hash(Intent(tenant=row.tenant.slug))
    )
    summary = "No changes"
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
