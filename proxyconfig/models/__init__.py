"""Policies, plans, revisions, placements and the ledger of connections."""

from proxyconfig.models.change import Plan, Revision
from proxyconfig.models.connection import Connection
from proxyconfig.models.placement import Placement
from proxyconfig.models.policy import EgressPolicy, EgressRule, IngressPolicy, Listener, Protocol

__all__ = [
    "Connection",
    "EgressPolicy",
    "EgressRule",
    "IngressPolicy",
    "Listener",
    "Placement",
    "Plan",
    "Protocol",
    "Revision",
]
