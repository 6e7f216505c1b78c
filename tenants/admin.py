"""Django's admin for operators: everything to read.

Rows come from the scope that ``AdminScopeMiddleware`` opened, so a tenant's staff see their tenant.
Whatever has a page, a plan or REST is written there: a second form would pass by its service.
"""

from typing import ClassVar, TypeVar, cast

import django.contrib.auth.admin  # noqa: F401  # It registers Group, which goes at the end.
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from tenants.domain.actor import Actor
from tenants.models import (
    AddressClaim,
    AddressPool,
    ApiToken,
    AuditEntry,
    AuditSeal,
    Cluster,
    Membership,
    NamespaceClaim,
    NamespaceGrant,
    Operation,
    PrefixGrant,
    Quota,
    QuotaUse,
    SubnetClaim,
    Tenant,
    TenantTemplate,
    User,
    VlanClaim,
    VlanGrant,
    VlanRange,
    VniClaim,
    VniGrant,
    VniRange,
    Vrf,
)
from tenants.services.tokens import revoke_token

Row = TypeVar("Row", bound=Model)


def acting(request: HttpRequest) -> Actor:
    """Who uses the admin, as services and the audit log know them."""
    user = cast("User", request.user)  # Only signed-in staff get past the admin's door.
    return Actor(
        name=user.get_username(),
        user_id=user.pk,
        platform_role=user.held_platform_role,
        trace_id=str(getattr(request, "trace_id", "")),
    )


class ReadOnlyAdmin(admin.ModelAdmin[Row]):
    """Staff read the rows that the open scope shows; nobody writes."""

    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Row-level security decides which rows, so all staff may look."""
        return bool(request.user.is_staff)

    def has_view_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """As above."""
        return bool(request.user.is_staff)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Never."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """As Django's, but what is not shown cannot be guessed by filters either."""
        is_hidden = lookup.partition("__")[0] in (self.exclude or ())
        return not is_hidden and super().lookup_allowed(lookup, value, request)


@admin.register(User)
class PersonAdmin(ReadOnlyAdmin[User]):
    """Accounts, for platform administrators, who change them on the page People."""

    # Without Django's groups and permissions: rights come from roles in tenants alone.
    fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "platform_role", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    exclude = ("password",)
    list_display = ("username", "email", "platform_role", "is_staff", "is_superuser")
    list_filter = ("is_active", "platform_role", "is_staff", "is_superuser")
    search_fields = ("username", "first_name", "last_name", "email")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Accounts belong to no tenant, so no tenant's staff sees them."""
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """As above."""
        return bool(request.user.is_superuser)


@admin.register(Cluster)
class ClusterAdmin(ReadOnlyAdmin[Cluster]):
    """Places whose proxies Sluice keeps."""

    list_display = ("name", "flavour", "created_at")


