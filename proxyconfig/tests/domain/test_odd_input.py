"""No text and no odd intent makes the readers, the checks or the derived sets raise."""

import contextlib
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyconfig.domain.codec import fields_of
from proxyconfig.domain.effects import effects, summary
from proxyconfig.domain.guardrails import findings
from proxyconfig.domain.holdings import claims
from proxyconfig.domain.intent import Intent, SelfIp, canonical
from proxyconfig.domain.manifest import from_mapping, from_stored, from_yaml, to_mapping, to_yaml
from proxyconfig.domain.objects import COLLECTIONS
from proxyconfig.domain.rights import required_actions
from proxyconfig.domain.validation import validate
from proxyconfig.tests.domain.strategies import COLLECTION_FIELDS, WHOLE_INTENTS, intents
from tenants.errors import InvalidError

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**5000),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.sampled_from(
        [
            "\x00",
            "\ud800",
            "\ufeff",
            "0/0",
            "10.0.0.0/255.0.0.0",
            "fe80::1%eth0",
            "::ffff:1.2.3.4",
            "1.2.3.4",
            "fe80::1",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
            "a" * 300,
        ]
    ),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"name": ["x"]}),
)


@st.composite
def broken_documents(draw: st.DrawFn, version: str) -> dict[str, object]:
    """A manifest of a valid intent, with one value anywhere below ``spec`` replaced."""
    document = to_mapping(draw(intents()))
    document["apiVersion"] = version
    holder, place = document["spec"], draw(st.sampled_from(sorted(document["spec"])))
    while draw(st.booleans()) and holder[place] and isinstance(holder[place], dict | list):
        holder = holder[place]
        keys = sorted(holder) if isinstance(holder, dict) else range(len(holder))
        place = draw(st.sampled_from([*keys]))
    holder[place] = draw(odd_values)
    return document


@settings(parent=WHOLE_INTENTS, max_examples=50)
@given(document=broken_documents("sluice/v2"))
def test_a_document_is_read_or_refused(document):
    with contextlib.suppress(InvalidError):
        intent = from_mapping(document)
        validate(intent)
        assert from_yaml(to_yaml(intent)) == intent
    with contextlib.suppress(InvalidError):
        from_stored(document, home="local")


@WHOLE_INTENTS
@given(document=broken_documents("sluice/v1"))
def test_a_document_of_the_first_version_is_read_or_refused(document):
    for read in (from_mapping, from_stored):
        with contextlib.suppress(InvalidError):
            read(document, home="local")


@st.composite
def odd_intents(draw: st.DrawFn) -> Intent:
    """Well-formed parts that do not belong together: collections of several intents mixed."""
    found = [draw(intents(tenant="acme")) for _ in range(2)]
    mixed = {name: getattr(draw(st.sampled_from(found)), name) for name in COLLECTION_FIELDS}
    ip = draw(st.sampled_from(("10.0.7.12", "fd00:9::1", "::", "ff02::1", "fe80::1")))
    odd = SelfIp(segment=draw(st.sampled_from(("segment-0", "gone"))), number=1, address=ip)
    mixed["self_ips"] += (odd,)
    mixed["static_routes"] = tuple(replace(route, next_hop=ip) for route in mixed["static_routes"])
    mixed["segments"] = tuple(
        replace(segment, subnets=tuple(replace(s, gateway=ip) for s in segment.subnets))
        for segment in mixed["segments"]
    )
    return replace(found[0], **mixed)


@WHOLE_INTENTS
@given(before=odd_intents(), after=odd_intents())
def test_odd_intents_are_judged_and_not_raised_at(before, after):
    validate(after)
    claims(after)
    findings(before, after)
    required_actions(before, after)
    assert all(len(sentence) <= 200 for sentence in effects(before, after))
    assert summary(before, after)
    for cluster in after.clusters:
        validate(after.on(cluster))


@pytest.mark.parametrize("entry", COLLECTIONS, ids=lambda entry: entry.name)
def test_collections_are_those_of_the_intent(entry):
    shapes = {field.name: field.shape.base for field in fields_of(Intent)}

    assert shapes[entry.field] is entry.kind
    assert {collection.field for collection in COLLECTIONS} == set(COLLECTION_FIELDS)


def test_empty_intent_is_sound():
    empty = Intent(tenant="acme")

    assert validate(empty) == []
    assert canonical(empty) == empty
    assert all(getattr(empty, field.name) in ("acme", ()) for field in fields(Intent))
