"""A site for the training's benchmark, in a process of its own, so that serving costs the
measured process nothing but the wire.

    python -m benchmarks.wire.pages FILE    prints its port; line N of FILE is the page ``/N/...``

Each line of the file is one page as JSON text. Pages are found by their offsets, not kept.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "127.0.0.1"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, file: Path) -> None:
        super().__init__((HOST, 0), _Page)
        self.file = file
        self.offsets = [0]
        with file.open("rb") as lines:
            for line in lines:
                self.offsets.append(self.offsets[-1] + len(line))

    def page(self, number: int) -> bytes:
        """The page of this line."""
        with self.file.open("rb") as lines:
            lines.seek(self.offsets[number])
            return str(json.loads(lines.readline())).encode()


class _Page(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.server.page(int(self.path.split("/")[1]))
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until killed."""
    with _Server(Path(sys.argv[1])) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
