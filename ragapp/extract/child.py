"""Extraction with limits: the caller's door to this package.

A document is hostile until read. Each one is parsed in a child process of its own with limits on
CPU time, memory, file size, wall clock and result; whatever happens there is an error of that one
document. The child gets the bytes on its standard input and answers with JSON: nothing that it
sends is ever executed.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ragapp.domain.document import Document, Heading, Page
from tenants.errors import InvalidError

ROOT = Path(__file__).resolve().parents[2]


class ExtractionError(InvalidError):
    """This one document cannot be read; ``code`` says why, the message says what to do.

    Codes: ``unsupported-type``, ``too-large``, ``empty``, ``broken``, ``too-slow``,
    ``too-much-memory``, ``result-too-large``, ``encrypted``, ``mislabelled``.
    """

    default_code = "broken"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one extraction; ``wall_seconds`` is generous, for loaded machines."""

    input_bytes: int = 20_000_000
    result_bytes: int = 20_000_000
    memory_bytes: int = 1_500_000_000
    cpu_seconds: int = 20
    wall_seconds: float = 60.0


def extract(
    content: bytes, *, content_type: str, url: str = "", limits: Limits | None = None
) -> Document:
    """Text and structure of ``content``.

    Args:
        content: The file's bytes, decompressed.
        content_type: As declared (parameters allowed: ``text/html; charset=latin-1``).
        url: Where it came from; fallback for the title.

    Raises:
        ExtractionError: The document is broken, hostile, too large or of an unknown type.
    """
    bounds = limits or Limits()
    if len(content) > bounds.input_bytes:
        raise ExtractionError(
            f"The document has {len(content):,} bytes; at most {bounds.input_bytes:,} are read. "
            "Split it into smaller ones.",
            code="too-large",
        )
    order = {"content_type": content_type, "url": url, "limits": asdict(bounds)}
    answer = _answer(_run(json.dumps(order).encode() + b"\n" + content, bounds))
    if "error" in answer:
        raise ExtractionError(str(answer["message"]), code=str(answer["error"]))
    return _document(answer)


def _run(order: bytes, limits: Limits) -> bytes:
    """What the child wrote; it and whatever it started are gone afterwards."""
    # -I keeps the caller's environment and site hooks out; the package's root is given by name.
    command = [sys.executable, "-I", "-c", _BOOT, str(ROOT)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"LANG": "C.UTF-8", "PATH": os.defpath},
        start_new_session=True,
    ) as child:
        try:
            written, _ = child.communicate(order, timeout=limits.wall_seconds)
        except subprocess.TimeoutExpired:
            raise _too_slow() from None
        finally:
            _end(child)
    _judge(child.returncode, written, limits)
    return written


_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from ragapp.extract.worker import main; main()"
)


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def _judge(status: int, written: bytes, limits: Limits) -> None:
    """The child's own end as an error, where it did not come to an answer."""
    if len(written) > limits.result_bytes:
        raise ExtractionError(
            f"The document's text is longer than {limits.result_bytes:,} bytes. Split it.",
            code="result-too-large",
        )
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        raise _too_slow()
    if status != 0 or not written:
        raise ExtractionError(
            "The document broke its reader, so it was left out. Save it anew in its format.",
            code="broken",
        )


def _too_slow() -> ExtractionError:
    return ExtractionError(
        "Reading the document took too long, so it was stopped. Split or simplify it.",
        code="too-slow",
    )


def _answer(written: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(written)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ExtractionError("The document's reader sent no usable answer.", code="broken")
    return answer


def _document(answer: dict[str, Any]) -> Document:
    return Document(
        text=str(answer["text"]),
        title=str(answer["title"]),
        headings=tuple(Heading(**heading) for heading in answer["headings"]),
        pages=tuple(Page(**page) for page in answer["pages"]),
        hidden=str(answer["hidden"]),
    )
