"""Cursor pages: stable under inserts, and as quick on the last page as on the first."""

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """Newest rows first; ``limit`` up to 1,000, ``cursor`` from the answer's links."""

    ordering = "-id"
    page_size = 50
    max_page_size = 1000
    page_size_query_param = "limit"

    def get_page_size(self, request: Request) -> int:
        """Rows on a page.

        Raises:
            ValidationError: ``limit`` is not a number from 1 to 1,000.
        """
        asked = request.query_params.get("limit")
        if asked is None:
            return self.page_size
        if not asked.isdecimal() or not 1 <= int(asked) <= self.max_page_size:
            raise ValidationError({"limit": [f"Give a number from 1 to {self.max_page_size}."]})
        return int(asked)
