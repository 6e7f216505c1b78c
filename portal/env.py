"""Typed reading of the environment; a bad value stops the boot by its name."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """The variable's value, or that of the file that ``<name>_FILE`` names.

    Raises:
        ImproperlyConfigured: it is not set and has no default.
    """
    file = os.environ.get(f"{name}_FILE")
    if file:
        return Path(file).read_text().strip()
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(
            f"{name} is not set. `make up` sets it; see docs/reference/settings.md."
        )
    return value


def flag(name: str, *, default: bool = False) -> bool:
    """True for 1, true, yes, on; False for 0, false, no, off.

    Raises:
        ImproperlyConfigured: any other word.
    """
    value = os.environ.get(name, "").strip().lower()
    if value == "":
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; write true or false.")


def number(name: str, default: int) -> int:
    """A whole number that is not negative.

    Raises:
        ImproperlyConfigured: anything else.
    """
    value = text(name, str(default)).replace("_", "")
    if not value.isdecimal():
        raise ImproperlyConfigured(f"{name} is {value!r}; write a whole number, 0 or more.")
    return int(value)


def limit(name: str, default: int) -> int | None:
    """A whole number that is not negative; None for ``none``: no limit."""
    return None if text(name, str(default)).lower() == "none" else number(name, default)


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list without empty parts."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def database(name: str, default: str | None = None) -> dict[str, object]:
    """A Django database from ``postgresql://user:password@host:port/name``.

    Raises:
        ImproperlyConfigured: not such a URL.
    """
    url = urlsplit(text(name, default))
    if url.scheme not in {"postgres", "postgresql"} or not url.path.strip("/"):
        raise ImproperlyConfigured(
            f"{name} must look like postgresql://user:password@host:5432/name."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": str(url.port or ""),
    }
