"""The document site: the project's docs as plain web pages, with an index and a sitemap.

python -m tests.wire.docsite --address 127.30.0.20:8082 --root docs
"""

import html
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from tests.wire import pages, server

ADDRESS = "127.30.0.20:8082"
NAME = "Sluice documentation"
_TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}


class DocSite:
    """Answers with the pages of a folder; files are read at each request, so edits show at once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.base = ""

    def __call__(self, request: server.Request) -> server.Reply:
        """The page, image, index or sitemap at the request's path."""
        path = request.path.removeprefix("/")
        if path == "sitemap.xml":
            return server.Reply(200, self._sitemap(), "application/xml; charset=utf-8")
        if path == "robots.txt":
            return server.Reply(200, b"User-agent: *\nAllow: /\n", "text/plain; charset=utf-8")
        if path in ("", "index.html"):
            return server.Reply(200, self._index())
        return self._page(path) or self._file(path) or self._missing(request.path)

    def paths(self) -> list[str]:
        """Paths of all pages, sorted."""
        found = (file.relative_to(self.root).as_posix() for file in pages.sources(self.root))
        return sorted(pages.site_path(source) for source in found)

    def _page(self, path: str) -> server.Reply | None:
        # Only paths that the folder's listing gives are opened: none can point out of it.
        for file in pages.sources(self.root):
            if pages.site_path(file.relative_to(self.root).as_posix()) == path:
                page = pages.read_page(self.root, file)
                return server.Reply(200, pages.document(page.title, page.body, site=NAME))
        return None

    def _file(self, path: str) -> server.Reply | None:
        known = {
            file.relative_to(self.root).as_posix(): file
            for file in self.root.rglob("*")
            if file.suffix in _TYPES and file.is_file()
        }
        file = known.get(path)
        return server.Reply(200, file.read_bytes(), _TYPES[file.suffix]) if file else None

    def _missing(self, path: str) -> server.Reply:
        body = f"<h1>No such page</h1>\n<p>There is no page at {html.escape(path)}.</p>\n"
        return server.Reply(404, pages.document("No such page", body, site=NAME))

    def _index(self) -> bytes:
        parts = [f"<h1>{NAME}</h1>\n"]
        section = None
        for page in sorted(pages.read(self.root).values(), key=lambda page: page.path):
            folder = page.path.rpartition("/")[0]
            if folder != section:
                parts.append(
                    f"{'</ul>' if section is not None else ''}<h2>{folder or 'Start'}</h2>\n<ul>\n"
                )
                section = folder
            parts.append(f'<li><a href="/{page.path}">{html.escape(page.title)}</a></li>\n')
        parts.append("</ul>\n" if section is not None else "<p>The folder has no page.</p>\n")
        return pages.document("Index", "".join(parts), site=NAME)

    def _sitemap(self) -> bytes:
        entries = "".join(f"<url><loc>{self.base}/{path}</loc></url>\n" for path in self.paths())
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
            f"{entries}</urlset>\n"
        ).encode()


def build(address: str, root: Path, *, log: Sequence[TextIO] = ()) -> server.WireServer:
    """The site's server, bound and not yet serving.

    Raises:
        AddressError: The address is not loopback or is taken, or ``root`` is no folder.
    """
    if not root.is_dir():
        raise server.AddressError(f"{root} is not a folder; --root names the folder of the docs.")
    site = DocSite(root)
    wire = server.WireServer(address, site, name="docsite", log=log)
    site.base = wire.url
    return wire


def main(given: Sequence[str] | None = None) -> int:
    """Serve until stopped; the exit status."""
    parser = server.arguments("Serve a folder of Markdown or HTML files as a web site on loopback.")
    parser.add_argument("--address", default=ADDRESS)
    parser.add_argument("--root", type=Path, required=True)
    options = parser.parse_args(given)
    return server.run(lambda log: [build(options.address, options.root, log=log)], log=options.log)


if __name__ == "__main__":
    sys.exit(main())
