"""The Kubernetes target on a real API server: plan, apply, drift, conflicts, prune."""

from dataclasses import replace

import pytest

from proxyconfig.domain.conditions import Reason
from proxyconfig.domain.inventory import Record
from proxyconfig.domain.plan import PlanAction
from proxyconfig.domain.resources import Identity, Resource
from proxyconfig.domain.target import Footprint, OutcomeStatus
from proxyconfig.targets.kube import Connection, KubeSettings, KubeTarget
from proxyconfig.targets.kube.kinds import KINDS
from proxyconfig.tests.targets.kube import objects
from proxyconfig.tests.targets.kube.objects import GATEWAY_API, config_map, gateway, route
from tenants.errors import TransientError

pytestmark = pytest.mark.kube

MERGE = "application/merge-patch+json"
ROUTES = f"/apis/{GATEWAY_API}/v1/namespaces/{{}}/httproutes"


class Tenant:
    """One tenant on the API server: a target, and the inventory that a placement would keep."""

    def __init__(self, server, slug: str, *, user: str = "admin", takes_over: bool = False) -> None:
        self.server = server
        self.footprint = Footprint(slug)
        self.inventory: dict[Identity, Record] = {}
        self.target = KubeTarget(
            KubeSettings(
                connection=Connection.from_kubeconfig(server.kubeconfig(user)),
                kinds=(*KINDS, ("", "ConfigMap")),
                takes_over=takes_over,
            )
        )

    def plan(self, *desired: Resource):
        return self.target.plan(desired, self.footprint, self.inventory)

    def actions(self, *desired: Resource) -> list[tuple[PlanAction, str]]:
        """What there is to do, in order."""
        return [(entry.action, entry.identity.kind) for entry in self.plan(*desired).changing]

    def apply(self, *desired: Resource):
        """Do what there is to do; the inventory as the reconcile service keeps it."""
        outcomes = self.target.apply(self.footprint, self.plan(*desired).entries)
        for outcome in outcomes:
            if outcome.status is OutcomeStatus.DONE:
                self.inventory.pop(outcome.identity, None)
                if outcome.record is not None:
                    self.inventory[outcome.identity] = outcome.record
        return outcomes


@pytest.fixture
def tenant(kube_server, kube_namespace) -> Tenant:
    """A tenant of its own in each test: its label chooses nothing of another test's."""
    return Tenant(kube_server, kube_namespace.replace("test", "acme"))


@pytest.fixture
def slug(tenant) -> str:
    return tenant.footprint.tenant


@pytest.fixture
def web(kube_namespace, slug) -> Resource:
    return route(kube_namespace, tenant=slug)


def path_of(resource: Resource) -> str:
    """Where the API server has it."""
    plural = {"NetworkPolicy": "networkpolicies"}.get(resource.kind, f"{resource.kind.lower()}s")
    version = resource.body["apiVersion"]
    root = f"/apis/{version}" if resource.group else "/api/v1"
    return f"{root}/namespaces/{resource.namespace}/{plural}/{resource.name}"


def by_hand(tenant: Tenant, resource: Resource, patch: dict, manager: str = "kubectl-edit"):
    """Change an object as somebody with kubectl would."""
    path = f"{path_of(resource)}?fieldManager={manager}"
    reply = tenant.server.call("PATCH", path, patch, content_type=MERGE)
    assert reply.status == 200, reply
    return reply.body


def live(tenant: Tenant, resource: Resource) -> dict:
    reply = tenant.server.call("GET", path_of(resource))
    assert reply.status == 200, reply
    return reply.body


def versions(tenant: Tenant, *resources: Resource) -> list[str]:
    """Resource versions: they move with every write."""
    return [live(tenant, one)["metadata"]["resourceVersion"] for one in resources]


def of(slug: str, *resources: Resource) -> tuple[Resource, ...]:
    """The same objects with another tenant's label."""
    changed = []
    for one in resources:
        body = one.body
        body["metadata"]["labels"]["sluice.dev/tenant"] = slug
        changed.append(
            Resource.of(one.kind, one.name, body, group=one.group, namespace=one.namespace)
        )
    return tuple(changed)


