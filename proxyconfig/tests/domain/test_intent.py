"""The part of an intent for one cluster."""

from dataclasses import replace

from hypothesis import given

from proxyconfig.domain.intent import (
    EgressPolicy,
    Intent,
    Listener,
    Namespace,
    SnatPool,
    canonical,
)
from proxyconfig.domain.objects import objects
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.tests.domain.builders import rule
from proxyconfig.tests.domain.strategies import CLUSTERS, WHOLE_INTENTS, intents

# On every cluster that the tenant is on.
SHARED = {"egress-policies", "address-lists", "port-lists", "tls-references"}


@WHOLE_INTENTS
@given(intent=intents())
def test_parts_cover_the_whole_and_each_object_is_on_one_cluster(intent):
    parts = [objects(intent.on(cluster)) for cluster in intent.clusters]
    together = [key for part in parts for key in part]

    assert set(together) == set(objects(intent))
    for key in set(together):
        assert key.collection in SHARED or together.count(key) == 1


@WHOLE_INTENTS
@given(intent=intents())
def test_the_part_of_a_part_is_itself(intent):
    for cluster in CLUSTERS:
        part = intent.on(cluster)
        assert part.on(cluster) == part
        assert set(part.clusters) <= {cluster}
        assert canonical(intent).on(cluster) == canonical(part)


@WHOLE_INTENTS
@given(intent=intents())
def test_the_part_of_a_sound_intent_is_sound(intent):
    for cluster in CLUSTERS:
        assert blocking(validate(intent.on(cluster))) == []


def test_two_clusters_of_one_flavour_get_different_objects():
    intent = Intent(
        tenant="acme",
        namespaces=(Namespace(name="n", cluster="a"), Namespace(name="n", cluster="b")),
        listeners=(
            Listener(name="one", cluster="a", virtual_address="10.0.0.1", port=80),
            Listener(name="two", cluster="b", virtual_address="10.0.0.1", port=80),
        ),
        snat_pools=(SnatPool(name="pool", cluster="a", addresses=("10.0.0.2",)),),
        egress_policies=(
            EgressPolicy(name="pooled", rules=(rule(host="a.example"),), snat_pool="pool"),
            EgressPolicy(name="plain", rules=(rule(host="b.example"),)),
        ),
    )

    assert intent.clusters == ("a", "b")
    assert [entry.name for entry in intent.on("a").listeners] == ["one"]
    assert [entry.name for entry in intent.on("b").listeners] == ["two"]
    assert [entry.name for entry in intent.on("a").egress_policies] == ["pooled", "plain"]
    assert [entry.name for entry in intent.on("b").egress_policies] == ["plain"]
    assert intent.on("c") == replace(
        Intent(tenant="acme"), egress_policies=intent.egress_policies[1:]
    )


def test_an_intent_without_anything_is_on_no_cluster():
    assert Intent(tenant="acme").clusters == ()
    assert Intent(tenant="acme").on("a") == Intent(tenant="acme")
