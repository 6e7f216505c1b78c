"""Form, plan, reason, apply: what the pages of policies promise."""

from dataclasses import replace

import pytest
from django.urls import reverse

from proxyconfig.domain import objects
from proxyconfig.domain.intent import AddressList, EgressPolicy, EgressRule, Intent, PortRange
from proxyconfig.domain.objects import Key
from proxyconfig.models import IntentObject, Plan
from proxyconfig.services.rows import build_intent
from proxyconfig.tests.conftest import ADDRESS
from proxyconfig.tests.holding import settle
from tenants.domain.roles import Role
from tenants.tests.people import person

pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture
def form() -> dict[str, str]:
    """What a person types to open a port."""
    return {
        "name": "web",
        "virtual_address": ADDRESS,
        "port": "8080",
        "protocol": "http",
        "allowed_sources": "10.0.0.0/8",
        "hostnames": "",
        "path_prefix": "/",
        "namespace": "acme-rag",
        "service": "ragapp",
        "service_port": "8080",
        "mode": "enforced",
    }


def create(person, form, **more):
    return person.client.post(
        reverse("proxyconfig:ingress-create", args=["acme"]), {**form, **more}
    )


def edit(person, form, **more):
    url = reverse("proxyconfig:ingress-edit", args=["acme", "web"])
    return person.client.post(url, {**form, **more})


def version(person, collection: str, name: str) -> str:
    shown = intent(person)
    return objects.version_in(shown, objects.find(shown, Key(collection, name)))


def names(person, collection: str = "ingress-policies") -> list[str]:
    with person.acting():
        rows = IntentObject.objects.filter(collection=collection)
        return list(rows.values_list("name", flat=True))


def intent(person) -> Intent:
    with person.acting():
        return build_intent(person.tenant)


def plan_named(person, reason: str) -> Plan:
    with person.acting():
        return Plan.objects.get(reason=reason)


def test_review_says_what_opens_and_saves_nothing(form, alice):
    response = create(alice, form, step="review")

    (change,) = [line for line in response.context["changes"] if "policy" in line.title]
    assert (change.action, change.title) == ("add", "Ingress policy web")
    assert f"{ADDRESS}:8080" in "".join(response.context["plan"].effects)
    assert names(alice) == []


def test_apply_saves_with_the_reason_and_leads_to_the_plan(form, alice):
    response = create(alice, form, step="apply", reason="open the door")

    plan = plan_named(alice, "open the door")
    assert response.headers["Location"] == reverse(
        "proxyconfig:plan-detail", args=["acme", plan.pk]
    )
    assert names(alice) == ["web"]


def test_apply_without_a_reason_asks_for_it_and_saves_nothing(form, alice):
    response = create(alice, form, step="apply", reason=" ")

    assert list(response.context["asked"].errors) == ["reason"]
    assert names(alice) == []


def test_edit_again_keeps_what_was_typed(form, alice):
    response = create(alice, form, step="edit", mode="staged")

    assert response.context["form"]["name"].value() == "web"
    assert response.context["form"]["mode"].value() == "staged"


def test_every_field_is_saved_and_shown_again(form, alice, acme):
    settle(acme, AddressList(name="offices", addresses=("192.0.2.0/24",)))
    more = {
        "source_lists": "offices",
        "hostnames": "a.example.org, *.example.org",
        "path_prefix": "/api",
        "order": "7",
        "mode": "staged",
        "description": "for the office",
    }

    create(alice, form, **more, step="apply", reason="all of it")

    (policy,) = intent(alice).ingress_policies
    page = alice.client.get(reverse("proxyconfig:ingress-edit", args=["acme", "web"]))
    assert (policy.hostnames, policy.source_lists, policy.order, policy.mode) == (
        ("a.example.org", "*.example.org"),
        ("offices",),
        7,
        "staged",
    )
    assert page.context["form"]["hostnames"].value() == "a.example.org, *.example.org"


