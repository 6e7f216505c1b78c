"""Forms of objects: made from the types, lossless, and with each complaint at its field."""

from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given

from proxyconfig.domain import edits, objects
from proxyconfig.domain.codec import fields_of, is_record
from proxyconfig.domain.intent import (
    EgressPolicy,
    EgressRule,
    Intent,
    PortRange,
    Segment,
    Subnet,
    VirtualAddress,
    VlanLink,
    canonical,
)
from proxyconfig.domain.objects import BY_NAME, COLLECTIONS, Key, key_of
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.services.complaints import invalid
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents
from proxyconfig.tests.samples import one_of_each
from proxyconfig.tests.ui.browser import sent
from proxyconfig.ui.layout import LAYOUTS, kinds_of
from proxyconfig.ui.object_forms import Context, object_form
from proxyconfig.ui.refusals import refuse_object
from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole, Role

ALICE = Actor(name="alice", role=Role.NETOPS)
ADA = Actor(name="ada", platform_role=PlatformRole.ADMIN)


def context(intent: Intent, actor: Actor = ALICE) -> Context:
    clusters = intent.clusters or ("local",)
    return Context(intent, clusters, actor, home=clusters[0])


def form_of(name: str, intent: Intent, data=None, **kwargs):
    actor = kwargs.pop("actor", ALICE)
    return object_form(BY_NAME[name], context(intent, actor), data, **kwargs)


def paths_of(kind: type, prefix: str = "") -> set[str]:
    found = set()
    for field in fields_of(kind):
        path = f"{prefix}{field.name}"
        if is_record(field.shape.base) and not field.shape.is_list:
            found |= paths_of(field.shape.base, f"{path}.")
        else:
            found.add(path)
    return found


@pytest.mark.parametrize(
    "name", [entry.name for entry in COLLECTIONS if entry.name != "ingress-policies"]
)
def test_every_field_of_every_object_is_on_its_form(name):
    assert {entry.path for entry in LAYOUTS[name].entries} == paths_of(BY_NAME[name].kind)


def test_ingress_form_has_the_policy_and_its_listener():
    policy, listener = kinds_of("ingress-policies")
    wanted = paths_of(policy) - {"listener"} | paths_of(listener) - {"name", "cluster"}

    assert {entry.path for entry in LAYOUTS["ingress-policies"].entries} == wanted


@pytest.mark.parametrize("actor", [ALICE, ADA], ids=["netops", "administrator"])
@pytest.mark.parametrize("hidden", [False, True], ids=["form", "review"])
@given(intent=intents())
@WHOLE_INTENTS
def test_form_that_nobody_touched_changes_nothing(actor, hidden, intent):
    intent = canonical(intent)
    for key, item in objects.objects(intent).items():
        shown = form_of(key.collection, intent, existing=item, actor=actor)
        form = form_of(
            key.collection, intent, sent(shown, hidden=hidden), existing=item, actor=actor
        )

        assert form.is_valid(), (key, form.errors)
        assert objects.find(form.edit()(intent), key) == item
        assert canonical(form.edit()(intent)) == intent


@given(intent=intents())
@WHOLE_INTENTS
def test_new_object_is_what_was_typed(intent):
    intent = canonical(intent)
    for key, item in objects.objects(intent).items():
        if key.collection == "ingress-policies":
            continue
        typed = sent(form_of(key.collection, intent, existing=item))
        if key.collection == "egress-policies":
            item = replace(
                item,
                rules=tuple(
                    replace(rule, order=10 * place, granted=None)
                    for place, rule in enumerate(item.rules, start=1)
                ),
            )
        form = form_of(key.collection, intent, typed)

        assert form.is_valid(), (key, form.errors)
        assert form.item == item


NETWORK = Intent(
    tenant="acme",
    segments=(Segment(name="web", cluster="local", vlan=VlanLink(interface="1.1", tag=101)),),
    virtual_addresses=(VirtualAddress(address="127.10.1.1", cluster="local"),),
)


