"""The flavours of proxy that an intent can be compiled for, by name.

A compiler is pure: same intent and environment, same resources, byte for byte.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from proxyconfig.domain.compilers import gateway, local
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.resources import Resource


@dataclass(frozen=True, slots=True)
class Compiler:
    """One flavour.

    Attributes:
        compile: ``compile(intent, environment=...)`` gives what the proxy should hold, sorted.
        unsupported: complaints about what this flavour cannot do, for the moment of editing.
        environment: type of the facts about the cluster that compile needs beside the intent.
    """

    compile: Callable[..., tuple[Resource, ...]]
    unsupported: Callable[[Intent], list[Problem]]
    environment: type[Any]


COMPILERS: Mapping[str, Compiler] = {
    "gateway": Compiler(gateway.compile, gateway.unsupported, gateway.GatewayEnvironment),
    "local": Compiler(local.compile, local.unsupported, local.LocalEnvironment),
}
