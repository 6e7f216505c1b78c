"""Plans: what has to happen, said so that a person can approve it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain.plan import HIDDEN, FieldChange, Plan, PlanAction, changed_fields, diff
from proxyconfig.domain.resources import Resource

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcid"), inner, max_size=3)
    ),
    max_leaves=6,
)
bodies = st.dictionaries(st.sampled_from(["a", "b", "rules", "id"]), json_values, max_size=3)
resource_sets = st.dictionaries(
    st.tuples(st.sampled_from(["Server", "Tenant"]), st.sampled_from("xyz")), bodies, max_size=5
).map(lambda found: tuple(Resource.of(kind, name, body) for (kind, name), body in found.items()))


def carry_out(plan: Plan, observed: tuple[Resource, ...]) -> set[Resource]:
    """What a proxy holds after it did as it was told."""
    held = {resource.identity: resource for resource in observed}
    for entry in plan.changing:
        if entry.desired is None:
            del held[entry.identity]
        else:
            held[entry.identity] = entry.desired
    return set(held.values())


@given(resources=resource_sets)
def test_plan_of_equal_things_is_empty(resources):
    plan = diff(resources, reversed(resources))

    assert plan.is_empty
    assert plan.summary == "0 added, 0 changed, 0 deleted"


@given(desired=resource_sets, observed=resource_sets)
def test_carrying_out_a_plan_leaves_nothing_to_plan(desired, observed):
    held = carry_out(diff(desired, observed), observed)

    assert held == set(desired)
    assert diff(desired, held).is_empty


@given(before=bodies, after=bodies)
def test_fields_change_exactly_when_bodies_differ(before, after):
    left, right = Resource.of("K", "n", before), Resource.of("K", "n", after)

    assert (changed_fields(before, after) == ()) == (left == right)


@given(desired=resource_sets, observed=resource_sets)
def test_plan_does_not_depend_on_the_order_of_its_input(desired, observed):
    assert diff(desired, observed) == diff(reversed(desired), reversed(observed))


def test_entries_say_what_and_why():
    observed = (Resource.of("S", "gone", {}), Resource.of("S", "same", {}), _rules(443))
    desired = (Resource.of("S", "new", {}), Resource.of("S", "same", {}), _rules(8443))

    plan = diff(desired, observed)

    assert [(entry.action, entry.identity.name, entry.reason) for entry in plan.entries] == [
        (PlanAction.DELETE, "gone", "no policy of the tenant asks for it"),
        (PlanAction.UPDATE, "t", "rules[acme/web/1].port differs"),
        (PlanAction.CREATE, "new", "new on the proxy"),
        (PlanAction.KEEP, "same", "as it is on the proxy"),
    ]
    assert plan.summary == "1 added, 1 changed, 1 deleted"
    assert plan.entries[1].changes == (FieldChange("rules[acme/web/1].port", 443, 8443),)


def test_plain_form_has_no_bodies_and_no_secrets():
    desired = Resource.of("T", "t", {"credential_sha256": "new", "nested": {"password": "x"}})
    observed = Resource.of("T", "t", {"credential_sha256": "old"})

    plain = diff([desired], [observed]).plain(cluster="main")

    assert plain == {
        "summary": "0 added, 1 changed, 0 deleted",
        "entries": [
            {
                "action": "update",
                "cluster": "main",
                "group": "",
                "kind": "T",
                "namespace": "",
                "name": "t",
                "reason": "2 fields differ",
                "changes": [
                    {"path": "credential_sha256", "before": HIDDEN, "after": HIDDEN},
                    {"path": "nested", "before": None, "after": {"password": HIDDEN}},
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": [1, 2]}, {"a": [1, 3]}, [("a[2]", 2, None), ("a[3]", None, 3)]),
        ({"a": [1]}, {"a": [1, 2]}, [("a[2]", None, 2)]),
        ({"a": ["x", "y"]}, {"a": ["w", "x", "y"]}, [("a[w]", None, "w")]),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, [("a", ["[x]", "[y]"], ["[y]", "[x]"])]),
        ({"a": ["x", "x"]}, {"a": ["x"]}, [("a[x]", "x", None)]),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": {}}, {"a": []}, [("a", {}, [])]),
        (
            {"r": [{"id": "x", "p": 1}, {"id": "y", "p": 2}]},
            {"r": [{"id": "y", "p": 2}]},
            [("r[x]", {"id": "x", "p": 1}, None)],
        ),
        (
            {"r": [{"id": "x"}, {"id": "y"}]},
            {"r": [{"id": "y"}, {"id": "x"}]},
            [("r", ["[x]", "[y]"], ["[y]", "[x]"])],
        ),
        (  # A rule in between: the others are only numbered anew.
            {"r": [{"order": 1, "p": 1}, {"order": 2, "p": 2}]},
            {"r": [{"order": 1, "p": 1}, {"order": 2, "p": 9}, {"order": 3, "p": 2}]},
            [("r[2]", None, {"order": 2, "p": 9})],
        ),
        (
            {"r": [{"order": 1, "p": 1}, {"order": 2, "p": 2}]},
            {"r": [{"order": 1, "p": 1}, {"order": 2, "p": 9}]},
            [("r[2].p", 2, 9)],
        ),
        (
            {"r": [{"order": 1, "p": 1}, {"order": 2, "p": 2}]},
            {"r": [{"order": 1, "p": 2}, {"order": 2, "p": 1}]},
            [("r", ["[1]", "[2]"], ["[2]", "[1]"])],
        ),
        (
            {"r": [{"order": 1, "p": 1}, {"order": 2, "p": 2}]},
            {"r": [{"order": 10, "p": 1}, {"order": 20, "p": 2}]},
            [("r.order", [1, 2], [10, 20])],
        ),
        (  # Items without any name: the one that is new is the change, not the shift.
            {"r": [{"to": "a"}, {"to": "b"}]},
            {"r": [{"to": "a"}, {"to": "new"}, {"to": "b"}]},
            [("r[1]", None, {"to": "new"})],
        ),
    ],
)
def test_changes_are_as_small_as_they_can_be(before, after, changes):
    assert [(c.path, c.before, c.after) for c in changed_fields(before, after)] == changes


def test_an_object_named_twice_is_refused():
    twice = [Resource.of("S", "a", {}), Resource.of("S", "a", {"x": 1})]

    with pytest.raises(ValueError, match="S a occurs twice"):
        diff(twice, [])


def _rules(port: int) -> Resource:
    return Resource.of("T", "t", {"rules": [{"id": "acme/web/1", "port": port}]})
