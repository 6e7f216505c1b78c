"""Web search services: what to ask each one, and how to read its answer. None of them connects.

A provider makes a request and reads a reply; ``web.py`` sends it through the tenant's egress, which
alone decides what may be reached. To add one, write its module and one line here.
"""

from ragapp.services.providers import brave, ddgs, searxng, tavily
from ragapp.services.providers.provider import Provider, SearchRequest

PROVIDERS: dict[str, Provider] = {
    "searxng": searxng.SearXNG(),
    "brave": brave.Brave(),
    "tavily": tavily.Tavily(),
    "ddgs": ddgs.Duckduckgo(),
}

__all__ = ["PROVIDERS", "Provider", "SearchRequest"]
