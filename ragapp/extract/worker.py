"""The reader's process: it loads its formats once, then forks a child for each document.

Runs with an empty environment and never imports Django. An order on standard input is one line of
JSON and then the document's bytes; the answer on standard output is one line of JSON with the
child's status and the number of bytes that follow, which are the child's own JSON. A child sets its
own limits, reads one document and ends, so nothing of a document outlives it.
"""

import gc
import json
import os
import resource
from dataclasses import asdict
from typing import Any, BinaryIO

from ragapp.extract.formats import (
    EXTRACTOR_BY_TYPE,
    EmptyTextError,
    UnsupportedTypeError,
    load_office,
    read,
)
from ragapp.extract.formats.refusal import RefusedError

_PIECE = 1 << 16


def main(family: str) -> None:
    """Carry out the orders on standard input, one after the other, until it is closed.

    Args:
        family: "office" loads the libraries of those formats before the first document.
    """
    os.nice(10)  # The embedder beside it is what a training waits for.
    orders, answers = _private_streams()
    if family == "office":
        load_office()
    # The first page costs a second reading's time in tables that every child then shares.
    read(b"<html><body><p>warm</p></body></html>", "text/html", "")
    gc.freeze()  # Pages that no collection touches stay shared with the children.
    while line := orders.readline():
        order = json.loads(line)
        content = orders.read(order["size"])
        written, status = _read_apart(order, content)
        head = json.dumps({"status": status, "size": len(written)}).encode()
        answers.write(head + b"\n" + written)
        answers.flush()


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """The parent's two pipes, at numbers that no parser writes to by mistake."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return orders, answers


def _read_apart(order: dict[str, Any], content: bytes) -> tuple[bytes, int]:
    """What a child of its own made of the document, and how it ended (negative: a signal)."""
    take, give = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(order, content, keep=give)
    os.close(give)
    # One byte more than allowed tells the parent enough.
    written = _drain(take, order["limits"]["result_bytes"] + 1)
    os.close(take)
    _, status = os.waitpid(child, 0)
    return written, os.waitstatus_to_exitcode(status)


def _be_child(order: dict[str, Any], content: bytes, *, keep: int) -> None:
    """Read the document and end; the only file left open is the way back."""
    status = 1
    try:
        _close_all_but(keep)
        _limit(order["limits"])
        written = json.dumps(_answer(content, order["content_type"], order["url"])).encode()
        with open(keep, "wb") as back:
            back.write(written[: order["limits"]["result_bytes"] + 1])
        status = 0
    finally:
        os._exit(status)


def _close_all_but(keep: int) -> None:
    """Close the pipes to the parent, so that no document meets another's bytes."""
    os.closerange(3, keep)
    os.closerange(keep + 1, 256)


def _drain(take: int, most: int) -> bytes:
    """At most ``most`` bytes, up to the end."""
    written = bytearray()
    while len(written) < most and (piece := os.read(take, min(_PIECE, most - len(written)))):
        written += piece
    return bytes(written)


def _limit(limits: dict[str, Any]) -> None:
    # A fork's clock starts at zero, so the time is this document's alone.
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
