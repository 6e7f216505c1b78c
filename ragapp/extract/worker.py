"""The child process: sets its own limits, reads one document, writes one JSON answer, ends.

Runs with an empty environment and never imports Django. Order on standard input: one line of
JSON, then the document's bytes.
"""

import json
import resource
import sys
from dataclasses import asdict
from typing import Any

from ragapp.extract.formats import EXTRACTOR_BY_TYPE, EmptyTextError, UnsupportedTypeError, read
from ragapp.extract.formats.refusal import RefusedError


def main() -> None:
    """Carry out the one order on standard input."""
    order = json.loads(sys.stdin.buffer.readline())
    limits = order["limits"]
    _limit(limits)
    content = sys.stdin.buffer.read(limits["input_bytes"] + 1)
    answer = _answer(content, order["content_type"], order["url"])
    written = json.dumps(answer).encode()
    # One byte more than allowed tells the parent enough.
    sys.stdout.buffer.write(written[: limits["result_bytes"] + 1])


def _limit(limits: dict[str, Any]) -> None:
    cpu = limits["cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"], limits["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(content: bytes, content_type: str, url: str) -> dict[str, Any]:
    try:
        return asdict(read(content, content_type, url))
    except UnsupportedTypeError as error:
        known = ", ".join(sorted(EXTRACTOR_BY_TYPE))
        return _error(
            "unsupported-type", f"Documents of type {error} are not read; known: {known}."
        )
    except RefusedError as error:
        return _error(error.code, error.message)
    except EmptyTextError:
        return _error("empty", "The document holds no text.")
    except MemoryError:
        return _error("too-much-memory", "The document needs more memory than one may have.")
    except Exception as error:  # noqa: BLE001 - a hostile file may raise anything in its parser.
        return _error("broken", f"The document cannot be read: {type(error).__name__}.")


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": code, "message": message}
