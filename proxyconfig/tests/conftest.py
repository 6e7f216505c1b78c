"""Fixtures of the front door's tests."""

import pytest

from proxyconfig.tests.targets.conftest import caddy
from tenants.models import Namespace, SnatAddress, VirtualAddress
from tenants.tests.broker import broker
from tenants.tests.factories import (
    NamespaceFactory,
    SegmentFactory,
    SnatAddressFactory,
    SubnetFactory,
    VirtualAddressFactory,
)
from tenants.tests.people import acme, ada, alice, bob, charlie, cluster, globex

__all__ = ["acme", "ada", "alice", "bob", "broker", "caddy", "charlie", "cluster", "globex"]

ADDRESS = "127.110.1.1"
SNAT_ADDRESS = "127.120.1.1"


@pytest.fixture
def network(acme, cluster) -> tuple[Namespace, VirtualAddress, SnatAddress]:
    """What acme holds before any policy: one of each."""
    segment = SegmentFactory(tenant=acme, cluster=cluster, name="front", vlan_tag=101)
    SubnetFactory(segment=segment, prefix="10.101.0.0/24", gateway="10.101.0.1")
    return (
        NamespaceFactory(tenant=acme, cluster=cluster, name="acme-rag"),
        VirtualAddressFactory(tenant=acme, cluster=cluster, address=ADDRESS),
        SnatAddressFactory(tenant=acme, cluster=cluster, address=SNAT_ADDRESS),
    )
