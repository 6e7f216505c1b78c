"""Office files are ZIP packages of XML: what must hold before a library opens one."""

import io
import zipfile

from ragapp.extract.formats.refusal import RefusedError

MOST_BYTES = 200_000_000
MOST_PARTS = 10_000
# Of a part's beginning: where a document type, and with it an entity, would have to stand.
_HEAD_BYTES = 4096
# A password makes an Office file an OLE container, as the formats before 2007 are.
OLE_MAGIC = b"\xd0\xcf\x11\xe0"


def open_package(content: bytes) -> io.BytesIO:
    """The package for a library to read.

    Raises:
        RefusedError: It is encrypted, broken, unpacks to too much, or declares XML entities.
    """
    if content.startswith(OLE_MAGIC):
        raise RefusedError(
            "encrypted",
            "The file has a password or is in the format before 2007. Save it anew as .docx or"
            " .pptx without a password.",
        )
    stream = io.BytesIO(content)
    try:
        with zipfile.ZipFile(stream) as package:
            _check(package)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise RefusedError("broken", "The file is broken: it is no whole package.") from error
    stream.seek(0)
    return stream


def _check(package: zipfile.ZipFile) -> None:
    parts = package.infolist()
    # What the directory says; a part that unpacks to more than that breaks its own checksum.
    size = sum(part.file_size for part in parts)
    if len(parts) > MOST_PARTS or size > MOST_BYTES:
        raise RefusedError(
            "too-large",
            f"The file unpacks to {len(parts):,} parts of {size:,} bytes; at most"
            f" {MOST_BYTES:,} are read. Split it.",
        )
    for part in parts:
        if part.filename.endswith((".xml", ".rels")):
            with package.open(part) as opened:
                if b"<!DOCTYPE" in opened.read(_HEAD_BYTES).upper():
                    raise RefusedError(
                        "broken", "The file declares XML entities, which no Office program writes."
                    )
