"""The right to work on one placement: one worker at a time, for as long as it is alive.

A claim gives a token that each renewal and the write that ends the work name again, so a worker
that lost its lease writes nothing. While a proxy is spoken to, a ``Keeper`` renews it.
"""

import logging
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from proxyconfig.models import Placement
from proxyconfig.services import environment
from tenants import locks
from tenants.errors import ConflictError
from tenants.locks import Level
from tenants.models.scoped import platform_scope

logger = logging.getLogger(__name__)


class LeaseLostError(ConflictError):
    """Another worker has the placement by now: stop, and write nothing."""

    default_code = "lease-lost"


@dataclass(frozen=True, slots=True)
class Lease:
    """One worker's right to one placement.

    Attributes:
        placement: as it was when it was claimed, with tenant and cluster.
        term: until it runs out, counted from the claim or the last renewal.
    """

    placement: Placement
    token: uuid.UUID
    term: timedelta


def claim(placement_id: int) -> Lease | None:
    """Take the lease; None when another worker has it or the placement is gone.

    Two statements, in the caller's platform scope; end that before any work begins.
    """
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    wanted = Placement.objects.select_related("tenant", "cluster").filter(free, pk=placement_id)
    locked = locks.rows(Level.PLACEMENT, wanted, skip_locked=True)
    if not locked:
        return None
    (placement,) = locked
    seconds = environment.cadence_of(placement.cluster.flavour).lease_seconds
    lease = Lease(placement, uuid.uuid4(), timedelta(seconds=seconds))
    Placement.objects.filter(pk=placement_id).update(
        lease_token=lease.token, lease_until=now + lease.term
    )
    return lease


def held(lease: Lease) -> QuerySet[Placement]:
    """The placement, as long as the lease holds; inside the caller's scope."""
    return Placement.objects.filter(pk=lease.placement.pk, lease_token=lease.token)


def write(lease: Lease, values: Mapping[str, object]) -> None:
    """Change the placement as the holder of its lease, in the caller's scope.

    Raises:
        LeaseLostError: another worker has it by now; nothing was written.
    """
    if not held(lease).update(**values):
        raise _lost(lease)


def renew(lease: Lease) -> None:
    """The heartbeat: hold the lease for another while, in the caller's scope.

    Raises:
        LeaseLostError: another worker has it by now.
    """
    write(lease, {"lease_until": timezone.now() + lease.term})


class Keeper:
    """Renews a lease in the background while its holder waits for a proxy.

    A thread with a database connection of its own, which it opens at the first renewal: after a
    third of the lease, so that quick work needs none.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._has_ended = threading.Event()
        self._is_lost = False
        self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._has_ended.set()
        self._thread.join()

    def check(self) -> None:
        """Call this between calls to the proxy.

        Raises:
            LeaseLostError: another worker has the placement by now.
        """
        if self._is_lost:
            raise _lost(self._lease)

    def _keep(self) -> None:
        try:
            while not self._has_ended.wait(self._lease.term.total_seconds() / 3):
                self._renew()
                if self._is_lost:
                    return
        finally:
            connection.close()  # Each thread has its own.

    def _renew(self) -> None:
        try:
            with platform_scope("lease keeper"):
                renew(self._lease)
        except LeaseLostError:
            self._is_lost = True
        except DatabaseError as error:
            # The next renewal may work; if none does, the write that ends the work is refused.
            logger.warning("The lease of %s was not renewed: %s", self._lease.placement, error)


def _lost(lease: Lease) -> LeaseLostError:
    return LeaseLostError(
        f"{lease.placement} is no longer this worker's: its lease ran out and another one took it,"
        " or it is gone. Nothing was written."
    )
