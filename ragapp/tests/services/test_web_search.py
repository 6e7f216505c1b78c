"""Web search services, each against a stand-in with its own protocol, through the real egress."""

import pytest

from proxyconfig.facade import egress_endpoint
from ragapp.domain.steps import Failed, Refused, WebHit, WebHits
from ragapp.models import SearchProvider, WebSearch
from ragapp.services import web, web_search
from ragapp.services.providers import PROVIDERS
from ragapp.services.web_search import Service
from ragapp.tests.factories import WebSearchFactory
from ragapp.tests.outside import site
from tenants.errors import InvalidError
from tests.wire import providers
from tests.wire.server import Reply, as_json

FOUND = [
    providers.Found("https://docs.example/a", "SNAT & pools", "Addresses here."),
    providers.Found("javascript:alert(1)", "No page", "Cannot be fetched."),
]
HIT = WebHit("https://docs.example/a", "SNAT & pools", "Addresses here.")
KINDS = {"brave": providers.Brave, "tavily": providers.Tavily, "ddgs": providers.Duckduckgo}


def way_of(person, service: Service, trace_id: str = "d" * 32) -> web.WayOut:
    with person.acting():
        return web.WayOut("acme", trace_id, egress_endpoint(person.tenant), service)


@pytest.mark.django_db
@pytest.mark.parametrize("provider", KINDS)
def test_each_service_is_asked_in_its_own_way_and_only_web_addresses_are_taken(
    alice, egress, provider
):
    egress.allow(alice.tenant)
    far = KINDS[provider](FOUND)
    with site(far) as server:
        way = way_of(alice, Service(provider, server.url, providers.KEY))

        hits = web.search("snat pool?", 3, way=way)

    assert isinstance(hits, WebHits)
    assert hits.hits == (HIT,)
    assert far.asked == ["snat pool?"]
    assert "snat" in hits.url
    assert providers.KEY not in hits.url
    event = egress.process.ledger.wait(lambda event: event.trace_id == "d" * 32)
    assert event.destination_host == "127.30.9.1"


@pytest.mark.django_db
@pytest.mark.parametrize("provider", ["brave", "tavily"])
def test_a_wrong_key_is_a_failure_that_does_not_tell_it(alice, egress, provider):
    egress.allow(alice.tenant)
    with site(KINDS[provider](FOUND)) as server:
        reply = web.search("q", 3, way=way_of(alice, Service(provider, server.url, "wrong-key")))

    assert isinstance(reply, Failed)
    assert "status 4" in reply.message
    assert "wrong-key" not in repr(reply)


@pytest.mark.django_db
@pytest.mark.parametrize("provider", [*KINDS, "searxng"])
def test_nonsense_and_nothing_found_are_told_apart(alice, egress, provider):
    egress.allow(alice.tenant)
    kind = "text/html" if provider == "ddgs" else "application/json"
    with site(lambda request: Reply(200, b"", kind)) as server:
        reply = web.search("q", 3, way=way_of(alice, Service(provider, server.url, "k")))

    assert isinstance(reply, Failed)
    assert f"did not answer as {provider} does" in reply.message


@pytest.mark.django_db
def test_no_way_out_is_a_refusal_with_its_rule(alice, egress):
    egress.deny(alice.tenant)
    with site(providers.Brave(FOUND)) as server:
        reply = web.search("q", 3, way=way_of(alice, Service("brave", server.url, "k")))

    assert isinstance(reply, Refused)
    assert (reply.rule, reply.purpose) == ("acme/default-deny", web.SEARCH_PURPOSE)


@pytest.mark.django_db
def test_a_key_is_never_sent_on_by_a_redirect(alice, egress):
    egress.allow(alice.tenant)
    with site(lambda request: as_json({"results": []}), "127.30.9.2:0") as thief:
        moved = Reply(302, b"", headers={"Location": f"{thief.url}/search"})
        with site(lambda request: moved) as server:
            reply = web.search("q", 3, way=way_of(alice, Service("tavily", server.url, "k")))

        assert thief.seen() == []
    assert isinstance(reply, Failed)
    assert "a key is not sent on" in reply.message


@pytest.mark.django_db
def test_a_tenant_uses_its_own_key_or_the_one_for_all_and_never_anothers(alice, charlie, settings):
    settings.SEARCH_KEYS = ["acme/brave=acme-key", "tavily=for-all"]
    WebSearchFactory(tenant=alice.tenant, provider="brave")
    WebSearchFactory(tenant=charlie.tenant, provider="brave")

    with alice.acting():
        own = web_search.service_of(alice.tenant)
        assert own == Service("brave", "https://api.search.brave.com", "acme-key")
        assert "acme-key" not in repr(own)
    with charlie.acting():
        assert web_search.service_of(charlie.tenant).key == ""
        assert web_search.has_key(charlie.tenant, "tavily")


@pytest.mark.django_db
def test_the_key_for_all_goes_to_the_services_own_address_alone(alice, settings):
    settings.SEARCH_KEYS = ["brave=for-all", "acme/tavily=acme-key"]
    thief, own = "https://thief.example", PROVIDERS["brave"].address
    with alice.acting() as actor:
        with pytest.raises(InvalidError) as refused:
            web_search.choose(alice.tenant, "brave", actor=actor, address=thief)
        assert list(refused.value.fields) == ["address"]

        # Also where the row was written before the key was.
        row = WebSearchFactory(tenant=alice.tenant, provider="brave", address=thief)
        assert web_search.service_of(alice.tenant) == Service("brave", thief, "")

        web_search.choose(alice.tenant, "brave", actor=actor, address=f"{own}/")
        assert web_search.service_of(alice.tenant).key == "for-all"
        # What is the tenant's own goes where the tenant says.
        web_search.choose(alice.tenant, "tavily", actor=actor, address=thief)
        assert web_search.service_of(alice.tenant) == Service("tavily", thief, "acme-key")
    assert row.provider == "brave"


@pytest.mark.django_db
def test_without_a_choice_the_platforms_service_is_asked_and_none_is_none(alice, settings):
    with alice.acting() as actor:
        assert web_search.service_of(alice.tenant).address == settings.SEARCH_URL

        web_search.choose(alice.tenant, "none", actor=actor)

        assert web_search.service_of(alice.tenant) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("provider", "address", "field"),
    [("bing", "", "provider"), ("brave", "", "provider"), ("searxng", "ftp://x", "address")],
)
def test_a_choice_that_cannot_work_is_refused_at_its_field(alice, provider, address, field):
    with alice.acting() as actor:
        with pytest.raises(InvalidError) as refused:
            web_search.choose(alice.tenant, provider, actor=actor, address=address)

        assert list(refused.value.fields) == [field]
        assert not WebSearch.objects.exists()


@pytest.mark.django_db
def test_the_page_and_the_api_choose(alice, bob):
    page = alice.client.post("/t/acme/web-search/", {"provider": "ddgs", "address": ""})
    shown = bob.client.get("/api/v1/tenants/acme/web-search").json()
    put = alice.client.put(
        "/api/v1/tenants/acme/web-search", {"provider": "none"}, content_type="application/json"
    )

    assert page.status_code == 302
    assert (shown["provider"], shown["changed_by"]) == ("ddgs", "alice")
    assert put.json()["provider"] == "none"
    assert bob.client.get("/t/acme/web-search/").status_code == 403
    assert "key" not in shown


def test_each_provider_of_the_model_has_its_module():

    assert {*PROVIDERS, "none"} == set(SearchProvider.values)
