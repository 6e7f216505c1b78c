"""Fixtures of the front door's tests."""

import pytest

from proxyconfig.domain.intent import (
    Intent,
    Namespace,
    Segment,
    SnatPool,
    Subnet,
    VirtualAddress,
    VlanLink,
)
from proxyconfig.services.rows import build_intent
from proxyconfig.tests.holding import publish
from proxyconfig.tests.targets.conftest import caddy
from tenants.models import tenant_scope
from tenants.tests.broker import broker
from tenants.tests.people import acme, ada, alice, bob, charlie, cluster, globex

__all__ = ["acme", "ada", "alice", "bob", "broker", "caddy", "charlie", "cluster", "globex"]

ADDRESS = "127.110.1.1"
SNAT_ADDRESS = "127.120.1.1"


@pytest.fixture
def network(acme, cluster) -> Intent:
    """What acme has before any policy: one of each, as its first revision."""
    where = cluster.name
    publish(
        acme,
        Segment(
            name="front",
            cluster=where,
            vlan=VlanLink(interface="1.1", tag=101),
            subnets=(Subnet(cidr="10.101.0.0/24", gateway="10.101.0.1"),),
        ),
        Namespace(name="acme-rag", cluster=where),
        VirtualAddress(address=ADDRESS, cluster=where),
        SnatPool(name="default", cluster=where, addresses=(SNAT_ADDRESS,)),
    )
    with tenant_scope(acme.pk):
        return build_intent(acme)
