"""The story that Sluice exists for: two tenants, from nothing allowed to an answer with its trace.

One test, since each chapter stands on the one before. Every process is the product's own; only the
search service and the document site outside are stand-ins, which speak the real protocols.
"""

import re

import httpx2
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import free_port
from tests.e2e.portal import Portal
from tests.e2e.proxy import add_server_by_hand, servers
from tests.e2e.service import Service, is_reachable
from tests.e2e.waiting import until
from tests.e2e.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

QUESTION = "What is a SNAT pool for?"
ACME, GLOBEX = "127.10.1.1", "127.10.2.1"
ACME_SNAT = "127.20.1.1"


def test_story(stack, demo, world: World, portal: Portal) -> None:
    port = free_port(ACME)
    keys = {tenant: portal.make_token(tenant, "story", "netops") for tenant in ("acme", "globex")}
    acme = Service(f"{ACME}:{port}", keys["acme"])

    nothing_comes_in_until_a_policy_says_so(portal, acme, keys["globex"], port)
    nothing_goes_out_until_a_policy_says_so(portal, world)
    a_policy_lets_the_answer_come_from_the_web(portal, world)
    a_revoked_policy_closes_the_way_out(portal, world, stack)
    a_corpus_is_trained(portal, world)
    the_corpus_answers_with_its_sources(portal)
    the_tenants_address_answers_too(portal, acme)
    programs_of_others_get_the_same_answer(acme)
    a_change_by_hand_is_healed(stack, portal, acme)
    the_other_pages_are_good_to_look_at(portal)


def nothing_comes_in_until_a_policy_says_so(
    portal: Portal, acme: Service, foreign_key: str, port: int
) -> None:
    assert not is_reachable(ACME, port)
    portal.open("/")
    portal.shoot("overview-empty")

    portal.save_ingress("acme", "front", port=port)
    until(lambda: is_reachable(ACME, port), "acme's virtual address answers")
    assert acme.health() == {"tenant": "acme"}
    assert not is_reachable(GLOBEX, port)
    assert acme.with_key(foreign_key).ask(QUESTION).status_code == 403
    assert acme.with_key("").ask(QUESTION).status_code == 401

    portal.save_ingress("acme", "front", port=port, sources="127.40.0.0/16")
    until(lambda: acme.get("/healthz").status_code == 403, "the allow-list is enforced")
    refused = acme.get("/healthz")
    # Django answers every request with its trace id; this one never reached it.
    assert "x-trace-id" not in refused.headers
    assert acme.get("/healthz", source="127.40.7.7").json() == {"tenant": "acme"}

    portal.save_ingress("acme", "front", port=port, sources="")
    until(lambda: acme.get("/healthz").status_code == 200, "any source may connect again")
    portal.open("/t/acme/policies/")
    portal.shoot("policies")


def nothing_goes_out_until_a_policy_says_so(portal: Portal, world: World) -> None:
    before = len(world.visits())

    trace_id = portal.ask("acme", QUESTION)

    said = portal.text()
    assert "Blocked" in said
    assert "no egress policy" in said.lower()
    assert world.search in said
    assert "acme/default-deny" in said
    assert "platform administrator" in said.lower()
    assert len(world.visits()) == before
    portal.shoot("ask-blocked")
    the_trace_shows(portal, "acme", trace_id, ["web", "Denied", "acme/default-deny", world.search])
    portal.shoot("trace-blocked")


def a_policy_lets_the_answer_come_from_the_web(portal: Portal, world: World) -> None:
    networks = [f"{place.replace(':', '/32:')}" for place in (world.search, world.site)]
    portal.save_egress("acme", "docs", "\n".join(networks))
    until(lambda: in_sync(portal, "acme"), "acme's way out is open")

    trace_id = portal.ask("acme", QUESTION)

    said = portal.text()
    assert "Found" in said
    portal.open_first_source()
    assert world.site in portal.text()
    assert world.clients() == {ACME_SNAT}
    portal.shoot("ask-web")
    the_trace_shows(
        portal, "acme", trace_id, ["web", "Allowed", "acme/docs/", world.site, ACME_SNAT]
    )
    portal.shoot("trace-web")

    portal.ask("globex", QUESTION)
    assert "globex/default-deny" in portal.text()
    assert world.clients() == {ACME_SNAT}


def a_revoked_policy_closes_the_way_out(portal: Portal, world: World, stack) -> None:
    portal.new_corpus("acme", "slow", f"http://{world.site}/_drip?seconds=600")
    until(lambda: world.has_seen("/_drip"), "a worker reads from the document site")
    portal.delete_policy("acme", "egress", "docs")
    until(lambda: world.has_seen("/_drip/cut"), "the open connection is cut", seconds=20)
    until(lambda: in_sync(portal, "acme"), "the way out is closed")
    before = len(world.visits())

    portal.ask("acme", QUESTION)

    assert "acme/default-deny" in portal.text()
    assert len(world.visits()) == before

    networks = [f"{place.replace(':', '/32:')}" for place in (world.search, world.site)]
    portal.save_egress("acme", "docs", "\n".join(networks))
    until(lambda: in_sync(portal, "acme"), "the way out is open again")


