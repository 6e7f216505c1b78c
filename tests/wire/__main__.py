"""The demo's outside world: search service and document site over the project's own docs.

python -m tests.wire [--search 127.30.0.10:8081] [--docs 127.30.0.20:8082] [--root docs]
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.wire import docsite, search, server

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def main(given: Sequence[str] | None = None) -> int:
    """Serve both until stopped; the exit status."""
    parser = server.arguments(
        "Serve the project's docs as a web site, and a search service over them."
    )
    parser.add_argument("--search", default=search.ADDRESS, help="address of the search service")
    parser.add_argument("--docs", default=docsite.ADDRESS, help="address of the document site")
    parser.add_argument("--root", type=Path, default=DOCS, help="folder of the pages")
    options = parser.parse_args(given)
    return server.run(
        lambda log: [
            docsite.build(options.docs, options.root, log=log),
            search.build(options.search, options.root, site=f"http://{options.docs}", log=log),
        ],
        log=options.log,
    )


if __name__ == "__main__":
    sys.exit(main())
