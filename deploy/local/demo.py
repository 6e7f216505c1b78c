"""The demo's outside world, for a machine without internet: a search service and a document site.

Stand-ins from ``tests/wire``, not product code. They run beside Sluice unless ``SLUICE_SEARCH_URL``
names a real search service, or the checkout has no tests.
"""

import socket
from collections.abc import Mapping

from deploy.local.layout import REPOSITORY

SEARCH = ("127.30.0.10", 8081)
DOCS = ("127.30.0.20", 8082)


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether nobody named a search service of their own."""
    return "SLUICE_SEARCH_URL" not in environment and (REPOSITORY / "tests" / "wire").is_dir()


def obstacle() -> str:
    """Why the stand-ins cannot listen, in one sentence; empty when they can."""
    for address, port in (SEARCH, DOCS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                return (
                    f"The demo's search service and document site are not started: {address}:{port}"
                    f" cannot be listened on ({error.strerror}). Stop what is there, or set"
                    " SLUICE_SEARCH_URL to a search service of your own."
                )
    return ""