def test_nothing_is_there_at_first_and_nothing_left_to_do_after_an_apply(
    tenant, kube_namespace, slug
):
    desired = of(
        slug,
        route(kube_namespace),
        gateway(kube_namespace, 8080, 8081),
        objects.grant(kube_namespace),
        objects.network_policy(kube_namespace),
        config_map(kube_namespace),
        *objects.other_routes(kube_namespace),
    )
    assert tenant.plan().entries == ()

    outcomes = tenant.apply(*desired)

    assert {(one.action, one.status) for one in outcomes} == {
        (PlanAction.CREATE, OutcomeStatus.DONE)
    }, outcomes
    first = [one.identity.kind for one in outcomes][:3]
    assert first == ["NetworkPolicy", "ReferenceGrant", "Gateway"]
    before = versions(tenant, *desired)
    plan = tenant.plan(*desired)
    assert plan.is_empty
    assert {entry.record for entry in plan.entries} == {*tenant.inventory.values()}
    assert versions(tenant, *desired) == before


def test_lost_inventory_costs_an_apply_and_changes_nothing(tenant, kube_namespace, slug):
    desired = of(slug, route(kube_namespace), objects.network_policy(kube_namespace))
    tenant.apply(*desired)
    before = versions(tenant, *desired)
    tenant.inventory.clear()

    outcomes = tenant.apply(*desired)

    assert [one.status for one in outcomes] == [OutcomeStatus.DONE] * 2
    assert versions(tenant, *desired) == before
    assert tenant.plan(*desired).is_empty


def test_change_is_an_update_of_that_field_only(tenant, kube_namespace, slug, web):
    tenant.apply(web)
    changed = route(kube_namespace, port=81, tenant=slug)

    (entry,) = tenant.plan(changed).changing
    tenant.apply(changed)

    assert [change.plain() for change in entry.changes] == [
        {"path": "spec.rules[0].backendRefs[rag].port", "before": 80, "after": 81}
    ]
    assert live(tenant, web)["spec"]["rules"][0]["backendRefs"][0]["port"] == 81
    assert tenant.plan(changed).is_empty


def test_part_that_is_no_longer_wanted_goes(tenant, kube_namespace, slug):
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}
    rule = {"backendRefs": [{"name": "rag", "port": 80}]}
    tenant.apply(route(kube_namespace, tenant=slug, rules=[{**rule, "filters": [header]}]))

    # A filter inside an atomic list looks like a default to whoever only compares what is wanted.
    (outcome,) = tenant.apply(route(kube_namespace, tenant=slug, rules=[rule]))

    assert outcome.action is PlanAction.UPDATE
    assert "filters" not in live(tenant, route(kube_namespace))["spec"]["rules"][0]


def test_listener_that_is_no_longer_wanted_goes_and_a_foreign_one_stays(
    tenant, kube_namespace, slug
):
    both = gateway(kube_namespace, 8080, 8081, tenant=slug)
    tenant.apply(both)
    extra = [*live(tenant, both)["spec"]["listeners"], {"name": "x", "port": 9, "protocol": "TCP"}]
    by_hand(tenant, both, {"spec": {"listeners": extra}})
    assert tenant.plan(both).is_empty
    one = gateway(kube_namespace, 8080, tenant=slug)

    (entry,) = tenant.plan(one).changing
    tenant.apply(one)

    assert [change.path for change in entry.changes] == ["spec.listeners[http-8081]"]
    names = [listener["name"] for listener in live(tenant, one)["spec"]["listeners"]]
    assert names == ["http-8080", "x"]


