"""Fifty rows a page, for every list of every app; which page is part of the URL.

Lists that people make by hand are counted (``page_of``). Those that only grow are not
(``newest_of``): a count would read the whole table for a number that nobody needs, and an offset
would read all that it skips. There a page starts beside a row that the URL names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from tenants.domain.numbers import whole_number

PAGE_SIZE = 50
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Stretch(Generic[Row]):
    """Up to a page of rows, newest first, of a list whose length is not known.

    Attributes:
        newer: id for ``?after=``; None on the newest page.
        older: id for ``?before=``; None on the oldest page.
    """

    object_list: Sequence[Row]
    newer: int | None = None
    older: int | None = None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.object_list)


def page_of(request: HttpRequest, rows: QuerySet[Row], *, start: int = 1) -> Page[Row]:
    """The page that ``?page=`` names, else ``start``; the last where there is no such page."""
    return Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", start))


def newest_of(request: HttpRequest, rows: QuerySet[Row]) -> Stretch[Row]:
    """The rows next to the one that ``?before=`` or ``?after=`` names, else the newest.

    Where there is nothing on that side, or no such row, these are the newest too.

    Args:
        rows: in their model's own order, which is newest first in each of its fields.
    """
    if older := _beside(request.GET.get("before", ""), rows, "lt"):
        found = list(rows.filter(older)[: PAGE_SIZE + 1])
        if found:
            return _stretch(found, newer=found[0].pk)
    if newer := _beside(request.GET.get("after", ""), rows, "gt"):
        found = list(rows.filter(newer).reverse()[: PAGE_SIZE + 1])
        # A page that is not full would be the newest one, short of some rows.
        if len(found) > PAGE_SIZE:
            shown = found[PAGE_SIZE - 1 :: -1]
            return Stretch(shown, newer=shown[0].pk, older=shown[-1].pk)
    return _stretch(list(rows[: PAGE_SIZE + 1]))


def _stretch(found: Sequence[Row], *, newer: int | None = None) -> Stretch[Row]:
    """A page of ``found``, whose row past the page only tells that there are more."""
    shown = found[:PAGE_SIZE]
    return Stretch(shown, newer, shown[-1].pk if len(found) > PAGE_SIZE else None)


def _beside(asked: str, rows: QuerySet[Row], side: str) -> Q | None:
    """The condition of what comes before (``gt``) or after (``lt``) the row with the id ``asked``.

    With ``side`` lt and fields a, b: a <= A and (a < A or b < B), so that an index on them serves.
    """
    number = whole_number(asked)
    if number is None:
        return None
    names = [str(name).removeprefix("-") for name in rows.model._meta.ordering or ()]
    edge = rows.model._default_manager.filter(pk=number).values_list(*names).first()
    if edge is None:
        return None
    *outer, (last, value) = zip(names, edge, strict=True)
    condition = Q(**{f"{last}__{side}": value})
    for name, bound in reversed(outer):
        beyond = Q(**{f"{name}__{side}": bound}) | condition
        condition = Q(**{f"{name}__{side}e": bound}) & beyond
    return condition
