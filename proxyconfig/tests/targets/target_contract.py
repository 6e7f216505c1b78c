"""What every target must do; its tests inherit ``TargetContract`` and give it a ``target``."""

from collections.abc import Sequence
from dataclasses import replace

from proxyconfig.domain.intent import (
    Backend,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Intent,
    Listener,
    Namespace,
    PortRange,
)
from proxyconfig.domain.plan import Plan, PlanAction
from proxyconfig.domain.resources import Resource
from proxyconfig.domain.target import Footprint, Outcome, OutcomeStatus, Target


def tenant_intent(tenant: str, address: str, **policy: object) -> Intent:
    """A tenant with one open listener and one way out."""
    backend = Backend(namespace=f"{tenant}-prod", service="rag", port=8080)
    egress = EgressRule(order=1, host="example.org", ports=(PortRange.single(443),))
    return Intent(
        tenant=tenant,
        namespaces=(Namespace(name=f"{tenant}-prod", cluster="main"),),
        listeners=(Listener(name="rag", cluster="main", virtual_address=address, port=8080),),
        ingress_policies=(IngressPolicy(name="people", listener="rag", backend=backend, **policy),),
        egress_policies=(EgressPolicy(name="web", rules=(egress,)),),
    )


class TargetContract:
    """Laws of a target, whatever proxy is behind it.

    Subclasses give the fixture ``target`` and the method ``compiled``.
    """

    def compiled(self, intent: Intent) -> tuple[Resource, ...]:
        """What the target's own compiler makes of an intent."""
        raise NotImplementedError

    def reconcile(self, target: Target, intent: Intent) -> tuple[Outcome, ...]:
        """Bring the proxy to the intent, once."""
        target.upkeep()
        footprint = Footprint.of(intent)
        return target.apply(footprint, self.plan(target, intent).entries)

    def plan(self, target: Target, intent: Intent) -> Plan:
        """What is left to do; without an inventory, as after a loss of it."""
        return target.plan(self.compiled(intent), Footprint.of(intent), {})

    def test_an_unknown_tenant_has_nothing(self, target):
        assert target.plan((), Footprint("acme", ("127.10.61.1",)), {}).entries == ()

    def test_what_was_applied_needs_nothing_more(self, target):
        acme = tenant_intent("acme", "127.10.61.1")

        outcomes = self.reconcile(target, acme)

        assert {outcome.status for outcome in outcomes} == {OutcomeStatus.DONE}
        assert self.plan(target, acme).is_empty
        assert self.reconcile(target, acme) == ()

    def test_a_change_is_an_update_of_that_object_only(self, target):
        acme = tenant_intent("acme", "127.10.61.1")
        self.reconcile(target, acme)
        changed = replace(
            acme, ingress_policies=(replace(acme.ingress_policies[0], sources=("127.0.0.1",)),)
        )

        (outcome,) = self.reconcile(target, changed)

        assert (outcome.action, outcome.status) == (PlanAction.UPDATE, OutcomeStatus.DONE)
        assert self.plan(target, changed).is_empty

    def test_deleting_leaves_nothing_and_may_be_repeated(self, target):
        acme = tenant_intent("acme", "127.10.61.1")
        self.reconcile(target, acme)
        footprint = Footprint.of(acme)
        plan = target.plan((), footprint, {})

        first = target.apply(footprint, plan.entries)
        second = target.apply(footprint, plan.entries)

        assert {outcome.status for outcome in (*first, *second)} == {OutcomeStatus.DONE}
        assert target.plan((), footprint, {}).entries == ()

    def test_tenants_whose_names_share_a_beginning_are_kept_apart(self, target):
        short = tenant_intent("acme", "127.10.61.1")
        long = tenant_intent("acme-rag", "127.10.61.2")
        self.reconcile(target, long)
        self.reconcile(target, short)

        footprint = Footprint.of(short)
        target.apply(footprint, target.plan((), footprint, {}).entries)

        assert self.plan(target, long).is_empty

    def test_keeps_are_left_alone(self, target):
        acme = tenant_intent("acme", "127.10.61.1")
        self.reconcile(target, acme)
        footprint = Footprint.of(acme)

        plan = self.plan(target, acme)

        assert {entry.action for entry in plan.entries} == {PlanAction.KEEP}
        assert target.apply(footprint, plan.entries) == ()

    def test_probe_tells_serving_from_not_serving(self, target):
        acme = tenant_intent("acme", "127.10.61.1")
        resources: Sequence[Resource] = self.compiled(acme)
        before = target.probe(resources)
        self.reconcile(target, acme)
        after = target.probe(resources)

        assert [probe.identity for probe in after] == [resource.identity for resource in resources]
        assert {probe.is_serving for probe in before} == {False}
        assert {probe.is_serving for probe in after} == {True}

    def test_upkeep_of_a_sound_proxy_repairs_nothing(self, target):
        target.upkeep()

        assert target.upkeep() == ()
