"""Plain text, and the cleaning that every format's text goes through."""

import re
import unicodedata

from ragapp.domain.document import Document

# Of a document's title or a heading; each chunk below it carries it along.
MOST_TITLE = 300
# Zero-width and direction marks: they hide words from readers, but not from a model.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\u00ad]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str) -> str:
    """NFC, ``\\n`` line ends, no control or invisible characters, no space at line ends."""
    even = text.replace("\r\n", "\n").replace("\r", "\n")
    visible = _INVISIBLE.sub("", _CONTROL.sub("", even))
    lines = (line.rstrip() for line in unicodedata.normalize("NFC", visible).split("\n"))
    return "\n".join(lines).strip()


def cut_title(title: str) -> str:
    """The title, cut at a word's end near ``MOST_TITLE`` characters where it is longer."""
    if len(title) <= MOST_TITLE:
        return title
    blank = title.rfind(" ", MOST_TITLE // 2, MOST_TITLE + 1)
    return title[: blank if blank > 0 else MOST_TITLE].strip()


def decode(content: bytes, charset: str) -> str:
    """Text in the declared character set, else UTF-8 or UTF-16 by its mark, else Windows-1252."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    for candidate in filter(None, (charset, "utf-8-sig")):
        try:
            return content.decode(candidate)
        except (UnicodeDecodeError, LookupError):
            continue
    return content.decode("cp1252", errors="replace")


def extract_plain(content: bytes, charset: str) -> Document:
    """The text as it is, without structure."""
    return Document(text=clean(decode(content, charset)), title="")
