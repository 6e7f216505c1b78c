"""The people of every test: Alice and Bob of acme, Charlie of globex, Ada of the platform."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from django.test import Client

from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole, Role
from tenants.models import Cluster, Tenant, User, tenant_scope
from tenants.tests.factories import ClusterFactory, MembershipFactory, TenantFactory, UserFactory


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    user: User
    client: Client
    tenant: Tenant
    role: Role | None

    @property
    def actor(self) -> Actor:
        """As services know them."""
        return Actor(
            name=self.user.username,
            user_id=self.user.pk,
            role=self.role,
            platform_role=self.user.held_platform_role,
        )

    @contextmanager
    def acting(self) -> Iterator[Actor]:
        """Their tenant's scope, as a request opens it."""
        with tenant_scope(self.tenant.pk, user_id=self.user.pk):
            yield self.actor


def person(
    name: str,
    tenant: Tenant,
    role: Role | None,
    *,
    is_superuser: bool = False,
    platform_role: PlatformRole | None = None,
) -> Person:
    """Somebody new."""
    user = UserFactory(
        username=name,
        is_superuser=is_superuser,
        is_staff=is_superuser,
        platform_role=platform_role.value if platform_role else "",
    )
    if role is not None:
        MembershipFactory(tenant=tenant, user=user, role=role.value)
    client = Client()
    client.force_login(user)
    return Person(user, client, tenant, role)


@pytest.fixture
def cluster(db) -> Cluster:
    return ClusterFactory()


@pytest.fixture
def acme(db) -> Tenant:
    return TenantFactory(slug="acme")


@pytest.fixture
def globex(db) -> Tenant:
    return TenantFactory(slug="globex")


@pytest.fixture
def alice(acme) -> Person:
    """NetOps of acme."""
    return person("alice", acme, Role.NETOPS)


@pytest.fixture
def bob(acme) -> Person:
    """Reads acme."""
    return person("bob", acme, Role.READER)


@pytest.fixture
def charlie(globex) -> Person:
    """NetOps of globex: to acme a stranger."""
    return person("charlie", globex, Role.NETOPS)


@pytest.fixture
def ada(acme) -> Person:
    """A platform administrator, a member of no tenant."""
    return person("ada", acme, None, is_superuser=True)