def a_corpus_is_trained(portal: Portal, world: World) -> None:
    sitemap = httpx2.get(f"http://{world.site}/sitemap.xml", trust_env=False).text
    urls = re.findall(r"<loc>([^<]+)</loc>", sitemap)
    portal.train("acme", "docs", urls)
    portal.shoot("corpus-training")

    expect(portal.page.get_by_text("Succeeded").first).to_be_visible(timeout=300_000)

    portal.open("/t/acme/corpora/docs/")
    ready = portal.page.locator("tbody tr").filter(has_text="Ready")
    # The page renews itself while the training goes on: its first step succeeds before the last.
    expect(ready).to_have_count(min(len(urls), 50), timeout=300_000)
    portal.shoot("corpus")


def the_corpus_answers_with_its_sources(portal: Portal) -> None:
    trace_id = portal.ask("acme", QUESTION)

    said = portal.text()
    assert "Found" in said
    assert "from local" in said
    portal.open_first_source()
    assert "SNAT" in portal.page.locator("blockquote.passage").first.inner_text()
    portal.shoot("ask-local")
    the_trace_shows(
        portal,
        "acme",
        trace_id,
        ["local", "relevant", "grounded", "answer", "Dense", "Lexical", "Tokens in"],
    )
    assert portal.page.get_by_text("Nothing left the cluster").is_visible()
    portal.shoot("trace")


def the_tenants_address_answers_too(portal: Portal, acme: Service) -> None:
    asked = acme.ask(QUESTION)
    assert asked.status_code == 202, asked.text
    trace_id = asked.json()["trace_id"]

    events = acme.stream(trace_id)

    assert events[-1] == "end"
    assert events.count("token") > 5
    assert acme.run(trace_id)["end"] == "Found"
    portal.open(f"/t/acme/runs/{trace_id}/")
    inbound = portal.page.locator(".gate-in")
    until(
        lambda: portal.page.reload() and "acme/front" in inbound.inner_text(),
        "the proxy's own line of this request is in the trace",
    )
    assert "127.0.0.1" in inbound.inner_text()
    portal.open(f"/t/acme/connections/?trace={trace_id}")
    assert "acme/front" in portal.text()


def programs_of_others_get_the_same_answer(acme: Service) -> None:
    answer = acme.chat("sluice/docs", QUESTION)

    message = answer.choices[0].message
    sources = [annotation.url_citation for annotation in message.annotations or []]
    assert "SNAT" in (message.content or "")
    assert sources
    assert all("/t/acme/documents/" in source.url for source in sources)
    assert acme.run(answer.egress_id)["end"] == "Found"


def a_change_by_hand_is_healed(stack, portal: Portal, acme: Service) -> None:
    admin = stack.env["SLUICE_CADDY_ADMIN"]
    names = servers(admin)
    name = next(name for name in names if name.startswith("sluice-acme."))
    add_server_by_hand(admin, name, {"listen": [acme.address], "routes": []})
    until(lambda: servers(admin) == names, "the drift is healed")

    assert acme.health() == {"tenant": "acme"}
    portal.open("/t/acme/sync/")
    until(
        lambda: portal.page.reload() and "Healed" in portal.text(),
        "the portal says that drift was healed",
    )
    portal.shoot("sync")


def the_other_pages_are_good_to_look_at(portal: Portal) -> None:
    for name, path in {
        "overview": "/",
        "networks": "/t/acme/networks/",
        "plans": "/t/acme/plans/",
        "corpora": "/t/acme/corpora/",
        "runs": "/t/acme/runs/",
        "connections": "/t/acme/connections/",
        "operations": "/t/acme/operations/",
        "audit": "/t/acme/audit/",
        "tokens": "/t/acme/tokens/",
        "not-found": "/t/nobody/policies/",
    }.items():
        portal.open(path)
        portal.shoot(name)


def in_sync(portal: Portal, tenant: str) -> bool:
    portal.open(f"/t/{tenant}/sync/")
    said = portal.text()
    return "InSync" in said or "In sync" in said


def the_trace_shows(portal: Portal, tenant: str, trace_id: str, words: list[str]) -> None:
    portal.open(f"/t/{tenant}/runs/{trace_id}/")

    def missing() -> list[str]:
        said = portal.text().lower()
        return [word for word in words if word.lower() not in said]

    # The ledger's rows come in from the proxy a moment after the answer.
    until(
        lambda: not missing() or (portal.page.reload() and False),
        f"the trace shows {words}",
        seconds=30,
    )
