"""The ingress half of the local proxy: Caddy through its admin API.

Each change is one call, after which Caddy swaps its whole configuration at once: listeners that
stay are handed over, and running requests of every tenant go on.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import cast
from urllib.parse import quote

from proxyconfig.domain.compilers.local import CADDY_SERVER, server_name
from proxyconfig.domain.conditions import Reason
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.plan import PlanAction, PlanEntry
from proxyconfig.domain.resources import Resource
from proxyconfig.domain.target import Footprint, Outcome, OutcomeStatus
from proxyconfig.targets.local.admin_client import AdminClient, Reply
from tenants.errors import PermanentError, TransientError

_SERVERS = "/config/apps/http/servers"


class Caddy:
    """What Caddy holds, and how to change it.

    Args:
        admin_socket: path of Caddy's admin socket.
        base: what ``caddy_base.base_config`` gives for this Caddy.
    """

    def __init__(self, admin_socket: str, *, base: Mapping[str, JsonValue]) -> None:
        self._client = AdminClient(admin_socket, name="Caddy")
        self._base = base

    def upkeep(self) -> tuple[str, ...]:
        """Put the base configuration back where it is gone or changed.

        Returns:
            One sentence per repair.

        Raises:
            TransientError: Caddy cannot be reached, or someone else changed it meanwhile.
            PermanentError: Caddy refuses the base configuration.
        """
        reply = self._client.call("GET", "/config/")
        config = reply.body
        if not isinstance(config, dict) or not config:
            self._must(
                self._client.call(
                    "POST", "/config/", dict(self._base), headers={"If-Match": reply.etag}
                )
            )
            return ("Caddy had lost its configuration; the base was loaded again",)
        return tuple(self._repairs(config))

    def _repairs(self, config: Mapping[str, JsonValue]) -> Iterator[str]:
        for section in ("admin", "logging"):
            if config.get(section) != self._base[section]:
                self._must(self._client.call("POST", f"/config/{section}", self._base[section]))
                yield f"Caddy's {section} section had been changed outside; it was put back"
        for section in config.keys() - {"admin", "logging", "apps"}:
            self._must(self._client.call("DELETE", f"/config/{section}"))
            yield f"Caddy's section {section} had been added outside; it was removed"
        apps = _mapping(config.get("apps"))
        http = _mapping(apps.get("http"))
        if "servers" not in http:
            # Also the way a null comes in: DELETE of all servers leaves the key out.
            self._must(self._client.call("POST", "/config/apps", {"http": {"servers": {}}}))
            yield "Caddy's HTTP servers were gone; they are filled again"
            return
        for path in (
            *(f"/config/apps/{app}" for app in apps.keys() - {"http"}),
            *(f"/config/apps/http/{key}" for key in http.keys() - {"servers"}),
        ):
            self._must(self._client.call("DELETE", path))
            yield f"Caddy's {path.removeprefix('/config/')} had been added outside; it was removed"

    def observe(self, footprint: Footprint) -> tuple[Resource, ...]:
        """The tenant's servers, and any other that listens on its virtual addresses.

        Raises:
            TransientError: Caddy cannot be reached.
        """
        reply = self._client.call("GET", _SERVERS)
        if not reply.is_ok:
            return ()  # Caddy knows no such path: it was emptied; upkeep repairs that.
        return tuple(
            sorted(
                Resource.of(CADDY_SERVER, name, _mapping(body))
                for name, body in _mapping(reply.body).items()
                if _belongs(name, _mapping(body), footprint)
            )
        )

    def apply(self, entry: PlanEntry) -> Outcome:
        """Do one changing entry; unreachable is an outcome too, so that others get their turn."""
        path = f"{_SERVERS}/{quote(entry.identity.name, safe='')}"
        try:
            if entry.action is PlanAction.DELETE:
                reply = self._client.call("DELETE", path)
                if reply.status == 404:
                    return _outcome(entry, OutcomeStatus.DONE, Reason.PROGRAMMED)
            else:
                body = entry.desired.body if entry.desired else {}
                reply = self._client.call("POST", path, body)
        except TransientError as error:
            return _outcome(entry, OutcomeStatus.FAILED, Reason.PROXY_UNREACHABLE, error.message)
        if reply.is_ok:
            return _outcome(entry, OutcomeStatus.DONE, Reason.PROGRAMMED)
        return _refusal(entry, reply)

    def _must(self, reply: Reply) -> None:
        if reply.status == 412:
            raise TransientError("Caddy was changed by someone else just now; it is tried again.")
        if not reply.is_ok:
            message = (
                f"Caddy refuses the base configuration: {reply.error}. "
                f"Restart it; if that does not help, its version does not fit."
            )
            raise PermanentError(message, code="proxy.base-refused")


def _belongs(name: str, body: Mapping[str, JsonValue], footprint: Footprint) -> bool:
    """An address has one owner: what listens on the tenant's is the tenant's, whatever its name."""
    if name.startswith(server_name(footprint.tenant, "")):
        return True
    listens = cast("Sequence[JsonValue]", body.get("listen") or ())
    return any(
        _covers(str(listen), address)
        for listen in listens
        for address in footprint.virtual_addresses
    )


def _covers(listen: str, address: str) -> bool:
    """True when a Caddy listen address (``[network/]host:port``) takes in ``address``."""
    host = listen.rpartition("/")[2].rpartition(":")[0].strip("[]")
    if listen.startswith("unix"):
        return False
    if host in ("", "*"):
        return True
    try:
        listening = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" and ipaddress.ip_address(address).is_loopback
    return listening.is_unspecified or listening == ipaddress.ip_address(address)


def _refusal(entry: PlanEntry, reply: Reply) -> Outcome:
    said = f"Caddy refuses {entry.identity.name}: {reply.error}"
    if "address already in use" in said or "listener address repeated" in said:
        return _outcome(entry, OutcomeStatus.FAILED, Reason.ADDRESS_IN_USE, said)
    if "cannot assign requested address" in said:
        said += ". The virtual address is not on this machine; add it to an interface."
        return _outcome(entry, OutcomeStatus.FAILED, Reason.REFUSED, said)
    return _outcome(entry, OutcomeStatus.REFUSED, Reason.REFUSED, said)


def _outcome(entry: PlanEntry, status: OutcomeStatus, reason: Reason, message: str = "") -> Outcome:
    return Outcome(entry.identity, entry.action, status, reason.value, message)


def _mapping(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}