@pytest.mark.parametrize(
    ("make", "patch", "path"),
    [
        (route, {"spec": {"hostnames": ["b.example"]}}, "spec.hostnames[a.example]"),
        (route, {"spec": {"hostnames": None}}, "spec.hostnames"),
        (
            route,
            {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}},
            "metadata.labels",
        ),
        (config_map, {"data": {"a": "2"}}, "data.a"),
        (objects.network_policy, {"spec": {"ingress": [{}]}}, "spec.ingress[0].from"),
        (gateway, {"spec": {"gatewayClassName": "x"}}, "spec.gatewayClassName"),
    ],
)
def test_foreign_edit_is_seen_and_taken_back_where_the_cluster_says_so(
    kube_server, kube_namespace, tenant, slug, make, patch, path
):
    (one,) = of(slug, make(kube_namespace))
    owner = Tenant(kube_server, slug, takes_over=True)
    owner.apply(one)
    by_hand(owner, one, patch)

    (entry,) = owner.plan(one).changing
    (outcome,) = owner.apply(one)

    assert entry.action is PlanAction.UPDATE
    assert entry.changes[0].path.startswith(path)
    assert outcome.status is OutcomeStatus.DONE, outcome
    assert owner.plan(one).is_empty


def test_field_that_nobody_holds_any_more_is_put_back_without_force(tenant, web):
    tenant.apply(web)
    by_hand(tenant, web, {"spec": {"hostnames": None}})

    (outcome,) = tenant.apply(web)

    assert outcome.status is OutcomeStatus.DONE
    assert live(tenant, web)["spec"]["hostnames"] == ["a.example"]


def test_conflict_is_refused_with_manager_and_field(tenant, web):
    tenant.apply(web)
    by_hand(tenant, web, {"spec": {"hostnames": ["b.example"]}})

    (outcome,) = tenant.apply(web)

    assert (outcome.status, outcome.reason) == (OutcomeStatus.REFUSED, Reason.CONFLICT)
    assert outcome.message == (
        f'{web.identity}: spec.hostnames is managed by "kubectl-edit".'
        ' There spec.hostnames is ["b.example"].'
    )
    assert live(tenant, web)["spec"]["hostnames"] == ["b.example"]


def test_field_of_another_hand_is_kept_and_no_difference(tenant, web):
    tenant.apply(web)
    by_hand(tenant, web, {"metadata": {"annotations": {"team": "blue"}}})
    by_hand(tenant, web, {"spec": {"parentRefs": [{"name": "front"}]}})

    plan = tenant.plan(web)

    # The other hand wrote the same value, with which it takes nothing.
    assert plan.is_empty
    assert live(tenant, web)["metadata"]["annotations"] == {"team": "blue"}


def test_object_that_moved_and_is_sound_is_on_record_anew(tenant, kube_namespace, slug):
    front = gateway(kube_namespace, tenant=slug)
    tenant.apply(front)
    by_hand(tenant, front, {"spec": {"infrastructure": {"labels": {"team": "blue"}}}})

    (entry,) = tenant.plan(front).entries

    before = tenant.inventory[front.identity]
    assert (entry.action, entry.record) == (PlanAction.KEEP, replace(before, generation=2))


def test_deleted_by_hand_comes_back(tenant, web):
    tenant.apply(web)
    tenant.server.call("DELETE", path_of(web))

    assert tenant.actions(web) == [(PlanAction.CREATE, "HTTPRoute")]
    tenant.apply(web)

    assert tenant.plan(web).is_empty


def test_object_that_was_replaced_is_compared_anew_and_never_hit_by_an_old_plan(
    kube_server, slug, web
):
    tenant = Tenant(kube_server, slug, takes_over=True)
    tenant.apply(web)
    changed = route(web.namespace, port=81, tenant=tenant.footprint.tenant)
    update, delete = tenant.plan(changed).entries, tenant.plan().entries
    tenant.server.call("DELETE", path_of(web))
    body = web.body | {"metadata": {"name": "web", "namespace": web.namespace}}
    tenant.server.call("POST", ROUTES.format(web.namespace), body)

    outcomes = [tenant.target.apply(tenant.footprint, entries)[0] for entries in (update, delete)]

    assert {(one.status, one.reason) for one in outcomes} == {
        (OutcomeStatus.FAILED, Reason.CHANGED_MEANWHILE)
    }
    (outcome,) = tenant.apply(web)
    assert (outcome.status, outcome.reason) == (OutcomeStatus.REFUSED, Reason.NAME_TAKEN)
    assert "labels" not in live(tenant, web)["metadata"]


