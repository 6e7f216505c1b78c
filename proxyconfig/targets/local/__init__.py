"""The proxy of one machine: Caddy for ingress, an asyncio forward proxy for egress."""

from proxyconfig.targets.local.target import LocalSettings, LocalTarget

__all__ = ["LocalSettings", "LocalTarget"]
