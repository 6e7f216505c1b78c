"""Moving bytes between client and destination: both ways, with back pressure and an idle limit."""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import Final

from proxyconfig.targets.local.egress_http import Framing, forwarded_response, parse_head
from proxyconfig.targets.local.egress_rules import Decision, Destination
from tenants.domain.notation import IpAddress

CHUNK_BYTES: Final = 256 * 1024
_LINGER_SECONDS: Final = 1.0


@dataclass(slots=True)
class Wire:
    """One side of a tunnel."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def peer(self) -> str:
        """Address of the other end; "" when it is gone."""
        name = self.writer.get_extra_info("peername") or ("",)
        return str(name[0])

    async def linger(self) -> None:
        """Send what is buffered and take in what the peer still sends, for a second at most.

        Closing with unread bytes would reset the connection, and the peer would lose the answer.
        """
        await self.writer.drain()
        self.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while await self.reader.read(CHUNK_BYTES):
                    pass

    def end(self) -> None:
        """Half close: say that nothing more comes, and go on listening."""
        if self.writer.can_write_eof() and not self.writer.transport.is_closing():
            self.writer.write_eof()


@dataclass(slots=True, eq=False)
class Tunnel:
    """One open connection through the proxy.

    Attributes:
        bytes_sent, bytes_received: payload from and to the client.
        cut_because: why it was ended by the proxy; "" while it runs or when it ended by itself.
    """

    tenant: str
    destination: Destination
    address: IpAddress
    snat: IpAddress | None
    decision: Decision
    client: Wire
    far: Wire
    idle_seconds: float
    bytes_sent: int = 0
    bytes_received: int = 0
    cut_because: str = ""
    _active_at: float = 0.0
    _watch: asyncio.TimerHandle | None = field(default=None)

    def cut(self, reason: str) -> None:
        """End both sides at once; what is still buffered is dropped."""
        self.cut_because = self.cut_because or reason
        self.client.writer.transport.abort()
        self.far.writer.transport.abort()

    def watch(self) -> None:
        """Start to cut the tunnel when nothing has moved for ``idle_seconds``."""
        loop = asyncio.get_running_loop()
        self._active_at = loop.time()
        self._watch = loop.call_later(self.idle_seconds, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        quiet = loop.time() - self._active_at
        if quiet >= self.idle_seconds:
            self.cut(f"nothing moved for {self.idle_seconds:g} s")
        else:
            self._watch = loop.call_later(self.idle_seconds - quiet, self._look)

    def close(self) -> None:
        """Let both sides go; what is buffered is still sent."""
        if self._watch is not None:
            self._watch.cancel()
        self.client.writer.close()
        self.far.writer.close()

    async def send(self, data: bytes) -> None:
        """Client to far side; waits while the far side is slow."""
        self.bytes_sent += len(data)
        await self._write(self.far, data)

    async def receive(self, data: bytes) -> None:
        """Far side to client; waits while the client is slow."""
        self.bytes_received += len(data)
        await self._write(self.client, data)

    async def _write(self, wire: Wire, data: bytes) -> None:
        wire.writer.write(data)
        await wire.writer.drain()
        self._active_at = asyncio.get_running_loop().time()


async def relay(tunnel: Tunnel) -> None:
    """Carry a CONNECT tunnel until both sides have ended; one may end before the other.

    Raises:
        OSError: a side was reset, or the tunnel was cut.
    """
    ways = [asyncio.create_task(_upward(tunnel)), asyncio.create_task(_downward(tunnel))]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _upward(tunnel: Tunnel) -> None:
    while data := await tunnel.client.reader.read(CHUNK_BYTES):
        await tunnel.send(data)
    tunnel.far.end()


async def _downward(tunnel: Tunnel) -> None:
    while data := await tunnel.far.reader.read(CHUNK_BYTES):
        await tunnel.receive(data)
    tunnel.client.end()


async def exchange(tunnel: Tunnel, request: bytes, framing: Framing) -> None:
    """Carry one HTTP request and its response, then end.

    Only the declared body goes up: whatever follows it would be a second request, which no rule
    has looked at. A client that goes away ends the exchange.

    Raises:
        OSError: a side was reset, or the tunnel was cut.
        ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError: not HTTP.
    """
    await tunnel.send(request)
    upload = asyncio.create_task(_upload(tunnel, framing))
    try:
        await _response(tunnel)
    finally:
        upload.cancel()
        await asyncio.gather(upload, return_exceptions=True)


async def _response(tunnel: Tunnel) -> None:
    while True:
        head = parse_head(await tunnel.far.reader.readuntil(b"\r\n\r\n"))
        if not re.fullmatch(r"HTTP/1\.[01]", head.first[0]):
            raise ValueError("the far side does not speak HTTP/1.1")
        if not head.first[1].startswith("1"):
            break
        await tunnel.receive((" ".join(head.first) + "\r\n\r\n").encode("latin-1"))
    await tunnel.receive(forwarded_response(head))
    await _downward(tunnel)


async def _upload(tunnel: Tunnel, framing: Framing) -> None:
    try:
        if framing == "chunked":
            await _upload_chunks(tunnel)
        else:
            await _upload_bytes(tunnel, framing)
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        tunnel.cut("the request body was malformed or ended early")
        return
    except OSError:
        return  # The response's reader sees the same and reports it.
    while await tunnel.client.reader.read(CHUNK_BYTES):
        pass  # Not asked for, not forwarded.
    tunnel.cut("the client went away")


async def _upload_bytes(tunnel: Tunnel, count: int) -> None:
    while count > 0:
        data = await tunnel.client.reader.read(min(count, CHUNK_BYTES))
        if not data:
            raise asyncio.IncompleteReadError(b"", count)
        count -= len(data)
        await tunnel.send(data)


async def _upload_chunks(tunnel: Tunnel) -> None:
    """Chunks are read and written again, so that both sides agree on where the body ends."""
    reader = tunnel.client.reader
    while True:
        line = (await reader.readuntil(b"\r\n")).removesuffix(b"\r\n")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,12}(;[\t\x20-\x7e]*)?", line):
            raise ValueError("a chunk's length is malformed")
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            break
        await tunnel.send(b"%x\r\n" % size)
        await _upload_bytes(tunnel, size)
        if await reader.readexactly(2) != b"\r\n":
            raise ValueError("a chunk does not end where it says")
        await tunnel.send(b"\r\n")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # Trailers are not forwarded.
    await tunnel.send(b"0\r\n\r\n")
