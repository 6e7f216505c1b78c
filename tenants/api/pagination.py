"""Cursor pages: stable under inserts, and as quick on the last page as on the first."""

from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from tenants.domain.numbers import whole_number


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
        limit = whole_number(asked, most=self.max_page_size)
        if not limit:
            raise ValidationError({"limit": [f"Give a number from 1 to {self.max_page_size}."]})
        return limit

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:  # Any: rows of any model; the stubs have sequences here too.
        """The rows of the page that ``cursor`` names.

        Raises:
            NotFound: the cursor is not one of this list's.
        """
        cursor = self.decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            first = self.ordering if isinstance(self.ordering, str) else self.ordering[0]
            try:
                queryset.model._meta.get_field(first.removeprefix("-")).to_python(cursor.position)
            except ModelValidationError as error:
                raise NotFound(self.invalid_cursor_message) from error
        return super().paginate_queryset(queryset, request, view)