def segment_form(**typed):
    data = {"name": "db", "cluster": "local", "vlan_interface": "1.1", "vxlan_port": "4789"}
    return form_of("segments", NETWORK, {**data, **typed})


def test_vlan_without_a_tag_is_asked_for():
    form = segment_form(vlan_interface="2.2")

    assert list(form.errors) == ["vlan_tag"]


def test_vlan_without_a_trunk_is_asked_for():
    form = segment_form(vlan_tag="102", vlan_interface=" ")

    assert form.errors == {"vlan_interface": ["Enter the trunk."]}


def test_part_that_was_left_alone_is_not_there():
    form = segment_form()

    assert form.is_valid()
    assert (form.item.vlan, form.item.vxlan) == (None, None)


def refused(form, intent: Intent):
    """The form after a service refused what it says."""
    assert form.is_valid(), form.errors
    edit = form.edit()
    after = edit(intent)
    problems = blocking(validate(after))
    refuse_object(form, invalid(problems, after=after, about=edit.key))
    return form


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("spec.segments[db].vlan.tag", "vlan_tag"),
        ("spec.segments[db].vlan", "vlan_tag"),
        ("spec.segments[db].vxlan.remoteVteps[0]", "vxlan_remote_vteps"),
        ("spec.segments[db].subnets[1].gateway", "subnets"),
        ("spec.segments[db]", None),
        ("spec.segments[web].mtu", None),
        ("spec.selfIps[0].address", None),
        ("mtu", "mtu"),
    ],
)
def test_path_of_the_manifest_leads_to_the_field(path, field):
    form = segment_form(vlan_tag="102")
    assert form.is_valid()

    assert form.field_for(path) == field


def test_complaint_about_an_item_of_a_list_names_its_line():
    form = refused(
        segment_form(vlan_tag="102", subnets="10.1.0.0/24\n\n10.2.0.0/24 10.3.0.1"), NETWORK
    )

    assert form.errors["subnets"][0].startswith("Line 3: ")


def test_subnet_with_host_bits_is_refused_with_the_right_spelling():
    form = segment_form(subnets="10.1.0.0/24\n10.2.0.7/24")

    assert form.errors["subnets"] == ["Line 2: write 10.2.0.7/24 as 10.2.0.0/24."]


@pytest.mark.parametrize(
    ("subnets", "says"),
    [
        ("fe80::/64", "fe80::/64 cannot be a subnet"),
        ("fd00:1::/64 fe80::1", "fe80::1 is link-local"),
    ],
)
def test_address_keeps_its_spelling_at_the_start_of_a_sentence(subnets, says):
    form = refused(segment_form(subnets=subnets), NETWORK)

    assert any(error.startswith(says) for error in form.errors["subnets"])


@pytest.mark.parametrize(
    ("name", "field", "typed", "says"),
    [
        ("segments", "subnets", "2001:DB8::/32", "Write 2001:DB8::/32 as 2001:db8::/32."),
        ("virtual-addresses", "address", "FD00::5", "Write FD00::5 as fd00::5."),
        ("address-lists", "addresses", "2001:DB8::/32", "Write 2001:DB8::/32 as 2001:db8::/32."),
    ],
)
def test_address_in_capitals_is_refused_as_in_a_manifest(name, field, typed, says):
    assert form_of(name, NETWORK, {field: typed}).errors[field] == [says]


def test_complaint_about_a_rule_names_its_line():
    data = {"name": "docs", "destinations": "a.example:443\n\n@nobody:443"}
    form = refused(form_of("egress-policies", NETWORK, data), NETWORK)

    assert form.errors["destinations"] == ["Line 3: there is no list nobody."]


def test_complaint_about_the_whole_object_is_on_top():
    form = refused(segment_form(vlan_tag="102", vxlan_vni="7"), NETWORK)

    assert list(form.errors) == ["__all__"]
    assert "not both" in form.non_field_errors()[0]


