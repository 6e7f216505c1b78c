"""Objects of an intent: taking apart, putting together, versions, differences and merges."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxyconfig.domain.effects import field_changes
from proxyconfig.domain.intent import Intent, StaticRoute, canonical
from proxyconfig.domain.objects import (
    ChangeKind,
    Key,
    assemble,
    difference,
    find,
    key_of,
    merge,
    objects,
    plain,
    put,
    read,
    remove,
    version,
)
from proxyconfig.domain.plan import FieldChange
from proxyconfig.tests.domain.builders import EMPTY, egress, listed, rule
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents, pairs, shuffled


@WHOLE_INTENTS
@given(data=st.data(), intent=intents())
def test_parts_in_any_order_make_the_whole(data, intent):
    parts = objects(data.draw(shuffled(intent)))
    again = assemble(intent.tenant, data.draw(st.permutations(list(parts.values()))))

    assert again == canonical(intent)
    assert canonical(again) == again
    assert {key_of(item): item for item in parts.values()} == parts


@WHOLE_INTENTS
@given(intent=intents())
def test_every_object_reads_back_from_its_row(intent):
    for key, item in objects(intent).items():
        assert read(key.collection, plain(item)) == item
        assert len(version(item)) == 16


def test_a_row_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match="stored listeners"):
        read("listeners", {"name": "web"})


@WHOLE_INTENTS
@given(pair=pairs())
def test_versions_differ_exactly_when_objects_do(pair):
    before, after = map(objects, pair)

    for key in before.keys() | after.keys():
        left, right = before.get(key), after.get(key)
        assert (version(left) == version(right)) == (left == right)
    assert version(None) == ""


@WHOLE_INTENTS
@given(intent=intents())
def test_put_and_remove_undo_each_other(intent):
    whole = canonical(intent)
    for key, item in objects(whole).items():
        assert find(whole, key) == item
        less = remove(whole, key)
        assert find(less, key) is None
        assert put(less, item) == put(whole, item) == whole
        assert remove(less, key) == less


def _apply(intent: Intent, changes) -> Intent:
    gone = [change.key for change in changes if change.after is None]
    return put(remove(intent, *gone), *(c.after for c in changes if c.after is not None))


@WHOLE_INTENTS
@given(pair=pairs())
def test_a_difference_is_what_turns_one_into_the_other(pair):
    before, after = map(canonical, pair)
    there, back = difference(before, after), difference(after, before)

    assert _apply(before, there) == after
    assert _apply(after, back) == before
    assert difference(before, before) == ()
    assert {change.key for change in there} == {change.key for change in back}
    kinds = [change.kind for change in there]
    assert kinds == sorted(kinds, key=[ChangeKind.DELETE, ChangeKind.CHANGE, ChangeKind.ADD].index)


@WHOLE_INTENTS
@given(pair=pairs())
def test_merging_with_an_untouched_side_is_the_other_side(pair):
    base, other = map(canonical, pair)

    for merged in (merge(base, base, other), merge(base, other, base), merge(base, other, other)):
        assert (merged.conflicts, merged.intent) in (((), other), ((), other))


@st.composite
def _forks(draw: st.DrawFn) -> tuple[Intent, Intent, Intent]:
    """A base, and two intents of which each took over some objects of another one."""
    base, source = (canonical(intent) for intent in draw(pairs()))
    changes = difference(base, source)
    keys = [change.key for change in changes]
    sides = [draw(st.lists(st.sampled_from(keys), unique=True)) if keys else [] for _ in "ab"]
    one, other = (
        _apply(base, [change for change in changes if change.key in side]) for side in sides
    )
    return base, one, other


@WHOLE_INTENTS
@given(forks=_forks())
def test_merges_commute_and_hold_both_sides(forks):
    base, one, other = forks
    merged = merge(base, one, other)

    assert merged.conflicts == ()  # Where both touched an object they made the same of it.
    assert merged.intent == merge(base, other, one).intent
    touched = {c.key: c.after for side in (one, other) for c in difference(base, side)}
    assert {c.key: c.after for c in difference(base, merged.intent)} == touched


@WHOLE_INTENTS
@given(intent=intents())
def test_the_same_object_changed_on_both_sides_conflicts(intent):
    base = put(intent, *listed("shared", "8.8.8.8"))
    one, other = (put(base, *listed("shared", text)) for text in ("9.9.9.9", "1.1.1.1"))
    key = Key("address-lists", "shared")

    for current, proposed in ((one, other), (remove(base, key), one), (one, remove(base, key))):
        assert merge(base, current, proposed).conflicts == (key,)
    assert merge(base, remove(base, key), remove(base, key)).conflicts == ()


@WHOLE_INTENTS
@given(intent=intents())
def test_adding_the_same_name_on_both_sides_conflicts(intent):
    assume(find(intent, Key("address-lists", "new")) is None)
    one, other = (put(intent, *listed("new", text)) for text in ("9.9.9.9", "1.1.1.1"))

    assert merge(intent, one, other).conflicts == (Key("address-lists", "new"),)
    assert merge(intent, one, one).conflicts == ()


def test_a_key_reads_as_people_say_it():
    assert str(Key("egress-policies", "web")) == "egress policy web"
    assert str(key_of(listed("a", "8.8.8.8")[0])) == "address list a"


def test_one_added_route_is_one_change():
    routes = tuple(
        StaticRoute(name=name, cluster="c", destination="10.0.0.0/8", next_hop="10.1.1.1")
        for name in ("a", "b", "c")
    )
    before = replace(EMPTY, static_routes=(routes[0], routes[2]))

    (change,) = difference(before, replace(EMPTY, static_routes=routes))

    assert (change.kind, change.key.name) == (ChangeKind.ADD, "b")


def test_a_rule_put_in_between_is_one_change():
    one, two, new = (rule(host=f"{name}.example.org") for name in ("one", "two", "new"))

    (change,) = difference(egress(one, two), egress(one, new, two))
    (field,) = field_changes(change)

    assert (field.path, field.before) == ("rules[2]", None)
    assert field.after["host"] == "new.example.org"


def test_addresses_are_matched_by_value():
    before, after = (listed("a", *texts) for texts in (("8.8.8.8", "9.9.9.9"), ("9.9.9.9",)))

    (change,) = difference(
        replace(EMPTY, address_lists=before), replace(EMPTY, address_lists=after)
    )

    assert field_changes(change) == (FieldChange("addresses[8.8.8.8]", "8.8.8.8", None),)


@WHOLE_INTENTS
@given(pair=pairs())
def test_changed_objects_have_changed_fields(pair):
    for change in difference(*map(canonical, pair)):
        assert field_changes(change) != ()
