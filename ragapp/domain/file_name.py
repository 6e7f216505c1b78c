"""The name of a file that somebody hands over: what is kept of it."""

import unicodedata

MOST_CHARACTERS = 200
_LONGEST_SUFFIX = 10


def kept_name(given: str) -> str:
    """The name without folders, control and invisible characters, at most ``MOST_CHARACTERS`` long.

    Empty where nothing is left that could be shown. A long name keeps its ending.
    """
    name = unicodedata.normalize("NFC", given).replace("\\", "/").rpartition("/")[2]
    shown = "".join(" " if _is_space(letter) else letter for letter in name if _is_shown(letter))
    name = " ".join(shown.split()).strip(" .")
    if len(name) <= MOST_CHARACTERS:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        return name[:MOST_CHARACTERS].strip()
    return stem[: MOST_CHARACTERS - len(suffix) - 1].strip() + dot + suffix


def _is_shown(letter: str) -> bool:
    """Not: control, format (which turns the direction of writing), half a pair, private use."""
    return _is_space(letter) or not unicodedata.category(letter).startswith("C")


def _is_space(letter: str) -> bool:
    return letter.isspace() and letter not in "\x1c\x1d\x1e\x1f"
