"""Extraction with limits: the caller's door to this package.

A document is hostile until read. Each one is parsed in a child process of its own with limits on
CPU time, memory, file size, wall clock and result; whatever happens there is an error of that one
document. The child's answer is JSON: nothing that it sends is ever executed.

A process costs half a second to start, most of it imports. So a reader stays, and forks its child
for each document; a few of them wait here for the next call, and one whose document ran out of wall
clock is killed with it.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
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
    answer = _answer(_run({**order, "size": len(content)}, content, bounds))
    if "error" in answer:
        raise ExtractionError(str(answer["message"]), code=str(answer["error"]))
    return _document(answer)


def close() -> None:
    """End the readers that wait; the next call starts one anew."""
    with _lock:
        ended = [reader for waiting in _waiting.values() for reader in waiting]
        for waiting in _waiting.values():
            waiting.clear()
    for reader in ended:
        reader.end()


atexit.register(close)


def _run(order: dict[str, Any], content: bytes, limits: Limits) -> bytes:
    """What the child wrote; it and whatever it started are gone afterwards."""
    reader = _take("office" if content.startswith(_OFFICE) else "text")
    try:
        status, written = reader.read(order, content, limits.wall_seconds)
    except _ReaderLostError:
        if reader.is_late:
            raise _too_slow() from None
        raise _broke() from None
    finally:
        _put_back(reader)
    _judge(status, written, limits)
    return written


class _ReaderLostError(Exception):
    """The reader's process ended before its answer."""


class _Reader:
    """A process that reads one document at a time, each in a child of its own."""

    def __init__(self, family: str) -> None:
        self.family = family
        # A fork of this process must not speak to its parent's readers.
        self.owner = os.getpid()
        self.is_late = False
        # -P and -s keep the caller's folders and hooks out; the package's root is given by name.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-c", _BOOT, str(ROOT), family],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
        )

    @property
    def is_usable(self) -> bool:
        """Whether another document can be given to it."""
        return self._process.poll() is None and not self.is_late

    def read(self, order: dict[str, Any], content: bytes, seconds: float) -> tuple[int, bytes]:
        """The child's exit status and what it wrote.

        Raises:
            _ReaderLostError: the process ended, or was killed because the time was up.
        """
        into, out = self._process.stdin, self._process.stdout
        if into is None or out is None:
            raise _ReaderLostError
        watch = threading.Timer(seconds, self._stop_late)
        watch.start()
        try:
            into.write(json.dumps(order).encode() + b"\n" + content)
            into.flush()
            head = json.loads(out.readline())
            written = out.read(head["size"])
        except (OSError, ValueError) as error:
            self.end()
            raise _ReaderLostError from error
        except BaseException:
            # Its answer is still to come, and would be taken for the next document's.
            self.end()
            raise
        finally:
            watch.cancel()
        if len(written) != head["size"]:
            self.end()
            raise _ReaderLostError
        return int(head["status"]), written

    def end(self) -> None:
        """Kill it with its child."""
        if self.owner == os.getpid():
            self._kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _stop_late(self) -> None:
        self.is_late = True
        self._kill()

    def _kill(self) -> None:
        """The child has the same session, whose members are found by it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


# How PDF files and zipped office files begin; readers of all else do without their libraries.
_OFFICE = (b"%PDF", b"PK\x03\x04")
# Readers of one family that wait for a document; more than these are ended after their call.
_MOST_WAITING = 4
_waiting: dict[str, list[_Reader]] = {"office": [], "text": []}
_lock = threading.Lock()


def _take(family: str) -> _Reader:
    """A reader that waits, else a new one."""
    while True:
        with _lock:
            waiting = _waiting[family]
            reader = waiting.pop() if waiting else None
        if reader is None:
            return _Reader(family)
        if reader.owner == os.getpid() and reader.is_usable:
            return reader
        reader.end()


def _put_back(reader: _Reader) -> None:
    with _lock:
        waiting = _waiting[reader.family]
        if reader.is_usable and len(waiting) < _MOST_WAITING:
            waiting.append(reader)
            return
    reader.end()


# All memory from glibc, in large pages where the kernel has them: a fork costs by the page.
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": os.defpath,
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from ragapp.extract.worker import main;"
    " main(sys.argv[2])"
)


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
        raise _broke()


def _broke() -> ExtractionError:
    return ExtractionError(
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
