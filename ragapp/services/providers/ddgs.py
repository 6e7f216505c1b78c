"""DuckDuckGo without a key, as the package ``ddgs`` reads it: for development, it breaks at will.

The package's own client would go past the egress proxy, so only its payload and its reading of the
page are used.
"""

from typing import Any
from urllib.parse import urlencode

from ragapp.domain.steps import WebHit
from ragapp.services.providers.provider import SearchRequest, hit, is_web

HTML_TYPES = frozenset({"text/html"})


class Duckduckgo:
    """``POST /html/`` with a form."""

    address = "https://html.duckduckgo.com"
    needs_key = False

    def request(self, address: str, query: str, count: int, *, key: str) -> SearchRequest:
        """The form that the package fills."""
        form = _engine().build_payload(query, "us-en", "moderate", None)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        return SearchRequest(f"{address.rstrip('/')}/html/", headers, body, HTML_TYPES)

    def hits(self, content: bytes) -> list[WebHit] | None:
        """What the package reads of the page; None where it is no page."""
        page = content.decode(errors="replace")
        if not page.strip():
            return None
        try:
            engine = _engine()
            found = engine.post_extract_results(engine.extract_results(page))
        except (ValueError, TypeError, AttributeError):
            return None
        return [hit(one.href, one.title, one.body) for one in found if is_web(one.href)]


def _engine() -> Any:  # Any: the package's results have no public types.
    from ddgs.engines.duckduckgo import Duckduckgo as Engine  # noqa: PLC0415 - slow import

    return Engine()