# Whatever an edit of one of these can break of the others.
AROUND = objects.assemble(
    "acme",
    (
        *(item for item in one_of_each(1) if key_of(item).collection != "segments"),
        Segment(
            name="front",
            cluster="local",
            vlan=VlanLink(interface="1.1", tag=1001),
            subnets=(Subnet(cidr="10.1.0.0/24", gateway="10.1.0.1"),),
        ),
        Segment(name="other", cluster="local", subnets=(Subnet(cidr="10.9.0.0/24"),)),
    ),
)


@pytest.mark.parametrize(
    ("key", "typed", "says"),
    [
        (
            Key("segments", "front"),
            {"subnets": "10.2.0.0/24"},
            {
                "subnets": [
                    "Self-IP 10.1.0.5 of instance 1 needs a subnet that it is a host address of.",
                    "Static route beyond needs a subnet with its next hop 10.1.0.1.",
                ]
            },
        ),
        (
            Key("segments", "front"),
            {"subnets": "10.1.0.0/24\n10.9.0.0/25"},
            {
                "subnets": [
                    "Line 2: 10.9.0.0/25 overlaps 10.9.0.0/24 of segment other; change one, or use"
                    " another VRF."
                ]
            },
        ),
        (
            Key("virtual-addresses", "local:127.110.1.1"),
            {"address": "127.120.1.1"},
            {
                "address": [
                    "127.120.1.1 is already used by SNAT pool default; one address, one use."
                ]
            },
        ),
        (
            Key("snat-pools", "default"),
            {"addresses": "127.110.1.1"},
            {
                "addresses": [
                    "127.110.1.1 is already used by virtual address 127.110.1.1; one address, one"
                    " use."
                ]
            },
        ),
        (
            Key("self-ips", "front:1:v4"),
            {"address": "127.110.1.1"},
            {
                "address": [
                    "127.110.1.1 is not a host address of segment front, which has 10.1.0.0/24.",
                    "127.110.1.1 is already used by virtual address 127.110.1.1; one address, one"
                    " use.",
                ]
            },
        ),
    ],
)
def test_what_breaks_another_object_is_told_to_the_one_that_is_edited(key, typed, says):
    existing = objects.find(AROUND, key)
    shown = sent(form_of(key.collection, AROUND, existing=existing)).dict()

    form = refused(form_of(key.collection, AROUND, {**shown, **typed}, existing=existing), AROUND)

    assert form.errors == says


def test_second_pool_says_which_policy_has_to_choose_first():
    data = {"name": "second", "cluster": "local", "addresses": "127.120.1.2"}

    form = refused(form_of("snat-pools", AROUND, data), AROUND)

    assert form.errors == {
        "cluster": [
            "Cluster local would have several SNAT pools, and egress policy docs names none; name"
            " one there first."
        ]
    }


@pytest.mark.parametrize(
    ("name", "typed", "field"),
    [
        ("segments", {"vlan_tag": "1001"}, "vlan_tag"),
        ("listeners", {"port": "8080"}, "port"),
    ],
)
def test_what_is_taken_inside_the_tenant_is_said_at_its_field(name, typed, field):
    data = {
        "segments": {"name": "a", "cluster": "local", "vlan_interface": "1.1", "mtu": "1500"},
        "listeners": {"name": "a", "cluster": "local", "virtual_address": "127.110.1.1"},
    }[name]

    form = refused(
        form_of(name, AROUND, {"protocol": "http", "vxlan_port": "4789", **data, **typed}), AROUND
    )

    assert list(form.errors) == [field]


@pytest.mark.parametrize("about", [None, Key("port-lists", "web-ports")])
def test_other_objects_are_named_in_words(about):
    broken = replace(AROUND, segments=())

    refusal = invalid(blocking(validate(broken)), after=broken, about=about)

    assert refusal.fields == {
        "": [
            "Self-IP 10.1.0.5 of segment front: there is no segment front",
            "Static route beyond: next hop 10.1.0.1 is in none of the tenant's subnets on cluster"
            " local",
        ]
    }


