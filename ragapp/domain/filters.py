"""What a search is narrowed to beside its corpora: facts of documents and of pages. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Every condition that is set must hold; an empty one asks for nothing.

    Attributes:
        title: Part of the document's title, in any case.
        url: What the document's URL begins with.
        content_type: The document's whole content type, as ``application/pdf``.
        first_page: Passages of this page and later; those without pages are left out.
        last_page: Passages of this page and earlier; those without pages are left out.
        fetched_since: Documents that were read at this time or later.
        labels: Labels that the document carries, each with this value.
    """

    title: str = ""
    url: str = ""
    content_type: str = ""
    first_page: int | None = None
    last_page: int | None = None
    fetched_since: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def are_set(self) -> bool:
        """True when at least one condition is set."""
        return self != Filters()


NO_FILTERS = Filters()
