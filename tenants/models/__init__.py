"""The ground's tables."""

from tenants.models.audit import AuditEntry, AuditSeal
from tenants.models.member import Membership, User
from tenants.models.operation import Operation, OperationKind
from tenants.models.quota import Quota, QuotaUse
from tenants.models.scoped import platform_scope, tenant_scope, user_scope
from tenants.models.segment import Segment, SegmentKind, SnatAddress, Subnet, VirtualAddress
from tenants.models.tenant import Cluster, Flavour, Namespace, Tenant
from tenants.models.token import ApiToken

__all__ = [
    "ApiToken",
    "AuditEntry",
    "AuditSeal",
    "Cluster",
    "Flavour",
    "Membership",
    "Namespace",
    "Operation",
    "OperationKind",
    "Quota",
    "QuotaUse",
    "Segment",
    "SegmentKind",
    "SnatAddress",
    "Subnet",
    "Tenant",
    "User",
    "VirtualAddress",
    "platform_scope",
    "tenant_scope",
    "user_scope",
]
