"""Small intents by hand, for tests that are about one policy."""

from datetime import UTC, datetime

from proxyconfig.domain.intent import (
    AddressList,
    Backend,
    EgressPolicy,
    EgressRule,
    Grant,
    IngressPolicy,
    Intent,
    Listener,
    PortRange,
)

EMPTY = Intent(tenant="acme")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GRANT = Grant(by="ada@example.org", at=NOW)
# The internet without 10/8 and 127/8, one network at a time.
EIGHTS = tuple(f"{first}.0.0.0/8" for first in range(1, 224) if first not in (10, 127))


def ingress(
    *sources: tuple[str, ...], port: int = 80, address: str = "127.10.1.1", **fields: object
) -> Intent:
    """A listener, and an enforced policy on it for each tuple of sources."""
    backend = Backend(namespace="n", service="s", port=80)
    return Intent(
        tenant="acme",
        listeners=(Listener(name="l", cluster="local", virtual_address=address, port=port),),
        ingress_policies=tuple(
            IngressPolicy(
                **{
                    "name": f"p{place}",
                    "listener": "l",
                    "backend": backend,
                    "hostnames": (f"h{place}.example",),
                    "sources": texts,
                }
                | fields
            )
            for place, texts in enumerate(sources)
        ),
    )


def rule(order: int = 1, **fields: object) -> EgressRule:
    """A rule on port 443."""
    return EgressRule(**{"order": order, "ports": (PortRange.single(443),)} | fields)


def egress(*rules: EgressRule, **fields: object) -> Intent:
    """One policy with these rules, numbered anew."""
    numbered = tuple(
        EgressRule(**{name: getattr(one, name) for name in EgressRule.__slots__} | {"order": place})
        for place, one in enumerate(rules, start=1)
    )
    return Intent(
        tenant="acme",
        egress_policies=(EgressPolicy(**{"name": "docs", "rules": numbered} | fields),),
    )


def listed(name: str, *texts: str) -> tuple[AddressList, ...]:
    """One address list."""
    return (AddressList(name=name, addresses=texts),)
