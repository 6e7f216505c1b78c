"""Two people, a neighbour and a reconciler do anything in any order; what must hold, holds.

Rows always say what the current revision says, nothing has two owners, nothing is approved without
the rights of its parts, and the proxy comes to hold what the compiler says.
"""

import ipaddress
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from proxyconfig.domain import guardrails, holdings, manifest, objects, rights
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.target import Footprint
from proxyconfig.models import IntentObject, Placement, Plan, Revision
from proxyconfig.services import allocate, change_sets, decisions, environment, plans, revisions
from proxyconfig.services.limits import limits_of
from proxyconfig.services.reconcile import reconcile
from proxyconfig.tests.holding import publish
from proxyconfig.tests.services.change_world import (
    Draft,
    Side,
    World,
    beginnings,
    bold_drafts,
    drafts,
)
from tenants.domain.roles import Action, Role
from tenants.domain.states import ChangeState, SyncState
from tenants.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotVisibleError,
    QuotaError,
)
from tenants.models import Operation, Tenant, platform_scope, tenant_scope
from tenants.services.claim_kinds import KINDS
from tenants.tests.people import Person

# What a person may be told; anything else is a defect.
REFUSALS = (ConflictError, ForbiddenError, InvalidError, NotVisibleError, QuotaError)
WAITING = ChangeState.AWAITING_APPROVAL.value

sides = st.integers(0, 1)
# Mostly the author and the approver; now and then the platform's administrator.
people = st.sampled_from((0, 1, 0, 1, 2))
rarely = st.sampled_from((False, False, False, True))
several = st.lists(drafts, min_size=1, max_size=3)
picks = st.integers(0, 30)


class KilledError(BaseException):
    """The worker is gone, as after SIGKILL."""


