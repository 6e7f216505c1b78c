"""Text from outside that the database and UTF-8 can hold."""

import re

# PostgreSQL takes no NUL in a text, and half a surrogate pair is no character of UTF-8.
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether ``text`` can be stored and sent as it is."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """``text`` with U+FFFD for each character that can be neither stored nor sent."""
    return _UNSTORABLE.sub("\ufffd", text)
