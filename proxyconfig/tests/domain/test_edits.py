"""Edits of one object: what follows a new name."""

from dataclasses import replace

import pytest

from proxyconfig.domain import edits, objects
from proxyconfig.domain.intent import (
    Backend,
    BgpPeer,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Intent,
    Listener,
    PortRange,
    SnatPool,
    TlsReference,
)
from proxyconfig.domain.objects import COLLECTIONS, Key, key_of
from proxyconfig.domain.references import users
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.tests.samples import one_of_each

# Beside one of each: everything that can be named by something is named.
NAMING = (
    Listener(
        name="https",
        cluster="local",
        virtual_address="127.110.1.1",
        port=8443,
        tls="certificate",
    ),
    IngressPolicy(
        name="offices",
        listener="https",
        backend=Backend(namespace="rag-1", service="ragapp", port=8080),
        source_lists=("office",),
    ),
    EgressPolicy(
        name="partners",
        rules=(
            EgressRule(order=1, address_list="office", port_lists=("web-ports",)),
            EgressRule(order=2, host="docs.example.org", ports=(PortRange.single(443),)),
        ),
        snat_pool="default",
    ),
    BgpPeer(
        name="second",
        cluster="local",
        address="10.1.0.9",
        asn=64513,
        local_asn=64512,
        advertise_lists=("office",),
    ),
)
INTENT = objects.assemble("acme", (*one_of_each(1), *NAMING))
NEW = {"virtual-addresses": {"address": "127.110.1.7"}, "self-ips": {"number": 2}}


def broken(intent: Intent) -> list[str]:
    return [str(problem) for problem in blocking(validate(intent))]


@pytest.mark.parametrize("name", [entry.name for entry in COLLECTIONS])
def test_what_names_an_object_follows_its_new_name(name):
    key = next(key for key in objects.objects(INTENT) if key.collection == name)
    item = objects.find(INTENT, key)
    wanted = replace(item, **NEW.get(name, {"name": "renamed"}))

    after = edits.change(key, wanted)(INTENT)

    assert broken(after) == broken(INTENT) == []
    assert len(objects.objects(after)) == len(objects.objects(INTENT))
    assert len(users(after, key_of(wanted))) == len(users(INTENT, key))
    assert edits.change(key_of(wanted), item)(after) == INTENT


def test_listener_made_for_a_policy_is_renamed_with_its_address_and_goes_with_the_policy():
    draft = edits.IngressDraft(
        name="made", virtual_address="127.110.1.1", port=9090, namespace="rag-1"
    )
    made = edits.save_ingress(draft)(INTENT)
    key = Key("virtual-addresses", "local:127.110.1.1")
    moved = replace(objects.find(made, key), address="127.110.1.7")

    after = edits.change(key, moved)(made)

    assert objects.find(after, Key("ingress-policies", "made")).listener == (
        "http-127-110-1-7-9090"
    )
    assert edits.delete(Key("ingress-policies", "made"))(after) == (
        edits.change(key, moved)(INTENT)
    )


def test_other_kinds_of_the_same_name_keep_theirs():
    both = objects.put(
        INTENT,
        SnatPool(name="office", cluster="local", addresses=("127.120.1.9",)),
        TlsReference(name="front", namespace="rag-1", secret="tls"),
    )
    pool = objects.find(both, Key("snat-pools", "office"))

    after = edits.change(key_of(pool), replace(pool, name="other"))(both)

    assert after == objects.put(objects.remove(both, key_of(pool)), replace(pool, name="other"))


def test_port_list_is_not_used_by_what_names_an_address_list_of_its_name():
    both = objects.put(INTENT, replace(INTENT.port_lists[0], name="office"))

    assert users(both, Key("port-lists", "office")) == ()
