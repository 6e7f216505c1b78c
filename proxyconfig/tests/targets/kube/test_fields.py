"""Field ownership: what of a live object is shown, and what of the wanted is another's."""

import pytest

from proxyconfig.targets.kube.fields import lost, owners, project, value_at

PORTS = {
    'k:{"port":53,"protocol":"TCP"}': {".": {}, "f:port": {}},
    'k:{"port":53,"protocol":"UDP"}': {".": {}, "f:port": {}, "f:protocol": {}},
}
SERVICE = {"f:spec": {"f:ports": PORTS}}


def ports(*protocols: str) -> list[dict]:
    """Live items, with the default filled in."""
    return [{"port": 53, "protocol": protocol, "targetPort": 53} for protocol in protocols]


def test_items_are_matched_by_their_keys_whatever_their_order_and_defaults():
    wanted = {"spec": {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}}
    live = {"spec": {"ports": [*ports("TCP", "UDP", "SCTP")], "clusterIP": "10.0.0.1"}}

    assert project(live, wanted, SERVICE) == wanted
    assert lost(wanted, SERVICE) == ()


def test_own_item_that_is_no_longer_wanted_is_shown_with_what_is_ours():
    live = {"spec": {"ports": ports("TCP", "UDP")}}

    assert project(live, {"spec": {"ports": [{"port": 53}]}}, SERVICE) == {
        "spec": {"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]}
    }


def test_items_of_a_set_that_others_added_are_left_out():
    owned = {"f:finalizers": {".": {}, 'v:"ours"': {}, 'v:"old"': {}}}

    seen = project({"finalizers": ["theirs", "old", "ours"]}, {"finalizers": ["ours"]}, owned)

    assert seen == {"finalizers": ["ours", "old"]}


@pytest.mark.parametrize(
    ("live", "seen"),
    [
        ([{"name": "a", "weight": 1}], [{"name": "a"}]),
        ([{"name": "b", "weight": 1}], [{"name": "b"}]),
        ([{"name": "a"}, {"name": "b", "weight": 1}], [{"name": "a"}, {"name": "b", "weight": 1}]),
        ([], []),
    ],
)
def test_atomic_list_hides_defaults_and_nothing_else(live, seen):
    wanted = {"rules": [{"name": "a"}]}

    assert project({"rules": live}, wanted, {"f:rules": {}}) == {"rules": seen}


def test_list_that_another_holds_is_matched_by_name_as_far_as_it_goes():
    wanted = {"listeners": [{"name": "b", "port": 2}, {"name": "a", "port": 1}]}
    live = {"listeners": [{"name": "a", "port": 1, "x": 0}, {"name": "b", "port": 3}]}

    assert project(live, wanted, {"f:gatewayClassName": {}}) == {
        "listeners": [{"name": "b", "port": 3}, {"name": "a", "port": 1}]
    }


def test_own_field_that_is_no_longer_wanted_is_shown():
    owned = {"f:metadata": {"f:labels": {"f:old": {}}}, "f:data": {}}
    live = {"metadata": {"name": "x", "labels": {"old": "1", "theirs": "2"}}, "data": {"a": "1"}}

    assert project(live, {"metadata": {"name": "x"}}, owned) == {
        "metadata": {"name": "x", "labels": {"old": "1"}},
        "data": {"a": "1"},
    }


def test_what_is_not_owned_is_lost_and_names_need_no_owner():
    wanted = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "x", "namespace": "y", "labels": {"a": "1"}},
        "spec": {"ports": [{"port": 53}, {"port": 80}], "type": "ClusterIP"},
    }
    owned = {"f:metadata": {"f:labels": {}}, **SERVICE}

    assert lost(wanted, owned) == ("spec.ports.[]", "spec.type")
    assert lost(wanted, None) == ("",)


def test_owners_of_a_path_hold_it_a_part_of_it_or_all_around_it():
    sets = {
        "above": {"f:spec": {}},
        "here": {"f:spec": {"f:rules": {}}},
        "beside": {"f:spec": {"f:hostnames": {}}},
    }

    assert owners("spec.rules", sets) == ("above", "here")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".spec.hostnames", ["a"]),
        ('.spec.listeners[name="b",port=2].protocol', "TCP"),
        ('.spec.listeners[name="c"].protocol', None),
        (".metadata.labels.app.kubernetes.io/name", "x"),
        (".spec.absent.below", None),
    ],
)
def test_path_of_a_conflict_leads_to_the_live_value(path, value):
    live = {
        "metadata": {"labels": {"app": "y", "app.kubernetes.io/name": "x"}},
        "spec": {
            "hostnames": ["a"],
            "listeners": [{"name": "a"}, {"name": "b", "port": 2, "protocol": "TCP"}],
        },
    }

    assert value_at(live, path) == value
