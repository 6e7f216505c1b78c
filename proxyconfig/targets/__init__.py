"""The kinds of proxy that Sluice can observe and change, by name.

Each entry makes a ``domain.target.Target`` from the settings of its own kind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from proxyconfig.domain.target import Cadence, Target
from proxyconfig.targets.kube import KubeTarget
from proxyconfig.targets.local import LocalTarget


@dataclass(frozen=True, slots=True)
class TargetKind:
    """One kind of proxy.

    Attributes:
        make: one proxy's target, from the settings of this kind.
        cadence: of every target that it makes; known without making one.
    """

    make: Callable[[Any], Target]  # Any: each kind has settings of its own type.
    cadence: Cadence


TARGETS: Mapping[str, TargetKind] = {
    "gateway": TargetKind(KubeTarget, KubeTarget.cadence),
    "local": TargetKind(LocalTarget, LocalTarget.cadence),
}