@admin.register(Tenant)
class TenantAdmin(ReadOnlyAdmin[Tenant]):
    """Tenants: how their plans are approved, and whether the proxy is kept."""

    list_display = (
        "slug",
        "name",
        "generation",
        "auto_apply",
        "is_paused",
        "is_suspended",
        "created_at",
    )
    list_filter = ("auto_apply", "is_paused", "is_suspended")
    search_fields = ("slug", "name")


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin[Membership]):
    """Who belongs to which tenant; given in the tenant's settings."""

    list_display = ("user", "tenant", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "tenant")


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin[ApiToken]):
    """API tokens, without their keys; platform administrators revoke them here."""

    list_display = ("name", "tenant", "user", "role", "key_hint", "expires_at", "revoked_at")
    list_select_related = ("tenant", "user")
    exclude = ("key_hash",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Platform administrators only; a tenant's NetOps revoke on its page."""
        return bool(request.user.is_superuser)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Refuse the chosen tokens from now on."""
        for token in queryset:
            revoke_token(token, actor=acting(request))


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin[Operation]):
    """Long-running work."""

    list_display = ("title", "tenant", "kind", "state", "attempts", "created_at", "ended_at")
    list_filter = ("state", "kind")
    list_select_related = ("tenant",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    """The audit log."""

    list_display = ("at", "tenant", "actor", "is_platform_staff", "event", "object_name", "reason")
    list_filter = ("is_platform_staff",)
    list_select_related = ("tenant",)
    search_fields = ("actor", "event", "object_name", "trace_id")


@admin.register(AuditSeal)
class AuditSealAdmin(ReadOnlyAdmin[AuditSeal]):
    """The audit log's chain of hashes."""

    list_display = ("sequence", "entry", "hash")
    list_select_related = ("entry",)


class NetworkAdmin(ReadOnlyAdmin[Row]):
    """A row of a tenant's network: intent, so it changes by plans."""

    list_select_related: ClassVar[tuple[str, ...]] = ("tenant", "cluster")


@admin.register(Vrf)
class VrfAdmin(ReadOnlyAdmin[Vrf]):
    """Routing tables."""

    list_display = ("name", "owner", "description")
    list_select_related = ("owner",)


@admin.register(AddressPool)
class AddressPoolAdmin(ReadOnlyAdmin[AddressPool]):
    """Prefixes that can be granted."""

    list_display = ("name", "vrf", "prefix", "purpose", "description")
    list_filter = ("purpose",)
    list_select_related = ("vrf",)


@admin.register(VlanRange)
class VlanRangeAdmin(ReadOnlyAdmin[VlanRange]):
    """VLAN tags that can be granted."""

    list_display = ("name", "cluster", "trunk", "first", "last")
    list_select_related = ("cluster",)


@admin.register(VniRange)
class VniRangeAdmin(ReadOnlyAdmin[VniRange]):
    """VNIs that can be granted."""

    list_display = ("name", "cluster", "first", "last")
    list_select_related = ("cluster",)


@admin.register(TenantTemplate)
class TenantTemplateAdmin(ReadOnlyAdmin[TenantTemplate]):
    """What new tenants are made from."""

    list_display = ("name", "description", "updated_at")


@admin.register(PrefixGrant)
class PrefixGrantAdmin(ReadOnlyAdmin[PrefixGrant]):
    """Prefixes that tenants may take from."""

    list_display = ("prefix", "purpose", "vrf", "pool", "tenant", "created_at")
    list_filter = ("purpose",)
    list_select_related = ("tenant", "vrf", "pool")


@admin.register(VlanGrant)
class VlanGrantAdmin(NetworkAdmin[VlanGrant]):
    """VLAN tags that tenants may take."""

    list_display = ("first", "last", "trunk", "cluster", "tenant", "created_at")


@admin.register(VniGrant)
class VniGrantAdmin(NetworkAdmin[VniGrant]):
    """VNIs that tenants may take."""

    list_display = ("first", "last", "cluster", "tenant", "created_at")


@admin.register(NamespaceGrant)
class NamespaceGrantAdmin(NetworkAdmin[NamespaceGrant]):
    """Namespaces that tenants may take."""

    list_display = ("pattern", "cluster", "tenant", "created_at")


@admin.register(NamespaceClaim)
class NamespaceClaimAdmin(NetworkAdmin[NamespaceClaim]):
    """Namespaces that tenants have."""

    list_display = ("name", "cluster", "tenant", "user", "plan_id")


@admin.register(VlanClaim)
class VlanClaimAdmin(NetworkAdmin[VlanClaim]):
    """VLAN tags that tenants have."""

    list_display = ("tag", "trunk", "cluster", "tenant", "user", "plan_id")


@admin.register(VniClaim)
class VniClaimAdmin(NetworkAdmin[VniClaim]):
    """VNIs that tenants have."""

    list_display = ("vni", "cluster", "tenant", "user", "plan_id")


@admin.register(SubnetClaim)
class SubnetClaimAdmin(NetworkAdmin[SubnetClaim]):
    """Subnets that tenants have, and those that are reserved."""

    list_display = ("prefix", "vrf", "cluster", "tenant", "user", "plan_id")
    list_select_related = ("tenant", "cluster", "vrf")


@admin.register(AddressClaim)
class AddressClaimAdmin(NetworkAdmin[AddressClaim]):
    """Addresses that tenants have, and those that are reserved."""

    list_display = ("address", "role", "vrf", "cluster", "tenant", "user", "plan_id")
    list_filter = ("role",)
    list_select_related = ("tenant", "cluster", "vrf")


# Rights come from roles in tenants; Django's groups would be a second, hidden way.
admin.site.unregister(Group)
admin.site.site_header = "Sluice operators"
admin.site.site_title = "Sluice"


@admin.register(Quota)
class QuotaAdmin(ReadOnlyAdmin[Quota]):
    """Limits that somebody set; the portal and REST change them."""

    list_display = ["resource", "tenant", "token", "limit", "changed_at"]
    list_filter = ["resource"]
    list_select_related = ["tenant", "token"]


@admin.register(QuotaUse)
class QuotaUseAdmin(ReadOnlyAdmin[QuotaUse]):
    """How much of each limit is used in each window."""

    list_display = ["resource", "tenant", "token", "window_start", "used"]
    list_filter = ["resource"]
    list_select_related = ["tenant", "token"]