def test_tcp_is_refused_in_words(form, alice):
    response = create(alice, form, step="review", protocol="tcp")

    assert response.context["form"].errors
    assert names(alice) == []


def test_source_with_host_bits_is_refused_at_the_field(form, alice):
    response = create(alice, form, step="review", allowed_sources="10.0.0.1/8")

    assert response.context["form"].errors == {
        "allowed_sources": ["Write 10.0.0.1/8 as 10.0.0.0/8."]
    }


def test_name_that_is_taken_is_said_at_the_name(form, alice):
    create(alice, form, step="apply", reason="first")

    response = create(alice, form, step="review", port="8081")

    assert list(response.context["form"].errors) == ["name"]


def test_reader_reads_and_cannot_send_the_form(form, alice, bob):
    create(alice, form, step="apply", reason="first")

    page = bob.client.get(reverse("proxyconfig:ingress-edit", args=["acme", "web"]))
    sent = edit(bob, form, step="apply", reason="mine")

    assert "Review plan" not in page.text
    assert sent.status_code == 403


def test_form_of_an_older_version_shows_what_moved_and_keeps_what_was_typed(form, alice):
    create(alice, form, step="apply", reason="first")
    seen = version(alice, "ingress-policies", "web")
    edit(alice, {**form, "order": "5"}, version=seen, step="apply", reason="second")

    response = edit(alice, {**form, "order": "9"}, version=seen, step="review")
    now = version(alice, "ingress-policies", "web")
    again = edit(alice, {**form, "order": "9"}, version=now, step="review")

    moved = {str(line.label): (line.now, line.typed) for line in response.context["moved"].fields}
    assert moved == {"Order": ("5", "9")}
    assert response.context["form"]["order"].value() == "9"
    assert response.context["form"]["version"].value() == now
    assert again.context["plan"].summary == "1 policy changed"


def test_form_shows_that_its_listener_moved(form, alice):
    create(alice, form, step="apply", reason="first")
    seen = version(alice, "ingress-policies", "web")
    settle(alice.tenant, replace(intent(alice).listeners[0], port=8081))

    response = edit(alice, {**form, "order": "9"}, version=seen, step="apply", reason="second")

    moved = {str(line.label): (line.now, line.typed) for line in response.context["moved"].fields}
    assert moved == {"Port": ("8081", "8080"), "Order": ("100", "9")}
    assert intent(alice).ingress_policies[0].order == 100


def test_apply_of_another_review_is_refused_with_the_form(form, alice):
    create(alice, form, step="apply", reason="first")
    now = version(alice, "ingress-policies", "web")

    response = edit(
        alice,
        {**form, "order": "9"},
        version=now,
        step="apply",
        reason="second",
        seen='{"ingress-policies/web": "0123456789abcdef"}',
    )

    assert "Review again" in response.text
    assert intent(alice).ingress_policies[0].order == 100


def test_policy_that_was_deleted_meanwhile_keeps_what_was_typed(form, alice):
    create(alice, form, step="apply", reason="first")
    seen = version(alice, "ingress-policies", "web")
    delete = reverse("proxyconfig:ingress-delete", args=["acme", "web"])
    alice.client.post(delete, {"step": "apply", "reason": "close it"})

    response = edit(alice, {**form, "order": "9"}, version=seen, step="review")

    assert "Somebody deleted this meanwhile" in response.text
    assert response.context["form"]["order"].value() == "9"


def test_delete_shows_its_plan_first_and_then_deletes(form, alice):
    create(alice, form, step="apply", reason="first")
    url = reverse("proxyconfig:ingress-delete", args=["acme", "web"])

    review = alice.client.get(url)
    before = names(alice)
    alice.client.post(url, {"step": "apply", "reason": "close it"})

    assert review.context["counts"].deleted > 0
    assert "button-danger" in review.text
    assert (before, names(alice)) == (["web"], [])


def egress(person, **values):
    url = reverse("proxyconfig:egress-create", args=["acme"])
    return person.client.post(url, {"name": "docs", **values})


