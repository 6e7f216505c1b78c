"""Form, plan, reason, apply: what the pages of policies promise."""

import pytest
from django.urls import reverse

from proxyconfig.models import EgressRule, IngressPolicy, Plan
from proxyconfig.services import policies
from proxyconfig.services.policies import EgressDraft, RuleDraft
from tenants.tests.factories import NamespaceFactory, VirtualAddressFactory


@pytest.fixture
def form(acme, cluster) -> dict[str, str]:
    """What a person types to open a port."""
    VirtualAddressFactory(tenant=acme, cluster=cluster, address="127.10.1.1")
    NamespaceFactory(tenant=acme, cluster=cluster, name="acme-rag")
    return {
        "name": "web",
        "virtual_address": "127.10.1.1",
        "port": "8080",
        "protocol": "http",
        "allowed_sources": "10.0.0.0/8",
        "hostnames": "",
        "path_prefix": "/",
        "namespace": "acme-rag",
        "service": "ragapp",
        "service_port": "8080",
        "is_enabled": "on",
    }


def create(person, form, **more):
    return person.client.post(
        reverse("proxyconfig:ingress-create", args=["acme"]), {**form, **more}
    )


def names(person) -> list[str]:
    with person.acting():
        return list(IngressPolicy.objects.values_list("name", flat=True))


def test_review_shows_the_plan_and_saves_nothing(form, alice):
    response = create(alice, form, step="review")

    assert response.context["plan"].summary == "1 added, 0 changed, 0 deleted"
    assert names(alice) == []


def test_apply_saves_with_the_reason_and_leads_to_the_plan(form, alice):
    response = create(alice, form, step="apply", reason="open the door")

    with alice.acting():
        plan = Plan.objects.get(reason="open the door")
    assert response.headers["Location"] == reverse(
        "proxyconfig:plan-detail", args=["acme", plan.pk]
    )
    assert names(alice) == ["web"]


def test_apply_without_a_reason_asks_for_it_and_saves_nothing(form, alice):
    response = create(alice, form, step="apply", reason=" ")

    assert list(response.context["reason_form"].errors) == ["reason"]
    assert names(alice) == []


def test_edit_again_keeps_what_was_typed(form, alice):
    del form["is_enabled"]

    response = create(alice, form, step="edit")

    assert response.context["form"]["name"].value() == "web"
    assert not response.context["form"]["is_enabled"].value()


def test_tcp_is_refused_at_the_field(form, alice):
    response = create(alice, form, step="review", protocol="tcp")

    assert list(response.context["form"].errors) == ["protocol"]
    assert "HTTP only" in response.text


def test_source_with_host_bits_is_refused_at_the_field(form, alice):
    response = create(alice, form, step="review", allowed_sources="10.0.0.1/8")

    assert list(response.context["form"].errors) == ["allowed_sources"]


def test_name_that_is_taken_is_told_on_the_form(form, alice):
    create(alice, form, step="apply", reason="first")

    response = create(alice, form, step="review", port="8081")

    assert "already taken" in response.text


def test_reader_cannot_send_the_form(form, alice, bob):
    create(alice, form, step="apply", reason="first")

    page = bob.client.get(reverse("proxyconfig:ingress-edit", args=["acme", "web"]))
    sent = bob.client.post(
        reverse("proxyconfig:ingress-edit", args=["acme", "web"]),
        {**form, "step": "apply", "reason": "mine"},
    )

    assert "Review plan" not in page.text
    assert sent.status_code == 403


def test_delete_shows_its_plan_first_and_then_deletes(form, alice):
    create(alice, form, step="apply", reason="first")
    url = reverse("proxyconfig:ingress-delete", args=["acme", "web"])

    review = alice.client.get(url)
    before = names(alice)
    alice.client.post(url, {"step": "apply", "reason": "close it"})

    assert review.context["plan"].summary == "0 added, 0 changed, 1 deleted"
    assert (before, names(alice)) == (["web"], [])


def egress(person, **values):
    url = reverse("proxyconfig:egress-create", args=["acme"])
    return person.client.post(url, {"name": "docs", "is_enabled": "on", **values})


def test_destinations_are_read_line_by_line(alice):
    text = "docs.example.org:443\n\n203.0.113.0/24 443, 8443\n2001:db8::1:443"

    egress(alice, destinations=text, step="apply", reason="read")

    with alice.acting():
        rules = [(rule.destination, rule.ports) for rule in EgressRule.objects.order_by("order")]
    assert rules == [
        ("docs.example.org", [443]),
        ("203.0.113.0/24", [443, 8443]),
        ("2001:db8::1/128", [443]),
    ]


def test_line_without_a_port_is_named_by_its_number(alice):
    response = egress(alice, destinations="a.example:443\nb.example", step="review")

    assert "Line 2" in response.context["form"].errors["destinations"][0]


def test_administrator_has_to_tick_the_grant(ada, cluster):
    refused = egress(ada, destinations="127.30.0.10/32:8081", step="review")
    granted = egress(ada, destinations="127.30.0.10/32:8081", grant="on", step="review")

    assert list(refused.context["form"].errors) == ["grant"]
    assert granted.context["plan"].findings == []


def test_private_network_of_a_member_waits_for_approval(alice):
    response = egress(alice, destinations="127.30.0.10/32:8081", step="review")

    assert [finding["code"] for finding in response.context["plan"].findings] == [
        "private-destination"
    ]


def test_waiting_plan_is_approved_by_somebody_else_only(alice, ada):
    with alice.acting() as actor:
        plan = policies.save_egress(
            alice.tenant,
            EgressDraft(name="docs", rules=(RuleDraft(network="127.30.0.10/32", ports=(8081,)),)),
            actor=actor,
            reason="read",
        )
    decide = reverse("proxyconfig:plan-decide", args=["acme", plan.pk])
    answer = {"decision": "approve", "comment": "fine"}

    own = alice.client.post(decide, answer)
    other = ada.client.post(decide, answer)

    with alice.acting():
        plan.refresh_from_db()
    assert (own.status_code, other.status_code) == (403, 302)
    assert plan.state == "Approved"


def test_rollback_leads_through_the_same_review(form, alice):
    create(alice, form, step="apply", reason="open")
    with alice.acting():
        first = Plan.objects.get(reason="open")
    delete = reverse("proxyconfig:ingress-delete", args=["acme", "web"])
    alice.client.post(delete, {"step": "apply", "reason": "close"})
    url = reverse("proxyconfig:plan-rollback", args=["acme", first.pk])

    review = alice.client.get(url)
    alice.client.post(url, {"step": "apply", "reason": "open again"})

    assert review.context["plan"].summary == "1 added, 0 changed, 0 deleted"
    assert names(alice) == ["web"]


def test_connections_are_filtered_by_what_the_address_says(alice):
    url = reverse("proxyconfig:connection-list", args=["acme"])

    response = alice.client.get(url, {"verdict": "Denied", "trace": "not-a-trace"})

    assert response.context["form"].value("verdict") == "Denied"
    assert response.context["form"].value("trace") == ""
