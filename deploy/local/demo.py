"""The demo: two tenants, and an outside world for a machine without internet, a search service and
a document site.

Stand-ins from ``tests/wire``, not product code. They run beside Sluice unless ``SLUICE_SEARCH_URL``
names a real search service, or the checkout has no tests.
"""

import socket
from collections.abc import Mapping

from deploy.local.errors import StartError
from deploy.local.layout import REPOSITORY

VARIABLE = "SLUICE_DEMO"
SEARCH = ("127.30.0.10", 8081)
DOCS = ("127.30.0.20", 8082)


def has_tenants(environment: Mapping[str, str]) -> bool:
    """Whether an empty database is given the demo's tenants.

    Raises:
        StartError: the variable says neither yes nor no.
    """
    said = environment.get(VARIABLE, "").strip().lower() or "true"
    if said not in {"true", "false"}:
        raise StartError(f"{VARIABLE} is {said[:40]!r}; write true or false, or leave it out.")
    return said == "true"


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the demo is on, and nobody named a search service of their own."""
    has_stand_ins = (REPOSITORY / "tests" / "wire").is_dir()
    return has_tenants(environment) and "SLUICE_SEARCH_URL" not in environment and has_stand_ins


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
