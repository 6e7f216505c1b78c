"""The world outside for tests: the real egress proxy with the tenants' credentials, and sites."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from proxyconfig.services.environment import egress_password
from proxyconfig.tests.targets.local_processes import EgressProcess, rule
from tenants.models import Tenant
from tests.wire.server import Reply, Request, WireServer, serving

SITE_NETWORK = "127.30.0.0/16"


class Egress:
    """The egress proxy of a test; ``settings.EGRESS_ADDRESS`` names it."""

    def __init__(self, process: EgressProcess) -> None:
        self.process = process

    @property
    def address(self) -> str:
        host, port = self.process.address
        return f"{host}:{port}"

    def allow(self, tenant: Tenant, *networks: str) -> None:
        """Let the tenant out to these networks only."""
        self._put(tenant, rule(1, tenant.slug, networks=list(networks or [SITE_NETWORK])))

    def deny(self, tenant: Tenant) -> None:
        """Know the tenant, and let it out nowhere."""
        self._put(tenant)

    def _put(self, tenant: Tenant, *rules: dict[str, object]) -> None:
        credential = hashlib.sha256(egress_password(tenant.pk).encode()).hexdigest()
        body = {"tenant": tenant.slug, "credential_sha256": credential, "rules": list(rules)}
        reply = self.process.admin.call("PUT", f"/tenants/{tenant.slug}", body)
        assert reply.is_ok, reply


@contextmanager
def site(answer: Callable[[Request], Reply], address: str = "127.30.9.1:0") -> Iterator[WireServer]:
    """A small site on loopback."""
    with serving(WireServer(address, answer, name="site")) as server:
        yield server


def html(title: str, *paragraphs: str) -> Reply:
    """A page as browsers get it."""
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    page = f"<!doctype html><title>{title}</title><main><h1>{title}</h1>{body}</main>"
    return Reply(200, page.encode(), "text/html; charset=utf-8")
