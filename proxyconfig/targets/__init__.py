"""The kinds of proxy that Sluice can observe and change, by name.

Each entry makes a ``domain.target.Target`` from the settings of its own kind.
"""

from collections.abc import Callable, Mapping

from proxyconfig.domain.target import Target
from proxyconfig.targets.local import LocalSettings, LocalTarget

TARGETS: Mapping[str, Callable[[LocalSettings], Target]] = {"local": LocalTarget}
