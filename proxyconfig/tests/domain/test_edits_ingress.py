"""Edits of an ingress policy: what becomes of its listener."""

from dataclasses import replace

import pytest

from proxyconfig.domain import edits, objects
from proxyconfig.domain.edits import IngressDraft
from proxyconfig.domain.intent import Intent, Listener, Namespace, VirtualAddress
from proxyconfig.domain.objects import Key
from tenants.errors import ConflictError

ADDRESSES = ("10.0.0.1", "2001:db8::1", "fd50::")
DRAFT = IngressDraft(name="web", virtual_address="10.0.0.1", port=8080, namespace="shop")
WEB = Key("ingress-policies", "web")


def intent(*addresses: str, cluster: str = "local") -> Intent:
    return Intent(
        tenant="acme",
        namespaces=(Namespace(name="shop", cluster=cluster),),
        virtual_addresses=tuple(VirtualAddress(address=a, cluster=cluster) for a in addresses),
    )


def named(before: Intent, name: str) -> Intent:
    """The same with its only listener, and the policy on it, under another name."""
    (listener,), (policy,) = before.listeners, before.ingress_policies
    left = objects.remove(before, objects.key_of(listener))
    return objects.put(left, replace(listener, name=name), replace(policy, listener=name))


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("cluster", ["local", "a" * 40])
def test_listener_that_was_made_goes_with_its_policy(address, cluster):
    before = intent(address, cluster=cluster)
    taken = Listener(
        name=edits.listener_name(before, cluster="", protocol="http", address=address, port=8080),
        cluster="other",
        virtual_address=address,
        port=8080,
    )
    draft = replace(DRAFT, virtual_address=address)

    alone = edits.save_ingress(draft)(before)
    beside = edits.save_ingress(draft)(objects.put(before, taken))

    assert edits.delete(WEB)(alone).listeners == ()
    assert len(beside.listeners) == 2
    assert edits.delete(WEB)(beside).listeners == (taken,)


@pytest.mark.parametrize("place", [{"port": 9001}, {"virtual_address": "10.0.0.2"}])
def test_listener_that_was_made_and_moved_goes_with_its_policy(place):
    made = edits.save_ingress(DRAFT)(intent("10.0.0.1", "10.0.0.2"))
    moved = objects.put(made, replace(made.listeners[0], **place))

    back = edits.save_ingress(DRAFT, name="web")(moved)

    assert edits.delete(WEB)(moved).listeners == ()
    assert back.listeners == made.listeners


@pytest.mark.parametrize(
    "name",
    ["front", "http", "http-10-0-0-1", "http-10-0-0-1-8080-keep", "http-10-0-0-300-80", "x-1-1"],
)
def test_listener_that_somebody_named_stays(name):
    before = named(edits.save_ingress(DRAFT)(intent("10.0.0.1")), name)

    after = edits.delete(WEB)(before)

    assert [listener.name for listener in after.listeners] == [name]


def test_new_listener_takes_no_other_ones_name():
    """Both names that it could have are those of listeners that were moved elsewhere."""
    first = edits.save_ingress(DRAFT)(intent("10.0.0.1"))
    moved = objects.put(first, replace(first.listeners[0], port=1))
    second = edits.save_ingress(replace(DRAFT, name="two"))(moved)
    ports = {"http-10-0-0-1-8080": 1, "http-10-0-0-1-8080-local": 2}
    both = objects.put(
        second, *(replace(entry, port=ports[entry.name]) for entry in second.listeners)
    )

    with pytest.raises(ConflictError, match="http-10-0-0-1-8080-local"):
        edits.save_ingress(replace(DRAFT, name="three"))(both)


def test_version_of_a_policy_is_that_of_what_is_shown():
    made = edits.save_ingress(DRAFT)(intent("10.0.0.1"))
    (policy,), (listener,) = made.ingress_policies, made.listeners
    moved = objects.put(made, replace(listener, port=9001))
    other = objects.put(made, replace(listener, name="other", port=9001))

    known = objects.version_in(made, policy)

    assert objects.version_in(moved, policy) != known
    assert objects.version_in(other, policy) == known
    assert objects.version_in(made, listener) == objects.version(listener)
    assert objects.version_in(made, None) == ""
