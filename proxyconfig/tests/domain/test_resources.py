"""Resources: one canonical form, and a hash that only content changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain.resources import Resource, by_identity, resources_hash

A = Resource.of("Server", "a", {"x": 1, "y": ["é"]})
B = Resource.of("Server", "b", {})


def test_key_order_does_not_matter():
    assert Resource.of("K", "n", {"b": 1, "a": 2}) == Resource.of("K", "n", {"a": 2, "b": 1})


def test_body_is_a_copy():
    body = A.body
    body["x"] = 2

    assert A.body == {"x": 1, "y": ["é"]}


def test_canonical_bytes_name_the_object():
    assert A.canonical_bytes == '{"body":{"x":1,"y":["é"]},"kind":"Server","name":"a"}'.encode()


def test_group_and_namespace_are_part_of_the_object():
    plain = Resource.of("Route", "a", {})
    placed = Resource.of("Route", "a", {}, group="gateway.example", namespace="acme")

    assert placed.identity != plain.identity
    assert str(placed.identity) == "Route acme/a"
    assert placed.canonical_bytes == (
        b'{"body":{},"group":"gateway.example","kind":"Route","name":"a","namespace":"acme"}'
    )
    assert len(by_identity([plain, placed])) == 2


@given(st.permutations([A, B, Resource.of("Tenant", "a", {})]))
def test_hash_of_a_set_ignores_order(resources):
    assert resources_hash(resources) == resources_hash(sorted(resources))


def test_hash_changes_with_content():
    assert (
        len({resources_hash([A]), resources_hash([B]), resources_hash([A, B]), resources_hash([])})
        == 4
    )


def test_what_json_does_not_know_is_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        Resource.of("K", "n", {"x": float("nan")})


def test_index_refuses_doubles():
    assert by_identity([A, B]) == {A.identity: A, B.identity: B}
    with pytest.raises(ValueError, match="Server a occurs twice"):
        by_identity([A, A])
