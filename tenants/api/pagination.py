"""Cursor pages: stable under inserts, and as quick on the last page as on the first."""

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Newest rows first; ``limit`` up to 1,000, ``cursor`` from the answer's links."""

    ordering = "-id"
    page_size = 50
    max_page_size = 1000
    page_size_query_param = "limit"