def test_destinations_are_read_line_by_line(alice):
    text = "docs.example.org:443\n\n1.1.1.0/24 443, 8443\n[2606:4700::1111]:443"

    egress(alice, destinations=text, step="apply", reason="read")

    (policy,) = intent(alice).egress_policies
    assert [(rule.order, rule.host or rule.cidr) for rule in policy.rules] == [
        (10, "docs.example.org"),
        (20, "1.1.1.0/24"),
        (30, "2606:4700::1111/128"),
    ]


def test_line_without_a_port_is_named_by_its_number(alice):
    response = egress(alice, destinations="a.example:443\nb.example", step="review")

    assert "Line 2" in response.context["form"].errors["destinations"][0]


def test_administrators_grant_only_with_a_tick(ada):
    without = egress(ada, destinations="127.30.0.10/32:8081", step="review")
    granted = egress(ada, destinations="127.30.0.10/32:8081", grant="on", step="review")

    assert [found["code"] for found in without.context["plan"].findings] == ["private-destination"]
    assert granted.context["plan"].findings == []


def test_who_grants_is_said_before_the_reason_is_typed(alice):
    response = egress(alice, destinations="127.30.0.10/32:8081", grant="on", step="review")

    assert response.context["needs_granter"]
    assert "Only a platform administrator" in response.text


def waiting(person, reason="private", **more) -> Plan:
    egress(person, destinations="127.30.0.10/32:8081", step="apply", reason=reason, **more)
    return plan_named(person, reason)


def test_policy_that_waits_is_not_shown_as_live(alice):
    plan = waiting(alice)

    page = alice.client.get(reverse("proxyconfig:policy-list", args=["acme"]))

    assert page.context["egress"] == []
    assert [(line.title, line.plan.pk) for line in page.context["waiting"]] == [
        ("Egress policy docs", plan.pk)
    ]


def test_next_edit_can_join_the_own_change_set(alice):
    first = waiting(alice)

    typed = {"name": "more", "destinations": "127.30.0.20/32:443"}
    page = egress(alice, **typed, step="review")
    wish = {**typed, "step": "apply", "reason": "both", "into": str(first.pk)}
    whole = egress(alice, **wish)
    with alice.acting():
        first.refresh_from_db()
    before = {change["name"] for change in first.changes}
    egress(alice, **wish, reviewed=whole.context["asked"]["reviewed"].value())

    with alice.acting():
        first.refresh_from_db()
        count = Plan.objects.filter(state="AwaitingApproval").count()
    assert page.context["shows_change_sets"]
    assert [line.title for line in whole.context["own_changes"]] == ["Egress policy more"]
    assert [line.title for line in whole.context["changes"]] == [
        "Egress policy docs",
        "Egress policy more",
    ]
    assert f"Change set #{first.pk} with this edit" in whole.text
    assert (before, count) == ({"docs"}, 1)
    assert {change["name"] for change in first.changes} >= {"docs", "more"}


def test_edit_from_what_is_in_force_joins_no_change_set_that_has_the_object(alice):
    """It would drop what the change set says of the object; on the set's page nothing is lost."""
    egress(alice, destinations="docs.example.org:443", step="apply", reason="first")
    typed = {"destinations": "127.30.0.10/32:8081", "description": "keep me"}
    url = reverse("proxyconfig:egress-edit", args=["acme", "docs"])
    form = alice.client.get(url).context["form"]
    shown = {name: value or "" for name, value in form.typed().items()}
    alice.client.post(url, {**shown, **typed, "step": "apply", "reason": "second"})
    plan = plan_named(alice, "second")
    assert plan.state == "AwaitingApproval"

    review = alice.client.post(
        url, {**shown, "destinations": "127.30.0.20/32:8082", "step": "review"}
    )

    assert not review.context["shows_change_sets"]