@pytest.mark.parametrize(
    ("name", "field"), [("self-ips", "number"), ("virtual-addresses", "address")]
)
def test_object_that_is_there_already_is_said_at_what_makes_it_another(name, field):
    key = next(key for key in objects.objects(AROUND) if key.collection == name)
    form = form_of(name, AROUND, sent(form_of(name, AROUND, existing=objects.find(AROUND, key))))
    assert form.is_valid()

    with pytest.raises(edits.ConflictError) as caught:
        form.edit()(AROUND)
    refuse_object(form, caught.value)

    assert list(form.errors) == [field]


def test_name_that_is_taken_is_said_at_the_name():
    form = form_of("segments", NETWORK, {**sent(segment_form()).dict(), "name": "web"})
    assert form.is_valid()
    with pytest.raises(edits.ConflictError) as caught:
        form.edit()(NETWORK)
    refuse_object(form, caught.value)

    assert list(form.errors) == ["name"]


def egress_form(actor, text="10.0.0.0/8:443", **typed):
    return form_of(
        "egress-policies", NETWORK, {"name": "docs", "destinations": text, **typed}, actor=actor
    )


@pytest.mark.parametrize(
    ("actor", "ticked", "expected"),
    [(ADA, True, True), (ADA, False, False), (ALICE, True, False)],
)
def test_only_a_tick_of_a_platform_administrator_grants(actor, ticked, expected):
    form = egress_form(actor, **({"grant": "on"} if ticked else {}))

    assert form.is_valid()
    assert form.wants_grant is expected


def test_public_networks_need_no_grant():
    form = egress_form(ADA, "1.1.1.0/24:443\ndocs.example.org:443", grant="on")

    assert form.is_valid()
    assert not form.wants_grant


def test_reference_that_is_gone_stays_chosen():
    gone = replace(NETWORK.segments[0], cluster="gone")

    form = form_of("segments", NETWORK, existing=gone)

    assert sent(form)["cluster"] == "gone"


def test_differences_are_in_the_words_of_the_form():
    form = form_of(
        "segments",
        NETWORK,
        {**sent(form_of("segments", NETWORK, existing=NETWORK.segments[0])).dict(), "mtu": "9000"},
        existing=NETWORK.segments[0],
    )

    assert [(str(found.label), found.now, found.typed) for found in form.differences()] == [
        ("MTU", "1500", "9000")
    ]


def test_every_collection_has_a_layout():
    assert set(LAYOUTS) == {entry.name for entry in COLLECTIONS}
    assert {field.name for field in fields(Intent)} - {"tenant"} == {
        entry.field for entry in COLLECTIONS
    }
    assert Key("segments", "web") in objects.objects(NETWORK)


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "errors"),
    [
        ("2026-11-24T11:59", ["expires_at"]),
        ("2026-11-24T12:00", ["expires_at"]),
        ("2026-11-24T12:01", []),
        ("2026-11-01T00:00", []),  # It was there before.
        ("", []),
    ],
)
def test_new_expiry_is_still_to_come(until, errors):
    policy = EgressPolicy(
        name="docs",
        rules=(EgressRule(order=1, host="docs.example.org", ports=(PortRange.single(443),)),),
        expires_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    intent = Intent(tenant="acme", egress_policies=(policy,))
    asked = replace(context(intent), now=NOW)
    shown = object_form(BY_NAME["egress-policies"], asked, existing=policy)
    typed = sent(shown)
    typed["expires_at"] = until

    form = object_form(BY_NAME["egress-policies"], asked, typed, existing=policy)

    assert list(form.errors) == errors
    assert "in the past (now: 2026-11-24 12:00 UTC)" in str(form.errors) or not errors
