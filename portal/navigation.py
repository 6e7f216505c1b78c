"""The menu and the tenant switcher, for every page."""

from django.http import HttpRequest


def navigation(request: HttpRequest) -> dict[str, object]:
    """Context processor."""
    return {}
