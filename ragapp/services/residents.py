"""The generators that are in memory: few at once, and none goes while somebody uses it.

Whoever asks gets a lease, which is an engine itself. A generator whose last lease is gone may be
unloaded when room is needed for another; the one that was asked for longest ago goes first.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakSet

from ragapp.domain.engine import Engine
from ragapp.services.borrowed import Borrowed
from tenants.errors import TransientError


class Lease(Borrowed):
    """An engine that stays loaded for as long as this is referred to."""


@dataclass(slots=True)
class _Resident:
    lock: threading.Lock = field(default_factory=threading.Lock)
    leases: WeakSet[Lease] = field(default_factory=WeakSet)
    engine: Engine | None = None
    asking: int = 0


class Residents:
    """Engines by name, at most ``most`` of them."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._by_name: OrderedDict[str, _Resident] = OrderedDict()

    @property
    def names(self) -> list[str]:
        """What is loaded, what was asked for longest ago first."""
        with self._lock:
            return [name for name, resident in self._by_name.items() if resident.engine]

    def lease(self, name: str, load: Callable[[], Engine]) -> Lease:
        """The engine of this name, loaded if it is not, and anew if it has died.

        Raises:
            TransientError: there is no room, since all that are loaded are in use.
        """
        resident = self._enter(name)
        try:
            with resident.lock:
                if resident.engine is not None and not resident.engine.is_alive:
                    dead, resident.engine = resident.engine, None
                    dead.close()
                if resident.engine is None:
                    resident.engine = load()
                lease = Lease(resident.engine)
                resident.leases.add(lease)
                return lease
        finally:
            self._leave(name, resident)

    def close(self) -> None:
        """Stop all engines; whoever waits for one gets a TransientError."""
        with self._lock:
            residents = list(self._by_name.values())
            self._by_name.clear()
        for resident in residents:
            if resident.engine is not None:
                resident.engine.close()

    def _enter(self, name: str) -> _Resident:
        with self._lock:
            if name not in self._by_name:
                self._make_room()
                self._by_name[name] = _Resident()
            self._by_name.move_to_end(name)
            resident = self._by_name[name]
            resident.asking += 1
            return resident

    def _leave(self, name: str, resident: _Resident) -> None:
        with self._lock:
            resident.asking -= 1
            if resident.engine is None and not resident.asking:
                self._by_name.pop(name, None)

    def _make_room(self) -> None:
        while len(self._by_name) >= max(self._most(), 1):
            idle = (
                name
                for name, resident in self._by_name.items()
                if not resident.asking and not resident.leases
            )
            name = next(idle, None)
            if name is None:
                raise TransientError(
                    f"{len(self._by_name)} models are loaded and in use, and there is room for no"
                    " more. Try again, or ask an operator for a higher SLUICE_RESIDENT_MODELS.",
                    code="engine-busy",
                    retry_after_seconds=10.0,
                )
            engine = self._by_name.pop(name).engine
            if engine is not None:
                engine.close()