def test_edit_within_a_change_set_is_shown_by_itself_and_with_the_rest(alice):
    plan = waiting(alice)
    url = reverse("proxyconfig:egress-edit", args=["acme", "docs"])
    form = alice.client.get(f"{url}?change_set={plan.pk}").context["form"]
    typed = {name: value or "" for name, value in form.typed().items() if name != "order"}

    review = alice.client.post(
        f"{url}?change_set={plan.pk}", {**typed, "description": "for people", "step": "review"}
    )

    (own,), (whole,) = review.context["own_changes"], review.context["changes"]
    assert (own.action, [line.after for line in own.fields]) == ("change", ["for people"])
    assert whole.action == "add"
    assert review.text.index("This edit") < review.text.index("with this edit")


def test_harmless_edit_waits_where_its_author_asks_for_approval(alice):
    typed = {"destinations": "docs.example.org:443"}

    review = egress(alice, **typed, step="review")
    made = egress(alice, **typed, step="ask", reason="look at it")

    plan = plan_named(alice, "look at it")
    page = alice.client.get(made.headers["Location"])
    assert 'value="apply"' in review.text
    assert 'value="ask"' in review.text
    assert (plan.state, intent(alice).egress_policies) == ("AwaitingApproval", ())
    assert "Approval requested" in page.text
    assert "outside the guardrails" not in page.text


def test_edit_that_waits_in_any_case_has_one_button(alice):
    review = egress(alice, destinations="127.30.0.10/32:8081", step="review")

    assert 'value="ask"' not in review.text
    assert "Ask for approval" in review.text


def test_deletion_and_rollback_wait_where_approval_is_asked_for(alice):
    egress(alice, destinations="docs.example.org:443", step="apply", reason="open")
    egress(alice, name="more", destinations="a.example:443", step="apply", reason="more")
    opened = plan_named(alice, "open")
    delete = reverse("proxyconfig:egress-delete", args=["acme", "docs"])
    back = reverse("proxyconfig:plan-rollback", args=["acme", opened.pk])

    for number, url in enumerate((delete, back)):
        alice.client.post(url, {"step": "ask", "reason": f"wish {number}"})

    states = [plan_named(alice, f"wish {number}").state for number in (0, 1)]
    assert states == ["AwaitingApproval", "AwaitingApproval"]
    assert [policy.name for policy in intent(alice).egress_policies] == ["docs", "more"]


def test_change_set_shows_its_own_proposal(alice):
    plan = waiting(alice)
    url = reverse("proxyconfig:egress-edit", args=["acme", "docs"])

    without = alice.client.get(url)
    within = alice.client.get(url, {"change_set": plan.pk})

    assert without.status_code == 404
    assert within.context["form"]["destinations"].value() == "127.30.0.10/32:8081"


def test_change_set_of_somebody_else_is_not_found(alice, acme):
    plan = waiting(alice)
    dana = person("dana", acme, Role.NETOPS)

    response = dana.client.get(
        reverse("proxyconfig:egress-edit", args=["acme", "docs"]), {"change_set": plan.pk}
    )

    assert response.status_code == 404


def test_rules_keep_their_numbers_through_the_form(alice, acme):
    ports = (PortRange.single(443),)
    settle(
        acme,
        EgressPolicy(
            name="docs",
            rules=(
                EgressRule(order=7, host="a.example.org", ports=ports),
                EgressRule(order=70, host="b.example.org", ports=ports),
            ),
        ),
    )
    url = reverse("proxyconfig:egress-edit", args=["acme", "docs"])
    lines = "a.example.org:443\nnew.example.org:443\nb.example.org:443"
    alice.client.post(
        url,
        {
            "name": "docs",
            "destinations": lines,
            "version": version(alice, "egress-policies", "docs"),
            "step": "apply",
            "reason": "one more",
        },
    )

    (policy,) = intent(alice).egress_policies
    assert [rule.order for rule in policy.rules] == [7, 38, 70]


