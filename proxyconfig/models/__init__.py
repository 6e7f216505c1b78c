"""The objects of intents, plans, revisions, placements and the ledger of connections."""

from proxyconfig.models.access import ClusterAccess
from proxyconfig.models.change import Plan, Revision
from proxyconfig.models.connection import Connection
from proxyconfig.models.object import IntentObject
from proxyconfig.models.placement import Placement

__all__ = ["ClusterAccess", "Connection", "IntentObject", "Placement", "Plan", "Revision"]
