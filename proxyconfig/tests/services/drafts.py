"""Drafts that a test changes by a field or two."""

from typing import Any

from proxyconfig.services.policies import EgressDraft, IngressDraft, RuleDraft
from proxyconfig.tests.conftest import ADDRESS

PRIVATE = "127.130.0.10/32"


def ingress(**fields: Any) -> IngressDraft:
    """HTTP on acme's address."""
    values = {"name": "web", "virtual_address": ADDRESS, "port": 8080, "namespace": "acme-rag"}
    return IngressDraft(**{**values, **fields})


def egress(*rules: RuleDraft, **fields: Any) -> EgressDraft:
    """Out to one public host, unless rules are given."""
    return EgressDraft(
        **{"name": "docs", "rules": rules or (RuleDraft(host="docs.example.org"),), **fields}
    )


def private(**fields: Any) -> RuleDraft:
    """A rule into a loopback network."""
    return RuleDraft(**{"network": PRIVATE, "ports": (8081,), **fields})
