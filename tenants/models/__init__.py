"""The ground's tables."""

from tenants.models.audit import AuditEntry, AuditSeal
from tenants.models.claim import (
    AddressClaim,
    NamespaceClaim,
    SubnetClaim,
    VlanClaim,
    VniClaim,
)
from tenants.models.grant import NamespaceGrant, PrefixGrant, VlanGrant, VniGrant
from tenants.models.member import Membership, User
from tenants.models.operation import Operation, OperationKind
from tenants.models.pool import AddressPool, Purpose, VlanRange, VniRange
from tenants.models.quota import Quota, QuotaUse
from tenants.models.scoped import platform_scope, tenant_scope, user_scope
from tenants.models.template import TenantTemplate
from tenants.models.tenant import Cluster, Flavour, Tenant
from tenants.models.token import ApiToken
from tenants.models.vrf import Vrf

__all__ = [
    "AddressClaim",
    "AddressPool",
    "ApiToken",
    "AuditEntry",
    "AuditSeal",
    "Cluster",
    "Flavour",
    "Membership",
    "NamespaceClaim",
    "NamespaceGrant",
    "Operation",
    "OperationKind",
    "PrefixGrant",
    "Purpose",
    "Quota",
    "QuotaUse",
    "SubnetClaim",
    "Tenant",
    "TenantTemplate",
    "User",
    "VlanClaim",
    "VlanGrant",
    "VlanRange",
    "VniClaim",
    "VniGrant",
    "VniRange",
    "Vrf",
    "platform_scope",
    "tenant_scope",
    "user_scope",
]
