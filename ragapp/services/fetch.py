"""One way out: each URL that training or the agent reads is fetched through the egress proxy.

The proxy decides what may be reached and from which address; nothing here connects to anything
else. A refusal or a failure is a value, not an exception: the document's error, or the agent's
honest end, is made of it.
"""

import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx2

from proxyconfig.facade import EgressEndpoint
from ragapp.domain.destination import destination, is_plain, is_private, joined, shown
from ragapp.domain.steps import Failed, Refused
from ragapp.services.deadline import Deadline

TRACE_HEADER = "X-Sluice-Trace"
MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REFUSAL_BYTES = 64_000
_NO_URL = (
    "This is no plain http or https URL. Write it with a scheme and a host,"
    " without a user name, spaces or backslashes."
)
_NO_CONDITION = "It says that nothing changed, although nothing of it was known."

DOCUMENT_TYPES = frozenset(
    {
        "text/html",
        "application/xhtml+xml",
        "text/plain",
        "text/markdown",
        "text/x-markdown",
        "text/csv",
        "application/pdf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        # What it is then shows in its bytes.
        "application/octet-stream",
    }
)
JSON_TYPES = frozenset({"application/json"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one fetch, all redirects together."""

    body_bytes: int = 20_000_000
    total_seconds: float = 30.0
    silence_seconds: float = 10.0
    content_types: frozenset[str] = DOCUMENT_TYPES


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back.

    Attributes:
        url: Where it came from in the end, after redirects.
        content_type: As declared, with its parameters.
        etag: For a later ``Condition``, as ``last_modified``; empty where the server sent none.
    """

    url: str
    content_type: str
    content: bytes = field(repr=False)
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What an earlier fetch was told: only what differs is wanted (RFC 9110, 13.1)."""

    etag: str = ""
    last_modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The request's fields; none where nothing is known."""
        fields = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in fields.items() if value and _is_field(value)}


@dataclass(frozen=True, slots=True)
class Posting:
    """What is sent beside the address; with it no redirect is followed, for it may hold a key.

    Attributes:
        headers: Never shown or logged.
        body: Posted where there is one; without, the request is a GET.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class NotModified:
    """It is as it was at the fetch that the condition is from."""


class _Broken(Exception):  # noqa: N818 - never leaves this module, where it becomes a value
    """Why a fetch ended; ``reply`` is what the caller gets."""

    def __init__(self, reply: Refused | Failed) -> None:
        super().__init__()
        self.reply = reply


def fetch(
    url: str,
    *,
    endpoint: EgressEndpoint,
    tenant: str,
    trace_id: str,
    purpose: str = "",
    limits: Limits | None = None,
    posting: Posting | None = None,
) -> Fetched | Refused | Failed:
    """Fetch ``url`` through the tenant's egress; redirects are followed one by one.

    Args:
        tenant: Slug, for the words of a refusal.
        trace_id: Goes along to the proxy, whose ledger names it.
        purpose: What it is wanted for, in words for people.
        posting: What a service wants beside the address.
    """
    attempt = _Attempt(endpoint, limits or Limits(), tenant=tenant, trace_id=trace_id)
    attempt.purpose, attempt.posting = purpose, posting
    reply = attempt.reply(url)
    # Without a condition there is no such answer.
    return Failed(destination(url), _NO_CONDITION) if isinstance(reply, NotModified) else reply


def fetch_changed(
    url: str,
    condition: Condition,
    *,
    endpoint: EgressEndpoint,
    tenant: str,
    trace_id: str,
    purpose: str = "",
) -> Fetched | NotModified | Refused | Failed:
    """As ``fetch``, of what may not have changed since the condition was learned."""
    attempt = _Attempt(endpoint, Limits(), tenant=tenant, trace_id=trace_id)
    attempt.purpose = purpose
    attempt.condition = condition.headers
    return attempt.reply(url)


@cache
def tls_context() -> ssl.SSLContext:
    """Made once: to read the certificate authorities takes longer than to fetch a page."""
    return httpx2.create_ssl_context(trust_env=False)


class _Attempt:
    """One fetch with its redirects, against one deadline."""

    purpose = ""
    condition: Mapping[str, str] = MappingProxyType({})
    posting: Posting | None = None

    def __init__(
        self, endpoint: EgressEndpoint, limits: Limits, *, tenant: str, trace_id: str
    ) -> None:
        self._limits = limits
        self._tenant = tenant
        self._ends_at = time.monotonic() + limits.total_seconds
        self._connect_answer: dict[str, str] = {}
        headers = {**endpoint.headers, TRACE_HEADER: trace_id}
        self._proxy = httpx2.Proxy(endpoint.proxy_url, headers=headers)

    def reply(self, url: str) -> Fetched | NotModified | Refused | Failed:
        """What comes of it, of whatever kind."""
        try:
            return self.follow(url)
        except _Broken as broken:
            return broken.reply

    def follow(self, url: str) -> Fetched | NotModified:
        """Ask, and ask again where the answer is a redirect."""
        way = httpx2.HTTPTransport(proxy=self._proxy, verify=tls_context(), trust_env=False)
        # httpx2 has no argument for it, and httpcore2 has.
        way._pool._network_backend = Deadline(self._ends_at)
        with httpx2.Client(transport=way, trust_env=False, follow_redirects=False) as client:
            for _ in range(MOST_REDIRECTS + 1):
                reply = self._ask(client, url)
                if not isinstance(reply, str):
                    return reply
                url = reply
        raise self._failed(url, f"It redirects more than {MOST_REDIRECTS} times.")

    def _ask(self, client: httpx2.Client, url: str) -> Fetched | NotModified | str:
        """The answer, or where it redirects to."""
        self._check_url(url)
        remaining = self._ends_at - time.monotonic()
        if remaining <= 0:
            raise self._late(url)
        self._connect_answer.clear()
        try:
            sent = self.posting
            with client.stream(
                "POST" if sent and sent.body else "GET",
                url,
                headers={
                    "Accept-Encoding": "identity",
                    "User-Agent": "Sluice/1",
                    **self.condition,
                    **(sent.headers if sent else {}),
                },
                content=sent.body if sent and sent.body else None,
                timeout=min(self._limits.silence_seconds, remaining),
                extensions={"trace": self._note_connect},
            ) as response:
                return self._read(response, url)
        except httpx2.InvalidURL as error:
            raise _Broken(Failed(shown(url), _NO_URL)) from error
        except httpx2.ProxyError as error:
            raise self._tunnel_refused(url, error) from error
        except httpx2.ConnectError as error:
            # What is connected to is the proxy alone; it reports the far side's failures itself.
            raise self._failed(url, "The egress proxy does not answer. Try again soon.") from error
        except httpx2.TimeoutException as error:
            raise self._late(url) from error
        except httpx2.TransportError as error:
            message = f"The connection broke: {error or type(error).__name__}."
            raise self._failed(url, message) from error

    def _read(self, response: httpx2.Response, url: str) -> Fetched | NotModified | str:
        # The proxy takes the field out of what comes from afar, but cannot look into TLS: there a
        # page could pass its own words for the proxy's.
        if "proxy-status" in response.headers and urlsplit(url).scheme == "http":
            raise self._proxy_answered(url, response.status_code, response.headers, response)
        if response.status_code in _REDIRECTS and "location" in response.headers:
            if self.posting is not None:
                raise self._failed(url, "It redirects, and a key is not sent on. Correct its URL.")
            return joined(url, response.headers["location"])
        if response.status_code == 304 and self.condition:
            return NotModified()
        if response.status_code != 200:
            status = response.status_code
            raise self._failed(url, f"It answered with status {status}.", status)
        content_type = response.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() not in self._limits.content_types:
            raise self._failed(
                url, f"Its content type {content_type or '(none)'!r} is not one that is read.", 200
            )
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise self._failed(url, "It is compressed although that was not asked for.")
        return Fetched(
            url,
            content_type,
            self._body(response, url),
            etag=response.headers.get("etag", ""),
            last_modified=response.headers.get("last-modified", ""),
        )

    def _body(self, response: httpx2.Response, url: str) -> bytes:
        body = bytearray()
        for piece in response.iter_raw():
            body += piece
            if len(body) > self._limits.body_bytes:
                raise self._failed(url, f"It is larger than {self._limits.body_bytes} bytes.", 200)
            if time.monotonic() > self._ends_at:
                raise self._late(url)
        return bytes(body)

    def _check_url(self, url: str) -> None:
        """Refuse what two parsers could read in two ways.

        The proxy decides on host and address; here it is only made sure that all read the same.
        """
        if not is_plain(url):
            raise _Broken(Failed(shown(url), _NO_URL))

    def _note_connect(self, event: str, details: Mapping[str, object]) -> None:
        """Keep the header fields of the proxy's answer to CONNECT, which the library drops."""
        if event != "http11.receive_response_headers.complete" or self._connect_answer:
            return
        answer = details["return_value"]
        if not isinstance(answer, tuple):
            return
        self._connect_answer = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer[3]
        }

    def _tunnel_refused(self, url: str, error: httpx2.ProxyError) -> _Broken:
        status = int(str(error)[:3]) if str(error)[:3].isdigit() else 0
        return self._proxy_answered(url, status, self._connect_answer, None)

    def _proxy_answered(
        self,
        url: str,
        status: int,
        headers: Mapping[str, str],
        response: httpx2.Response | None,
    ) -> _Broken:
        """The proxy's own answer, made a refusal or a failure."""
        body = _refusal_body(response) if response is not None else {}
        # Of a refused CONNECT only the header is left: its details begin with the rule.
        rule, detail = _details(headers.get("proxy-status", ""))
        detail = str(body.get("message") or detail)
        if status == 407:
            detail = "The egress proxy does not know this tenant's credential yet. Try again soon."
        if status != 403:
            return self._failed(url, detail or f"The egress proxy answered with status {status}.")
        return _Broken(
            Refused(
                destination=destination(url),
                rule=str(body.get("rule") or rule or f"{self._tenant}/default-deny"),
                tenant=self._tenant,
                purpose=self.purpose,
                detail=detail,
                private=is_private(url),
            )
        )

    def _late(self, url: str) -> _Broken:
        return self._failed(
            url, f"It did not answer within {self._limits.total_seconds:.0f} seconds."
        )

    @staticmethod
    def _failed(url: str, message: str, status: int = 0) -> _Broken:
        return _Broken(Failed(destination(url), message, status))


def _is_field(value: str) -> bool:
    """Whether it can be sent as it is: a server chose it."""
    return value.isascii() and value.isprintable()


def _refusal_body(response: httpx2.Response) -> dict[str, object]:
    """The proxy's JSON; empty where it sent none."""
    content = bytearray()
    for piece in response.iter_raw():
        content += piece
        if len(content) > _REFUSAL_BYTES:
            return {}
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _details(proxy_status: str) -> tuple[str, str]:
    """Rule and sentence of a Proxy-Status field (RFC 9209); each may be empty."""
    match = re.search(r'details="((?:[^"\\]|\\.)*)"', proxy_status)
    if match is None:
        return "", ""
    plain = re.sub(r"\\(.)", r"\1", match[1])
    named = re.match(r"([^\s:]+/[^\s:]+): (.*)", plain)
    return (named[1], named[2]) if named else ("", plain)