def test_lists_are_made_and_used(alice):
    url = reverse("proxyconfig:policy-create", args=["acme", "address-lists"])
    alice.client.post(
        url,
        {"name": "partners", "addresses": "1.1.1.0/24", "step": "apply", "reason": "partners"},
    )

    egress(alice, destinations="@partners:443", step="apply", reason="reach them")

    page = alice.client.get(reverse("proxyconfig:policy-list", args=["acme"]))
    (row,) = page.context["address_lists"]
    assert [user.name for user in row.used_by] == ["docs"]


def test_delete_of_what_is_in_use_says_what_uses_it(form, alice):
    create(alice, form, step="apply", reason="first")
    url = reverse(
        "proxyconfig:network-delete", args=["acme", "virtual-addresses", f"local:{ADDRESS}"]
    )

    response = alice.client.get(url)

    assert response.status_code == 200
    assert "is used by" in response.context["refusal"]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"is_paused": True}, "Paused: still serving revision"),
        ({"is_paused": True, "is_suspended": True}, "Suspended: the proxies serve nothing"),
        ({}, ""),
    ],
)
def test_every_page_about_policies_networks_and_plans_says_that_the_tenant_is_paused(
    form, alice, acme, state, says
):
    create(alice, form, step="apply", reason="first")
    with alice.acting():
        plan = Plan.objects.latest("pk")
        type(acme).objects.filter(pk=acme.pk).update(**state)
    pages = {
        "policy-list": [],
        "ingress-create": [],
        "ingress-edit": ["web"],
        "ingress-delete": ["web"],
        "network-list": [],
        "network-object": ["virtual-addresses", f"local:{ADDRESS}"],
        "plan-list": [],
        "plan-detail": [plan.pk],
    }

    shown = {
        name: alice.client.get(reverse(f"proxyconfig:{name}", args=["acme", *named]))
        for name, named in pages.items()
    }

    told = {name for name, page in shown.items() if (says or "still serving") in page.text}
    assert {name: page.status_code for name, page in shown.items()} == dict.fromkeys(pages, 200)
    assert told == (set(pages) if says else set())


def test_connections_are_filtered_by_what_the_address_says(alice):
    url = reverse("proxyconfig:connection-list", args=["acme"])

    response = alice.client.get(url, {"verdict": "Denied", "trace": "not-a-trace"})

    assert response.context["form"].value("verdict") == "Denied"
    assert response.context["form"].value("trace") == ""


@pytest.fixture
def no_room(settings, form, alice) -> None:
    """As many plans wait as may."""
    settings.QUOTA_DEFAULTS = {**settings.QUOTA_DEFAULTS, "change-sets": 1}
    create(alice, {**form, "name": "wide", "allowed_sources": ""}, port="80", **applied("wide"))


def applied(reason: str) -> dict[str, str]:
    return {"step": "apply", "reason": reason}


def test_reason_is_kept_where_too_many_plans_wait(form, alice, no_room):
    wide = {**form, "allowed_sources": "", "port": "81"}

    response = create(alice, wide, **applied("so many words"))

    assert response.context["asked"]["reason"].value() == "so many words"
    assert "1 of 1" in str(response.context["asked"].non_field_errors())
    assert response.context["form"]["name"].value() == "web"


def test_reason_of_a_delete_is_kept_where_too_many_plans_wait(form, alice, acme, no_room):
    create(alice, form, **applied("open"))
    with alice.acting():
        type(acme).objects.filter(pk=acme.pk).update(auto_apply=False)
    url = reverse("proxyconfig:ingress-delete", args=["acme", "web"])

    response = alice.client.post(url, applied("so many words"))

    assert response.context["asked"]["reason"].value() == "so many words"
    assert response.context["asked"].non_field_errors()


def test_reason_is_kept_on_the_way_over_the_form(form, alice):
    create(alice, form, **applied("open"))

    refused = create(alice, form, **applied("so many words"))
    again = create(
        alice, {**form, "name": "other", "port": "8090"}, step="review", reason="so many words"
    )

    assert list(refused.context["form"].errors) == ["name"]
    assert '<input type="hidden" name="reason" value="so many words">' in refused.text
    assert again.context["asked"]["reason"].value() == "so many words"
