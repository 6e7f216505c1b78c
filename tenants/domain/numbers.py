"""Whole numbers as people and programs write them in an address or a form."""

from typing import Final

# PostgreSQL's bigint has no more.
LARGEST: Final = 2**63 - 1


def whole_number(text: str, *, most: int = LARGEST) -> int | None:
    """The number from 0 to ``most`` that ``text`` writes in decimal digits; None for anything else.

    Python refuses to read a number of thousands of digits, so their count is looked at first.
    """
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None