def test_only_what_is_ours_is_deleted(tenant, kube_namespace, slug, web):
    front = gateway(kube_namespace, tenant=slug)
    tenant.apply(web, front)
    spoofed = route(kube_namespace, name="spoofed", tenant=slug).body
    tenant.server.call("POST", ROUTES.format(kube_namespace), spoofed)
    released = route(kube_namespace, name="released", tenant=slug)
    tenant.apply(web, front, released)
    nobody = {"app.kubernetes.io/managed-by": None, "sluice.dev/tenant": None}
    by_hand(tenant, released, {"metadata": {"labels": nobody}})

    plan = tenant.plan()
    outcomes = tenant.apply()

    assert [(entry.action, entry.identity.kind) for entry in plan.entries] == [
        (PlanAction.DELETE, "HTTPRoute"),
        (PlanAction.DELETE, "Gateway"),
    ]
    assert {one.status for one in outcomes} == {OutcomeStatus.DONE}
    left = tenant.server.call("GET", ROUTES.format(kube_namespace)).body["items"]
    assert sorted(one["metadata"]["name"] for one in left) == ["released", "spoofed"]


def test_object_whose_tenant_label_was_removed_is_still_found(tenant, web):
    tenant.apply(web)
    by_hand(tenant, web, {"metadata": {"labels": {"sluice.dev/tenant": None}}})

    assert tenant.actions(web) == [(PlanAction.UPDATE, "HTTPRoute")]
    assert tenant.actions() == [(PlanAction.DELETE, "HTTPRoute")]
    tenant.inventory.clear()
    (outcome,) = tenant.apply(web)  # A create, which finds that it is ours.

    assert outcome.status is OutcomeStatus.DONE
    assert tenant.plan(web).is_empty


def test_neighbour_with_a_name_that_begins_alike_is_left_alone(kube_server, tenant, slug, web):
    neighbour = Tenant(kube_server, f"{slug}-rag")
    other = route(web.namespace, name="other", tenant=f"{slug}-rag")
    neighbour.apply(other)
    tenant.apply(web)

    tenant.apply()

    assert neighbour.plan(other).is_empty


def test_object_that_waits_for_a_finalizer_is_neither_applied_nor_gone(tenant, web):
    tenant.apply(web)
    by_hand(tenant, web, {"metadata": {"finalizers": ["example.org/hold"]}})

    (deleted,) = tenant.apply()
    (applied,) = tenant.apply(web)
    by_hand(tenant, web, {"metadata": {"finalizers": None}})

    assert deleted.message == f"{web.identity} is being deleted and waits for example.org/hold."
    assert {(one.status, one.reason) for one in (deleted, applied)} == {
        (OutcomeStatus.FAILED, Reason.BEING_DELETED)
    }
    assert tenant.actions(web) == [(PlanAction.CREATE, "HTTPRoute")]


def test_one_object_that_is_refused_does_not_stop_the_others(tenant, kube_namespace, slug, web):
    broken = route(kube_namespace, name="broken", tenant=slug, colour="red")
    nowhere = route("nowhere", tenant=slug)
    old = objects.made(
        f"{GATEWAY_API}/v1alpha9", "HTTPRoute", "old", kube_namespace, tenant=slug, spec={}
    )

    outcomes = {one.identity: one for one in tenant.apply(broken, nowhere, old, web)}

    assert outcomes[web.identity].status is OutcomeStatus.DONE
    assert outcomes[broken.identity].reason == Reason.REFUSED
    assert ".spec.colour" in outcomes[broken.identity].message
    assert outcomes[nowhere.identity].reason == Reason.NAMESPACE_MISSING
    assert outcomes[old.identity].reason == Reason.KIND_MISSING
    assert "serves only v1, v1beta1" in outcomes[old.identity].message


