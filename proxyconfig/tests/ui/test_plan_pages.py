"""Plans on pages: what they do in words, who may decide, and what is offered."""

import re
from dataclasses import replace

import pytest
from django.urls import reverse
from django.utils import timezone

from proxyconfig.domain import edits
from proxyconfig.domain.conditions import Condition, ConditionType, Status
from proxyconfig.domain.intent import AddressList, BgpPeer, EgressPolicy, EgressRule, PortRange
from proxyconfig.models import IntentObject, Placement, Plan
from proxyconfig.services import plans
from proxyconfig.tests.holding import settle
from proxyconfig.ui import progress, words
from tenants.domain.roles import Role
from tenants.domain.states import spaced
from tenants.models.member import Membership
from tenants.tests.people import person

pytestmark = pytest.mark.usefixtures("network")
HTTPS = (PortRange.single(443),)


@pytest.fixture
def dana(acme):
    """Another NetOps of acme."""
    return person("dana", acme, Role.NETOPS)


def save(person, destinations: str, *, name: str = "docs", **more) -> Plan:
    url = reverse("proxyconfig:egress-create", args=["acme"])
    reason = more.setdefault("reason", f"for {name}")
    person.client.post(url, {"name": name, "destinations": destinations, "step": "apply", **more})
    with person.acting():
        return Plan.objects.get(reason=reason)


def private(person, **more) -> Plan:
    return save(person, "127.30.0.10/32:8081", **more)


def page_of(person, plan: Plan):
    return person.client.get(reverse("proxyconfig:plan-detail", args=["acme", plan.pk]))


def decide(person, plan: Plan, **answer):
    url = reverse("proxyconfig:plan-decide", args=["acme", plan.pk])
    return person.client.post(url, {"decision": "approve", "comment": "fine", **answer})


def state(person, plan: Plan) -> str:
    with person.acting():
        plan.refresh_from_db()
    return plan.state


def test_plan_has_a_title_and_its_changes_in_words(alice):
    page = page_of(alice, save(alice, "docs.example.org:443"))

    (change,) = page.context["changes"]
    fields = {line.label: line.after for line in change.fields}
    assert page.context["title"] == "Add egress policy docs"
    assert fields["Destinations"] == "docs.example.org:443"


def test_list_says_states_in_spaced_words(alice):
    private(alice)

    page = alice.client.get(reverse("proxyconfig:plan-list", args=["acme"]))

    assert page.text.count("Awaiting approval") == 2  # The filter's choice and the badge.
    assert "AwaitingApproval<" not in page.text


@pytest.mark.parametrize(
    ("word", "said"),
    [("AwaitingApproval", "Awaiting approval"), ("InSync", "In sync"), ("Failed", "Failed")],
)
def test_words_are_spaced(word, said):
    assert spaced(word) == said


def test_author_is_told_that_somebody_else_approves(alice):
    page = page_of(alice, private(alice))

    assert not page.context["can_decide"]
    assert "You authored this plan" in page.text


def test_who_may_not_grant_is_not_offered_to_approve(alice, dana):
    page = page_of(dana, private(alice))

    assert (page.context["can_decide"], page.context["can_approve"]) == (True, False)
    assert "Approve and apply" not in page.text
    assert "Only a platform administrator" in page.text


def test_administrator_approves_with_the_grant_ticked(alice, ada):
    plan = private(alice)

    without = decide(ada, plan)
    waits = state(alice, plan)
    granted = decide(ada, plan, grant="on")

    assert (without.status_code, waits) == (400, "AwaitingApproval")
    assert "fine" in without.text  # What was typed is kept.
    assert (granted.status_code, state(alice, plan)) == (302, "Approved")


def test_decision_without_a_comment_is_asked_for_it(alice, ada):
    response = decide(ada, private(alice), comment="")

    assert list(response.context["decision_form"].errors) == ["comment"]


def test_expired_plan_is_not_offered_for_approval_and_refused(alice, ada):
    plan = private(alice)
    with alice.acting():
        Plan.objects.update(expires_at=timezone.now())

    page = page_of(ada, plan)
    late = decide(ada, plan, grant="on")

    assert not page.context["can_decide"]
    assert "This plan has expired" in page.text
    assert "has expired, so there is nothing to decide" in late.text
    assert state(alice, plan) == "AwaitingApproval"


