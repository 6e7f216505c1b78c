"""Fifty rows a page, for every list of every app; which page is part of the URL."""

from typing import TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

PAGE_SIZE = 50
Row = TypeVar("Row", bound=Model)


def page_of(request: HttpRequest, rows: QuerySet[Row], *, start: int = 1) -> Page[Row]:
    """The page that ``?page=`` names, else ``start``; the last where there is no such page."""
    return Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", start))