def test_kind_that_is_not_served_for_a_while_is_not_taken_for_gone(tenant, kube_namespace):
    """Else an ending placement would end while its objects still serve."""
    known = Identity("widgets.example", "Widget", kube_namespace, "one")
    tenant.target = KubeTarget(
        KubeSettings(
            connection=Connection.from_kubeconfig(tenant.server.kubeconfig()),
            kinds=(*KINDS, known[:2]),
        )
    )
    assert tenant.plan().is_empty
    tenant.inventory[known] = Record("uid", "sent", "owned", 1)

    with pytest.raises(TransientError, match="does not serve this kind now"):
        tenant.plan()


def test_without_rights_each_object_says_which_is_missing(kube_server, kube_namespace):
    poor = Tenant(kube_server, "poor", user="nobody")
    with pytest.raises(TransientError, match="cannot list resource") as refused:
        poor.plan(route(kube_namespace, tenant="poor"))
    assert refused.value.data == {"reason": Reason.FORBIDDEN}


def test_rights_in_single_namespaces_are_enough(kube_server, kube_namespace):
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    access = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{kube_namespace}"
    kube_server.call("POST", f"{access}/roles", {"metadata": {"name": "all"}, "rules": rules})
    binding = {
        "metadata": {"name": "worker"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "all"},
        "subjects": [{"kind": "User", "name": "worker"}],
    }
    assert kube_server.call("POST", f"{access}/rolebindings", binding).status == 201
    narrow = Tenant(kube_server, "narrow", user="worker")
    web = route(kube_namespace, tenant="narrow")

    (outcome,) = narrow.apply(web)

    assert outcome.status is OutcomeStatus.DONE
    assert narrow.plan(web).is_empty


def test_resource_without_the_tenants_labels_is_a_defect(tenant, kube_namespace):
    with pytest.raises(ValueError, match="lacks the labels"):
        tenant.plan(route(kube_namespace, tenant="another"))


def test_proxys_verdict_is_the_probe(tenant, kube_namespace, slug, web):
    front = gateway(kube_namespace, tenant=slug)
    policy = of(slug, objects.network_policy(kube_namespace))[0]
    resources = (front, web, policy)
    assert [one.is_serving or one.is_pending for one in tenant.target.probe(resources)] == [
        False
    ] * 2
    tenant.apply(*resources)
    assert [one.is_pending for one in tenant.target.probe(resources)] == [True, True]
    status(tenant, front, conditions=conditions("Accepted", "Programmed"), addresses=["10.0.0.9"])
    parent = {"parentRef": {"name": "front"}, "controllerName": "example.org/x"}
    refused = conditions("Accepted") + conditions("ResolvedRefs", status="False")
    status(tenant, web, parents=[{**parent, "conditions": refused}])

    first, second = tenant.target.probe(resources)

    assert (first.is_serving, first.is_pending, first.address) == (True, False, "10.0.0.9:8080")
    assert (second.is_serving, second.is_pending) == (False, False)
    assert "ResolvedRefs is False: Why: words" in second.message
    assert tenant.plan(*resources).is_empty


def conditions(*types: str, status: str = "True") -> list[dict]:
    """As a proxy writes them for the first generation."""
    return [
        {
            "type": one,
            "status": status,
            "reason": "Why",
            "message": "words",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-30T00:00:00Z",
        }
        for one in types
    ]


def status(tenant: Tenant, resource: Resource, **parts: object) -> None:
    """Write an object's status, as its proxy would."""
    if addresses := parts.get("addresses"):
        parts["addresses"] = [{"type": "IPAddress", "value": one} for one in addresses]
    path = f"{path_of(resource)}/status"
    reply = tenant.server.call("PATCH", path, {"status": parts}, content_type=MERGE)
    assert reply.status == 200, reply