def test_author_plans_again(alice):
    plan = private(alice)
    url = reverse("proxyconfig:plan-again", args=["acme", plan.pk])

    asked = alice.client.post(url, {"reason": ""})
    response = alice.client.post(url, {"reason": "on what is in force now"})

    assert list(asked.context["replan_form"].errors) == ["reason"]
    assert response.status_code == 302
    assert state(alice, plan) == "Superseded"


def test_old_plan_shows_no_conditions_of_the_newest(alice):
    old = save(alice, "a.example.org:443", name="a")
    new = save(alice, "b.example.org:443", name="b")

    pages = page_of(alice, old), page_of(alice, new)

    assert ["outcome" in page.context for page in pages] == [False, True]
    assert "is in force now" in pages[0].text


def test_rollback_leads_through_the_same_review(alice):
    first = save(alice, "a.example.org:443", name="a")
    delete = reverse("proxyconfig:egress-delete", args=["acme", "a"])
    alice.client.post(delete, {"step": "apply", "reason": "close"})
    url = reverse("proxyconfig:plan-rollback", args=["acme", first.pk])

    review = alice.client.get(url)
    response = alice.client.post(url, {"step": "apply", "reason": "open again"})

    assert [line.title for line in review.context["changes"]] == ["Egress policy a"]
    assert response.status_code == 302


def test_withdrawn_plan_is_cancelled(alice):
    plan = private(alice)

    alice.client.post(reverse("proxyconfig:plan-cancel", args=["acme", plan.pk]))

    assert state(alice, plan) == "Cancelled"


def test_plan_again_is_offered_once_something_else_became_current(alice):
    plan = private(alice)
    before = page_of(alice, plan).context["can_plan_again"]
    save(alice, "a.example.org:443", name="a")

    assert (before, page_of(alice, plan).context["can_plan_again"]) == (False, True)


def test_author_edits_the_change_set_from_its_plan(alice, dana):
    plan = private(alice)
    link = reverse("proxyconfig:policy-object", args=["acme", "egress-policies", "docs"])

    assert f"{link}?change_set={plan.pk}" in page_of(alice, plan).text
    assert "change_set" not in page_of(dana, plan).text


def test_approval_is_of_what_the_page_showed(alice, ada):
    """The author adds to the change set while the approver still has its page open."""
    plan = private(alice)
    shown = re.search(r'name="read" value="([0-9a-f]{64})"', page_of(ada, plan).text)[1]
    more = EgressPolicy(name="more", rules=(EgressRule(order=1, host="*.com", ports=HTTPS),))
    with alice.acting() as actor:
        plans.propose(alice.tenant, edits.create(more), actor=actor, reason="too", into=plan)

    late = decide(ada, plan, grant="on", read=shown)

    assert "is not what you read" in late.text
    assert state(alice, plan) == "AwaitingApproval"
    fresh = re.search(r'name="read" value="([0-9a-f]{64})"', late.text)[1]
    assert decide(ada, plan, grant="on", read=fresh).status_code == 302
    assert state(alice, plan) == "Approved"


def test_plan_that_does_not_fit_any_more_says_so_before_anybody_decides(alice, dana, ada):
    first = private(alice, reason="first")
    second = save(dana, "127.30.0.11/32:8081", reason="second")
    decide(ada, first, grant="on")

    approver, author = page_of(ada, second), page_of(dana, second)

    for page in (approver, author):
        assert "Out of date: this plan cannot be approved" in page.text
        assert "egress policy docs changed in both" in page.text
    assert "Approve and apply" not in approver.text
    assert "Refuse" in approver.text
    assert "Ask the author to plan again" in approver.text
    assert author.context["can_plan_again"]
    (change,) = approver.context["changes"]
    assert change.action == "change"
    assert ("127.30.0.10/32", "127.30.0.11/32") in [
        (line.before, line.after) for line in change.fields
    ]


def test_plan_that_still_fits_shows_what_it_would_do_to_what_is_in_force(alice, dana):
    plan = save(alice, "*.com:443", name="wide")
    before = page_of(dana, plan)
    save(alice, "www.example.com:443", name="narrow")

    page = page_of(dana, plan)

    assert before.context["shown"].effects == ["Workloads can reach *.com:443"]
    assert "Other changes were applied since" not in before.text
    assert "Other changes were applied since" in page.text
    assert page.context["can_approve"]
    assert [line.title for line in page.context["changes"]] == ["Egress policy wide"]


