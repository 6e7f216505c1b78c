"""A far side to connect to, and a bare relay in front of it as the plainest proxy there can be.

    python -m benchmarks.wire.far far          prints its port
    python -m benchmarks.wire.far relay PORT   carries bytes to that port; prints its own

The far side reads one line: ``down N`` gets N bytes, ``echo`` gets ``ok`` back, ``hold`` nothing.
"""

import asyncio
import contextlib
import sys

HOST = "127.0.0.1"
_BLOCK = bytes(256 * 1024)


async def far(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection."""
    with contextlib.suppress(ConnectionError):
        words = (await reader.readline()).split()
        if words[:1] == [b"down"]:
            await _pour(writer, int(words[1]))
        elif words[:1] == [b"echo"]:
            writer.write(b"ok\n")
        elif words[:1] == [b"hold"]:
            writer.write(b"ok\n")
            await reader.read(1)
        await writer.drain()
        writer.close()


async def _pour(writer: asyncio.StreamWriter, count: int) -> None:
    while count > 0:
        writer.write(_BLOCK[: min(count, len(_BLOCK))])
        await writer.drain()
        count -= len(_BLOCK)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(len(_BLOCK)):
            writer.write(data)
            await writer.drain()
        writer.close()


def relay_to(port: int) -> "asyncio.streams._ClientConnectedCallback":
    """A bare relay: a CONNECT request is read and granted without a look at it, then bytes go."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection(HOST, port)
        writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))

    return relay


async def _serve(callback: "asyncio.streams._ClientConnectedCallback") -> None:
    server = await asyncio.start_server(callback, HOST, 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(far if sys.argv[1] == "far" else relay_to(int(sys.argv[2]))))
