"""Rows for tests, without surprises: each opens the platform's scope only to be written."""

from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from tenants.domain.quota import Resource, window_start
from tenants.domain.roles import Role
from tenants.models import (
    ApiToken,
    AuditEntry,
    Cluster,
    Membership,
    Namespace,
    Operation,
    OperationKind,
    Quota,
    QuotaUse,
    Segment,
    SnatAddress,
    Subnet,
    Tenant,
    User,
    VirtualAddress,
    platform_scope,
)
from tenants.models.token import hash_key


class ScopedFactory(DjangoModelFactory):
    """Base of every factory of tenant-owned rows."""

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class: type[Any], *args: Any, **kwargs: Any) -> Any:
        with platform_scope("test"):
            return super()._create(model_class, *args, **kwargs)


class ClusterFactory(DjangoModelFactory):
    class Meta:
        model = Cluster
        django_get_or_create = ("name",)

    name = "local"


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"user-{n}")


class TenantFactory(ScopedFactory):
    class Meta:
        model = Tenant

    slug = factory.Sequence(lambda n: f"tenant-{n}")
    name = factory.LazyAttribute(lambda row: row.slug.title())


class MembershipFactory(ScopedFactory):
    class Meta:
        model = Membership

    tenant = factory.SubFactory(TenantFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.NETOPS.value


class NamespaceFactory(ScopedFactory):
    class Meta:
        model = Namespace

    tenant = factory.SubFactory(TenantFactory)
    cluster = factory.SubFactory(ClusterFactory)
    name = factory.Sequence(lambda n: f"namespace-{n}")


class SegmentFactory(ScopedFactory):
    class Meta:
        model = Segment

    tenant = factory.SubFactory(TenantFactory)
    cluster = factory.SubFactory(ClusterFactory)
    name = factory.Sequence(lambda n: f"segment-{n}")
    vlan_tag = factory.Sequence(lambda n: 1000 + n)


class SubnetFactory(ScopedFactory):
    class Meta:
        model = Subnet

    segment = factory.SubFactory(SegmentFactory)
    tenant = factory.SelfAttribute("segment.tenant")
    cluster = factory.SelfAttribute("segment.cluster")
    prefix = factory.Sequence(lambda n: f"10.{n // 256}.{n % 256}.0/24")


class VirtualAddressFactory(ScopedFactory):
    class Meta:
        model = VirtualAddress

    tenant = factory.SubFactory(TenantFactory)
    cluster = factory.SubFactory(ClusterFactory)
    address = factory.Sequence(lambda n: f"127.10.{n // 250}.{n % 250 + 1}")


class SnatAddressFactory(ScopedFactory):
    class Meta:
        model = SnatAddress

    tenant = factory.SubFactory(TenantFactory)
    cluster = factory.SubFactory(ClusterFactory)
    address = factory.Sequence(lambda n: f"127.20.{n // 250}.{n % 250 + 1}")


class OperationFactory(ScopedFactory):
    class Meta:
        model = Operation

    tenant = factory.SubFactory(TenantFactory)
    kind = OperationKind.TRAIN
    title = factory.Sequence(lambda n: f"Train corpus {n}")
    target_id = factory.Sequence(lambda n: n)


class AuditEntryFactory(ScopedFactory):
    class Meta:
        model = AuditEntry

    tenant = factory.SubFactory(TenantFactory)
    at = factory.LazyFunction(timezone.now)
    actor = "alice"
    event = "segment.created"


class ApiTokenFactory(ScopedFactory):
    """``key`` is not stored; give it to know the secret."""

    class Meta:
        model = ApiToken

    class Params:
        key = "slc_known-to-the-test"

    tenant = factory.SubFactory(TenantFactory)
    user = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda n: f"token-{n}")
    role = Role.NETOPS.value
    key_hash = factory.LazyAttribute(lambda row: hash_key(row.key))
    key_hint = factory.LazyAttribute(lambda row: row.key[:12])


class QuotaFactory(ScopedFactory):
    class Meta:
        model = Quota

    tenant = factory.SubFactory(TenantFactory)
    resource = Resource.REQUESTS_PER_DAY.value
    limit = 1000


class QuotaUseFactory(ScopedFactory):
    class Meta:
        model = QuotaUse

    tenant = factory.SubFactory(TenantFactory)
    resource = Resource.REQUESTS_PER_DAY.value
    window_start = factory.LazyFunction(
        lambda: window_start(Resource.REQUESTS_PER_DAY, timezone.now())
    )
    used = 1