def test_waiting_plan_shows_the_object_as_it_is_in_force_by_now(alice, dana):
    """The same wish came into force by another plan: nothing is left to do."""
    plan = save(alice, "*.com:443", name="wide")
    other = save(alice, "*.com:443", name="wide", reason="the same again")
    decide(dana, plan)

    page = page_of(dana, other)

    assert page.context["changes"] == []
    assert "It still fits" in page.text


def test_plan_of_an_author_without_the_right_is_shown_as_stale(alice, dana):
    plan = save(alice, "*.com:443", name="wide")
    with alice.acting():
        Membership.objects.filter(user=alice.user).update(role=Role.READER.value)

    page = page_of(dana, plan)

    assert "may no longer do all of it" in page.text
    assert "Approve and apply" not in page.text


def test_comment_is_kept_where_the_approval_is_forbidden(alice):
    plan = save(alice, "*.com:443", name="wide")

    response = decide(alice, plan, comment="so many words")

    assert response.context["decision_form"]["comment"].value() == "so many words"
    assert "You authored plan" in response.text
    assert state(alice, plan) == "AwaitingApproval"


def test_pages_say_until_when_a_plan_waits(alice, settings):
    settings.CHANGE_SET_DAYS = 14
    plan = save(alice, "*.com:443", name="wide")
    done = save(alice, "docs.example.org:443", name="narrow")

    page = page_of(alice, plan)
    plan_list = alice.client.get(reverse("proxyconfig:plan-list", args=["acme"]))
    policies = alice.client.get(reverse("proxyconfig:policy-list", args=["acme"]))

    assert "Waits until" in page.text
    assert f"{plan.expires_at:%Y-%m-%d %H:%M} UTC" in page.text
    assert "Waits until" not in page_of(alice, done).text
    assert plan_list.text.count("expires ") == 1
    for shown in (page, plan_list, policies):
        assert "in 13 d" in shown.text


def test_rename_is_titled_as_one(alice):
    save(alice, "docs.example.org:443", name="docs")
    url = reverse("proxyconfig:egress-edit", args=["acme", "docs"])
    with alice.acting():
        version = IntentObject.objects.get(collection="egress-policies").version
    typed = {"name": "manuals", "destinations": "docs.example.org:443", "version": version}
    alice.client.post(url, {**typed, "step": "apply", "reason": "a better name"})

    with alice.acting():
        plan = Plan.objects.get(reason="a better name")
    assert page_of(alice, plan).context["title"] == "Rename egress policy docs to manuals"


def test_roll_back_is_titled_by_its_revision(alice):
    first = save(alice, "a.example.org:443", name="a")
    save(alice, "b.example.org:443", name="b")
    url = reverse("proxyconfig:plan-rollback", args=["acme", first.pk])

    review = alice.client.get(url)
    alice.client.post(url, {"step": "apply", "reason": "back"})

    with alice.acting():
        plan = Plan.objects.get(reason="back")
        title = f"Roll back to revision {plan.rolls_back_to}"
    assert (review.context["title"], page_of(alice, plan).context["title"]) == (title, title)


def test_roll_back_is_offered_with_the_rights_of_all_its_parts(alice, acme):
    """DevOps may bring policies back; a way back that touches a network is NetOps's."""
    dora = person("dora", acme, Role.DEVOPS)
    first = save(alice, "a.example.org:443", name="a")
    save(alice, "b.example.org:443", name="b")
    offered = page_of(dora, first).context["can_roll_back"]
    settle(acme, AddressList(name="announced", addresses=("10.101.0.0/25",)), *peers())

    assert (offered, page_of(dora, first).context["can_roll_back"]) == (True, False)
    assert page_of(alice, first).context["can_roll_back"]


def peers():
    yield BgpPeer(
        name="tor",
        cluster="local",
        address="10.101.0.200",
        asn=65001,
        local_asn=65000,
        advertise_lists=("announced",),
    )


