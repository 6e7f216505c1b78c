"""Fixtures of the agent's tests."""

from tenants.tests.broker import broker
from tenants.tests.people import acme, ada, alice, bob, charlie, cluster, globex

__all__ = ["acme", "ada", "alice", "bob", "broker", "charlie", "cluster", "globex"]
