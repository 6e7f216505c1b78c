"""Where a URL leads, in the words of policies, and whether all parsers would read it alike."""

import ipaddress
import re
from urllib.parse import SplitResult, urljoin, urlsplit

# Control characters, spaces and backslashes are read differently by different parsers; half a
# surrogate pair cannot even be stored.
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")


def destination(url: str) -> str:
    """``host:port`` of a URL, as policies name it; the URL itself where it has none."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return shown(url)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def is_plain(url: str) -> bool:
    """Whether it is an http or https URL with a host and no user, which nobody misreads."""
    parts = _split(url)
    if parts is None or "@" in parts.netloc or _UNSAFE.search(url):
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def is_private(url: str) -> bool:
    """Whether its host is an address that is not of the Internet."""
    try:
        return not ipaddress.ip_address(urlsplit(url).hostname or "").is_global
    except ValueError:
        return False


def joined(url: str, location: str) -> str:
    """Where a redirect leads; what makes no URL is left as it is, for a check to refuse."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def shown(url: str) -> str:
    """As much of a refused URL as a message can show."""
    return _UNSAFE.sub("?", url[:200])


def _split(url: str) -> SplitResult | None:
    """The URL's parts; None where it has no valid ones."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # Reading it is what checks it.
    except ValueError:
        return None
    return parts