def test_reasons_of_joined_edits_stand_on_lines_of_their_own(alice):
    plan = save(alice, "*.com:443", name="wide", reason="first")
    with alice.acting() as actor:
        more = EgressPolicy(name="more", rules=(EgressRule(order=1, host="*.net", ports=HTTPS),))
        plans.propose(alice.tenant, edits.create(more), actor=actor, reason="second", into=plan)

    plan_list = alice.client.get(reverse("proxyconfig:plan-list", args=["acme"]))

    assert "first<br>second" in page_of(alice, plan).text
    assert "first<br>second" in plan_list.text


def test_change_sets_to_join_are_shown_with_their_titles(alice):
    plan = save(alice, "*.com:443", name="wide")
    typed = {"name": "more", "destinations": "*.net:443", "step": "review"}

    review = alice.client.post(reverse("proxyconfig:egress-create", args=["acme"]), typed)

    assert f"Add to #{plan.pk} (yours): Add egress policy wide" in review.text


def test_review_that_changes_nothing_offers_no_apply(alice):
    save(alice, "docs.example.org:443", name="docs")
    url = reverse("proxyconfig:egress-edit", args=["acme", "docs"])
    with alice.acting():
        version = IntentObject.objects.get(collection="egress-policies").version
    typed = {"name": "docs", "destinations": "docs.example.org:443", "version": version}

    review = alice.client.post(url, {**typed, "step": "review"})

    assert "Nothing would change." in review.text
    assert "No changes: No changes" not in review.text
    assert 'value="apply"' not in review.text
    assert "Back" in review.text


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("sources[127.0.0.0/30]", "Allowed sources"),
        ("rules[2].cidr", "Destinations, 2, cidr"),
        ("vxlan.remoteVteps", "Remote VTEPs"),
        ("serverName", "Server name"),
    ],
)
def test_fields_are_called_as_in_their_form(path, label):
    collection = {"s": "ingress-policies", "r": "egress-policies", "v": "segments"}[path[0]]

    assert words.label_of(collection, path) == label


def test_parts_of_a_value_are_called_as_in_the_form():
    vxlan = {"vni": 7, "port": 4789, "remoteVteps": ["198.51.100.1"]}
    field = {"path": "vxlan", "before": None, "after": vxlan}
    change = {"action": "change", "collection": "segments", "name": "a", "title": "Segment a"}

    ((line,),) = [entry.fields for entry in words.change_lines([{**change, "fields": [field]}])]

    assert line.after == "VNI: 7\nTunnel port: 4789\nRemote VTEPs: 198.51.100.1"


def test_drift_is_known_whatever_generation_it_was_seen_at(alice, cluster):
    save(alice, "docs.example.org:443")
    seen = Condition(
        type=ConditionType.DRIFTED,
        status=Status.FALSE,
        reason="NoDrift",
        message="No drift was seen.",
        observed_generation=1,
        last_transition_time=timezone.now(),
    )
    behind = replace(seen, type=ConditionType.PROGRAMMED, status=Status.TRUE)
    with alice.acting():
        Placement.objects.filter(tenant=alice.tenant).delete()
        Placement.objects.create(
            tenant=alice.tenant,
            cluster=cluster,
            conditions=[seen.plain(), behind.plain()],
            next_check_at=timezone.now(),
        )
        (panel,) = progress.placements(generation=2)

    assert {line.type: line.status for line in panel.conditions} == {
        ConditionType.DRIFTED: Status.FALSE,
        ConditionType.PROGRAMMED: Status.UNKNOWN,
    }


def test_wrong_forms_are_answered_with_400(alice, dana):
    plan = save(alice, "*.com:443", name="wide")
    create = reverse("proxyconfig:egress-create", args=["acme"])
    typed = {"name": "docs", "destinations": "docs.example.org:443"}
    again = reverse("proxyconfig:plan-again", args=["acme", plan.pk])

    assert [
        alice.client.post(create, {**typed, "destinations": "", "step": "review"}).status_code,
        alice.client.post(create, {**typed, "step": "apply", "reason": ""}).status_code,
        alice.client.post(again, {"reason": ""}).status_code,
        decide(dana, plan, comment="").status_code,
    ] == [400] * 4
    assert alice.client.post(create, {**typed, "step": "review"}).status_code == 200
