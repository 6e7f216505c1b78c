"""Addresses that pages link to: written in one way, and below a place or not."""

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from lxml import etree, html  # type: ignore[import-untyped] # It ships no types and its stubs are stale.

MOST_URL_CHARACTERS = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Browsers leave these as they are; all else beyond ASCII letters and digits is percent-encoded.
_AS_THEY_STAND = "%/:=&?~+!$,;'@()*[]-._|"
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
# What pages link to that is no document.
_NO_DOCUMENT = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|avif|ico|bmp|tiff?|css|js|mjs|map|woff2?|ttf|eot|mp[34]|m4[av]|mov"
    r"|avi|mkv|webm|ogg|wav|flac|zip|gz|tgz|bz2|xz|7z|rar|tar|iso|dmg|exe|msi|deb|rpm|whl|jar|bin)\Z",
    re.IGNORECASE,
)
_NO_PAGE = re.compile(r"\.(?:pdf|docx?|pptx?|xlsx?|md|markdown|txt|csv|json|xml)\Z", re.IGNORECASE)


def normalised(url: str) -> str:
    """The URL in the one way that it is compared: no fragment, no default port, host in lower case.

    Empty where it is no http or https URL that all parsers would read alike, or longer than
    ``MOST_URL_CHARACTERS``.
    """
    if _UNSAFE.search(url):
        return ""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError:
        return ""
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        return ""
    host = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        host += f":{port}"
    path = quote(parts.path or "/", safe=_AS_THEY_STAND)
    whole = urlunsplit((parts.scheme, host, path, quote(parts.query, safe=_AS_THEY_STAND), ""))
    return whole if len(whole) <= MOST_URL_CHARACTERS else ""


def folder(url: str) -> str:
    """What a crawl that begins at ``url`` stays below: its path up to the last slash."""
    parts = urlsplit(normalised(url))
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rpartition("/")[0] + "/", "", ""))


def is_below(url: str, prefix: str) -> bool:
    """Whether a normalised URL has the prefix's scheme, host and port, and a path that begins so.

    A prefix without a slash at its end holds ``/docs`` and ``/docs/a``, not ``/docs-of-others``.
    """
    one, other = urlsplit(url), urlsplit(prefix)
    if (one.scheme, one.netloc) != (other.scheme, other.netloc):
        return False
    path = one.path
    # A dot segment would name a place above the one it begins with.
    if any(part in {"..", "."} for part in re.split(r"[/\\]", unquote(path))):
        return False
    return path == other.path or path.startswith(other.path.rstrip("/") + "/")


def may_be_document(url: str) -> bool:
    """Whether the URL's ending speaks of something to read, and not of a picture or a program."""
    return _NO_DOCUMENT.search(urlsplit(url).path) is None


def may_be_page(url: str) -> bool:
    """Whether the URL may lead to HTML, which alone has links to go on with."""
    return _NO_PAGE.search(urlsplit(url).path) is None


def links(page: bytes, url: str) -> Iterator[str]:
    """Where the HTML page at ``url`` links to, normalised, in order and maybe more than once.

    Links that the page asks robots not to follow are left out; no markup is too broken.
    """
    try:
        # Default limits: a page nested past 256 levels ends there.
        tree = html.document_fromstring(page, base_url=None)
    except (etree.LxmlError, ValueError):
        return
    robots = " ".join(tree.xpath("//meta[translate(@name, 'ROBTS', 'robts')='robots']/@content"))
    if "nofollow" in robots.lower():
        return
    base = _joined(url, next(iter(tree.xpath("//base/@href")), ""))
    for element in tree.iter("a", "area"):
        target = element.get("href")
        if target and "nofollow" not in element.get("rel", "").lower().split():
            found = normalised(_joined(base, target.strip()))
            if found:
                yield found


def _joined(base: str, target: str) -> str:
    try:
        return urljoin(base, target)
    except ValueError:
        return ""