class ChangeMachine(RuleBasedStateMachine):
    """``memories`` are the proxies, by cluster."""

    def __init__(self, memories) -> None:
        super().__init__()
        self.memories = memories

    @initialize()
    def begin(self) -> None:
        self.world = World.new()
        for side in self.world.sides:
            publish(side.tenant, *beginnings(self.world.clusters, side.tenant))

    # What people do.

    @rule(side=sides, who=people, wanted=several, joins=rarely, grant=rarely)
    def edit(self, side: int, who: int, wanted: list[Draft], joins: bool, grant: bool) -> None:
        for draft in wanted:
            change = draft(self.world.clusters)
            self._propose(self.world.sides[side], who, change, joins=joins, grant=grant)

    @rule(side=sides, who=people, wanted=several, bold=bold_drafts, joins=rarely)
    def edit_beyond_the_guardrails(
        self, side: int, who: int, wanted: list[Draft], bold: Draft, joins: bool
    ) -> None:
        """The author's change set, with a harmless part and meanwhile an edit of somebody else."""
        ours = self.world.sides[side]
        self._propose(ours, who, bold(self.world.clusters), joins=joins, grant=False)
        for number, draft in enumerate(wanted):
            self._propose(
                ours, (who + number) % 2, draft(self.world.clusters), joins=not number, grant=False
            )

    @rule(side=sides, bold=bold_drafts, wanted=several, who=people, grant=rarely)
    def approve_after_others(
        self, side: int, bold: Draft, wanted: list[Draft], who: int, grant: bool
    ) -> None:
        """A plan waits, something else becomes current, and then somebody decides."""
        self._propose(
            self.world.sides[side], 0, bold(self.world.clusters), joins=False, grant=False
        )
        for draft in wanted:
            change = draft(self.world.clusters)
            self._propose(self.world.sides[side], 1, change, joins=False, grant=False)
        self._approve(side, who, -1, grant)

    @rule(side=sides, who=people, cluster=sides, number=st.integers(0, 3))
    def take_next(self, side: int, who: int, cluster: int, number: int) -> None:
        ours = self.world.sides[side]
        values = {
            "name": f"next-{number}",
            "cluster": self.world.clusters[cluster],
            "trunk": "1.1",
            "vlan_tag": "next",
            "subnets": [],
        }

        def act(person: Person) -> Plan:
            with person.acting() as actor, allocate.locked(ours.tenant):
                filled = allocate.fill(ours.tenant, "segments", values)
                segment = objects.read(
                    "segments",
                    {
                        "name": filled["name"],
                        "cluster": filled["cluster"],
                        "vlan": {"interface": "1.1", "tag": filled["vlan_tag"]},
                    },
                )
                return plans.propose(
                    ours.tenant,
                    lambda intent: objects.put(intent, segment),
                    actor=actor,
                    reason="next",
                )

        self._act(ours, who, act)

    @rule(side=sides, who=people, pick=picks, grant=rarely)
    def approve(self, side: int, who: int, pick: int, grant: bool) -> None:
        self._approve(side, who, pick, grant)

    def _approve(self, side: int, who: int, pick: int, grant: bool) -> None:
        ours = self.world.sides[side]
        plan = self._pick(self._waiting(ours), pick)
        if plan is None:
            return
        person, before = self._person(ours, who), ours.rows()
        try:
            with person.acting() as actor:
                decisions.approve(plan, actor=actor, comment="looked at it", grant=grant)
        except REFUSALS:
            assert ours.rows() == before
            return
        after, needed = ours.rows(), rights.required_actions(before, ours.rows())
        assert plan.author_id != person.user.pk
        assert person.actor.may(Action.APPROVE_PLAN)
        self._check_may(person, needed, before, after)
        author = next(
            person
            for person in (*map(self.world.now, ours.people), self.world.admin)
            if person.user.pk == plan.author_id
        )
        assert all(author.actor.may(action) for action in needed - {Action.GRANT_PRIVATE})
        if Action.GRANT_PRIVATE in needed:
            assert person.actor.is_platform_admin

    @rule(
        side=sides,
        who=people,
        pick=picks,
        how=st.sampled_from((decisions.refuse, decisions.cancel)),
    )
    def turn_down(self, side: int, who: int, pick: int, how: Callable[..., Plan]) -> None:
        ours = self.world.sides[side]
        plan = self._pick(self._waiting(ours), pick)
        if plan is None:
            return

        def act(person: Person) -> Plan:
            with person.acting() as actor:
                return how(plan, actor=actor, comment="no")

        before = ours.rows()
        self._act(ours, who, act)
        assert ours.rows() == before

    @rule(side=sides, who=people, pick=picks)
    def plan_again(self, side: int, who: int, pick: int) -> None:
        ours = self.world.sides[side]
        plan = self._pick(self._waiting(ours), pick)
        if plan is None:
            return

        def act(person: Person) -> Plan:
            with person.acting() as actor:
                return plans.rebase(plan, actor=actor, reason="again")

        self._act(ours, who, act)

    @rule(side=sides, who=people, pick=picks, grant=rarely)
    def roll_back(self, side: int, who: int, pick: int, grant: bool) -> None:
        ours = self.world.sides[side]
        with tenant_scope(ours.tenant.pk):
            known = list(Revision.objects.select_related("tenant").order_by("generation"))
        revision = self._pick(known, pick)
        if revision is None:
            return

        def act(person: Person) -> Plan:
            with person.acting() as actor:
                return plans.rollback(revision, actor=actor, reason="undo", grant=grant)

        self._act(ours, who, act)

    @rule(side=sides, who=sides, role=st.sampled_from((Role.NETOPS, Role.DEVOPS, Role.READER)))
    def change_role(self, side: int, who: int, role: Role) -> None:
        self.world.set_role(self.world.sides[side].people[who], role)

    @rule(side=sides, is_on=st.booleans(), name=st.sampled_from(("auto_apply", "is_paused")))
    def switch(self, side: int, is_on: bool, name: str) -> None:
        # To resume ends a suspension too.
        self._set(side, **{name: is_on}, **({} if is_on else {"is_suspended": False}))

    @rule(side=sides)
    def suspend(self, side: int) -> None:
        self._set(side, is_paused=True, is_suspended=True)
        self.look(side)
        ours = self.world.sides[side]
        closed = replace(ours.rows(), listeners=(), ingress_policies=(), egress_policies=())
        for cluster in self.world.cluster_rows():
            is_there = cluster.name in ours.rows().clusters
            left = environment.compile_for(cluster, closed, tenant=ours.tenant) if is_there else ()
            held = self.memories[cluster.name].observe(Footprint(ours.tenant.slug, ()))
            assert held == left

    @rule(days=st.sampled_from((0, 100)))
    def expire(self, days: int) -> None:
        before = [side.rows() for side in self.world.sides]
        decisions.expire(timezone.now() + timedelta(days=days))
        assert [side.rows() for side in self.world.sides] == before
        if days:
            assert not any(self._waiting(side) for side in self.world.sides)

    # What workers and proxies do.

    @rule(side=sides)
    def look(self, side: int) -> None:
        for placement in self._placements(self.world.sides[side]):
            reconcile(placement)

    @rule(side=sides, call=st.integers(1, 5))
    def look_and_die(self, side: int, call: int) -> None:
        counted = itertools.count(1)

        def die(name: str) -> None:
            if next(counted) == call:
                raise KilledError

        for name in self.world.clusters:
            self.memories[name].before = die
        try:
            self.look(side)
        except KilledError:
            with platform_scope("test"):
                Placement.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        finally:
            for name in self.world.clusters:
                self.memories[name].before = lambda name: None

    @rule(cluster=sides, pick=picks)
    def lose_something(self, cluster: int, pick: int) -> None:
        held = self.memories[self.world.clusters[cluster]].held
        gone = self._pick(sorted(held, key=str), pick)
        if gone is not None:
            del held[gone]

    # What holds after each step.

    @invariant()
    def rows_say_what_the_current_revision_says(self) -> None:
        for side in self.world.sides:
            rows = side.rows()
            with tenant_scope(side.tenant.pk):
                side.tenant.refresh_from_db()
                assert rows == revisions.current(side.tenant).intent
                newest = Revision.objects.order_by("-generation").first()
                stored = IntentObject.objects.values_list("collection", "name", "version")
                versions = {(name, key): version for name, key, version in stored}
            known = objects.objects(rows)
            assert versions == {tuple(key): objects.version(item) for key, item in known.items()}
            assert side.tenant.generation == (newest.generation if newest else 0)

    @invariant()
    def nothing_has_two_owners(self) -> None:
        with platform_scope("test"):
            ids = [side.tenant.pk for side in self.world.sides]
            found = [
                (kind.read(row), row)
                for kind in KINDS
                for row in kind.all().filter(tenant__in=ids).select_related("tenant", "plan")
            ]
        claims = [claim for claim, _ in found]
        assert len(set(claims)) == len(claims)
        for first, second in itertools.combinations(claims, 2):
            assert not _overlap(first, second), (first, second)
        for side in self.world.sides:
            own = [(claim, row) for claim, row in found if row.tenant_id == side.tenant.pk]
            in_force = {claim: claim.user for claim, row in own if row.plan_id is None}
            assert in_force == {claim: claim.user for claim in holdings.claims(side.rows())}
        assert {row.plan.state for _, row in found if row.plan} <= {WAITING}

    @invariant()
    def plans_that_wait_are_whole(self) -> None:
        for side in self.world.sides:
            for plan in self._waiting(side):
                assert all((plan.findings, plan.changes, plan.expires_at))
                with tenant_scope(side.tenant.pk):
                    proposed = revisions.read(plan.intent, side.tenant.pk)
                assert manifest.intent_hash(proposed) == plan.intent_hash

    def teardown(self) -> None:
        """Two quiet looks bring each proxy to what the compiler says."""
        if not hasattr(self, "world"):
            return
        with platform_scope("test"):
            Tenant.objects.update(is_paused=False, is_suspended=False)
        for side in (0, 1, 0, 1):
            self.look(side)
        for side in self.world.sides:
            self._check_proxies(side)

    def _check_proxies(self, side: Side) -> None:
        rows = side.rows()
        for cluster in self.world.cluster_rows():
            is_there = cluster.name in rows.clusters
            wanted = environment.compile_for(cluster, rows, tenant=side.tenant) if is_there else ()
            held = self.memories[cluster.name].observe(Footprint(side.tenant.slug, ()))
            assert held == wanted
        with tenant_scope(side.tenant.pk):
            placements = list(Placement.objects.select_related("cluster"))
            open_work = Operation.objects.filter(ended_at__isnull=True)
            states = set(Plan.objects.values_list("state", flat=True))
            assert not open_work.exists()
        assert {ChangeState.APPROVED.value, ChangeState.APPLYING.value}.isdisjoint(states)
        assert ChangeState.FAILED.value not in states
        named = set(rows.clusters)
        assert {placement.cluster.name for placement in placements} == named
        for placement in placements:
            assert placement.sync_state == SyncState.IN_SYNC
            assert placement.observed_generation == side.tenant.generation
            assert placement.lease_token is None

    # Tools.

    def _person(self, side: Side, who: int) -> Person:
        if who == 2:
            admin = self.world.admin
            return Person(admin.user, admin.client, side.tenant, None)
        return self.world.now(side.people[who])

    def _propose(self, side: Side, who: int, change, *, joins: bool, grant: bool) -> None:
        def act(person: Person) -> Plan:
            with person.acting() as actor:
                into = change_sets.open_change_sets(side.tenant, actor).first() if joins else None
                if into is not None:
                    into.tenant = side.tenant
                looked = None
                if into is None:
                    looked = plans.preview(side.tenant, change, actor=actor, grant=grant)
                plan = plans.propose(
                    side.tenant,
                    change,
                    actor=actor,
                    reason="because",
                    into=into,
                    seen=looked and looked.seen,
                    grant=grant,
                )
                if looked is not None:
                    assert looked.plan.findings == plan.findings
                    assert looked.plan.changes == plan.changes
                return plan

        self._act(side, who, act)

    def _act(self, side: Side, who: int, act: Callable[[Person], Plan]) -> None:
        """Do it, and check that what it changed was the person's to change."""
        person, before = self._person(side, who), side.rows()
        try:
            plan = act(person)
        except REFUSALS:
            assert side.rows() == before
            return
        after = side.rows()
        if after == before:
            assert plan.state != ChangeState.APPROVED
            return
        self._check_may(person, rights.required_actions(before, after), before, after)
        with tenant_scope(side.tenant.pk):
            tenant = Tenant.objects.get(pk=side.tenant.pk)
        assert tenant.auto_apply
        assert guardrails.findings(before, after, limits=limits_of(tenant)) == ()

    def _check_may(self, person: Person, needed, before: Intent, after: Intent) -> None:
        """By the rule of the product, and by one written down a second time."""
        assert all(person.actor.may(action) for action in needed)
        changed = {change.key.collection for change in objects.difference(before, after)}
        is_network = changed & {"namespaces", "segments", "virtual-addresses", "snat-pools"}
        if is_network:
            assert person.actor.may(Action.EDIT_NETWORK)
        if changed:
            assert person.actor.may(Action.EDIT_POLICY)
        if _grants(after) - _grants(before):
            assert person.actor.is_platform_admin

    def _waiting(self, side: Side) -> list[Plan]:
        with tenant_scope(side.tenant.pk):
            rows = Plan.objects.filter(state=WAITING).select_related("tenant")
            return list(rows.order_by("pk"))

    def _placements(self, side: Side) -> list[int]:
        with tenant_scope(side.tenant.pk):
            return list(Placement.objects.order_by("pk").values_list("pk", flat=True))

    def _set(self, side: int, **values: bool) -> None:
        with platform_scope("test"):
            tenant = self.world.sides[side].tenant
            Tenant.objects.filter(pk=tenant.pk).update(**values)
            tenant.refresh_from_db()

    @staticmethod
    def _pick(found: list, number: int):
        return found[number % len(found)] if found else None


def _grants(intent: Intent) -> set[tuple[str, str]]:
    return {
        (policy.name, rule.cidr)
        for policy in intent.egress_policies
        for rule in policy.rules
        if rule.granted is not None
    }


def _overlap(first, second) -> bool:
    """True for addresses, or prefixes, of one place that share something."""
    if type(first) is not type(second) or first.cluster != second.cluster:
        return False
    for name in ("prefix", "address"):
        if hasattr(first, name):
            networks = [ipaddress.ip_network(getattr(claim, name)) for claim in (first, second)]
            return first.vrf == second.vrf and networks[0].overlaps(networks[1])
    return False


# One transaction each: in a long one, nothing that is dead is vacuumed, and all gets slower.
@pytest.mark.django_db
@pytest.mark.parametrize(
    "number", [0, *(pytest.param(number, marks=pytest.mark.full) for number in range(1, 12))]
)
def test_whatever_people_and_workers_do(memories, number):
    run_state_machine_as_test(
        lambda: ChangeMachine(memories),
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            # Shrinking takes minutes; 25 steps can be read as they are.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
