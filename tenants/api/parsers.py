"""How the body of every REST request is read: JSON that can be walked, stored and sent back."""

import math
from collections.abc import Iterator, Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MOST_DEPTH = 64
_TOO_DEEP = f"The body is nested deeper than {MOST_DEPTH} levels."
_NO_NUMBER = "The body has a number that is too large to be read."
_HALF_PAIR = "The body has half of a surrogate pair, which is no character and cannot be stored."

Json = Any  # As nested as JSON is.


class JsonParser(JSONParser):
    """JSON of a bounded depth whose numbers and texts can be stored and answered with."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Json:
        """The content of a body.

        Raises:
            ParseError: it is no JSON, is nested too deeply, or has what cannot be stored.
        """
        try:
            content = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError(_TOO_DEEP) from error
        except ParseError as error:
            # Python's own words for a number of thousands of digits are for its programmers.
            if type(error.__context__) is ValueError and "digits" in str(error.__context__):
                raise ParseError(_NO_NUMBER) from error
            raise
        _check_depth(content)
        return self._checked(content)

    def text(self, found: str) -> str:
        """A text or a name of the body, as views get it.

        Raises:
            ParseError: it cannot be stored.
        """
        if not found.isascii() and any("\ud800" <= letter <= "\udfff" for letter in found):
            raise ParseError(_HALF_PAIR)
        return found

    def _checked(self, content: Json) -> Json:
        """The same with its texts read; recursion is safe, since the depth is known."""
        if isinstance(content, str):
            return self.text(content)
        if isinstance(content, list):
            return [self._checked(item) for item in content]
        if isinstance(content, dict):
            return {self.text(name): self._checked(item) for name, item in content.items()}
        if isinstance(content, float) and not math.isfinite(content):
            raise ParseError(_NO_NUMBER)
        return content


def _check_depth(content: Json) -> None:
    level = [content]
    for _ in range(MOST_DEPTH + 1):
        level = [child for part in level for child in _children(part)]
        if not level:
            return
    raise ParseError(_TOO_DEEP)


def _children(content: Json) -> Iterator[Json]:
    if isinstance(content, list):
        yield from content
    elif isinstance(content, dict):
        yield from content.values()
