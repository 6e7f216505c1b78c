"""The egress half of the local proxy, seen from outside: a client of its admin API.

The process itself is ``egress_server``; it starts empty, which denies all, until this fills it.
"""

from proxyconfig.domain.compilers.local import EGRESS_TENANT
from proxyconfig.domain.conditions import Reason
from proxyconfig.domain.plan import PlanAction, PlanEntry
from proxyconfig.domain.resources import Resource
from proxyconfig.domain.target import Footprint, Outcome, OutcomeStatus
from proxyconfig.targets.local.admin_client import AdminClient
from tenants.errors import PermanentError, TransientError


class Egress:
    """What the egress proxy holds, and how to change it.

    Args:
        admin_socket: path of the egress proxy's admin socket.
    """

    def __init__(self, admin_socket: str) -> None:
        self._client = AdminClient(admin_socket, name="The egress proxy")

    def observe(self, footprint: Footprint) -> tuple[Resource, ...]:
        """The tenant's entry, if there is one.

        Raises:
            TransientError: the proxy cannot be reached.
            PermanentError: something else answers on its socket.
        """
        reply = self._client.call("GET", f"/tenants/{footprint.tenant}")
        if reply.status == 404:
            return ()
        if not reply.is_ok or not isinstance(reply.body, dict):
            message = f"The egress proxy's admin socket answers strangely: {reply.error}."
            raise PermanentError(message, code="proxy.strange")
        return (Resource.of(EGRESS_TENANT, footprint.tenant, reply.body),)

    def apply(self, entry: PlanEntry) -> Outcome:
        """Do one changing entry; tunnels that it no longer allows are cut before it returns."""
        path = f"/tenants/{entry.identity.name}"
        status, reason, message = OutcomeStatus.DONE, Reason.PROGRAMMED, ""
        try:
            if entry.action is PlanAction.DELETE:
                reply = self._client.call("DELETE", path)
            else:
                reply = self._client.call("PUT", path, entry.desired.body if entry.desired else {})
        except TransientError as error:
            status, reason = OutcomeStatus.FAILED, Reason.PROXY_UNREACHABLE
            message = error.message
        else:
            if not reply.is_ok and reply.status != 404:
                status, reason = OutcomeStatus.REFUSED, Reason.REFUSED
                message = f"The egress proxy refuses {entry.identity.name}: {reply.error}"
        return Outcome(entry.identity, entry.action, status, reason.value, message)
