"""Django's admin for operators: everything to read, and only what has no plan of its own to write.

Rows come from the scope that ``AdminScopeMiddleware`` opened, so a tenant's staff see their tenant.
Intent is read-only here: it changes by plans, in the portal or by REST.
"""

from http import HTTPStatus
from typing import Any, ClassVar, TypeVar, cast

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from tenants import audit
from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole, Role
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
from tenants.services.people import revoke_unearned_tokens
from tenants.services.tenants import add_member, remove_member
from tenants.services.tokens import revoke_token

Row = TypeVar("Row", bound=Model)
AnyForm = ModelForm[Any]  # Any: one form class serves each model.


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


class PlatformAdmin(ReadOnlyAdmin[Row]):
    """Platform administrators add and change; each write is audited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Platform administrators only."""
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Platform administrators only."""
        return bool(request.user.is_superuser)

    def save_model(self, request: HttpRequest, obj: Row, form: AnyForm, change: bool) -> None:
        """Save, and say so in the audit log."""
        super().save_model(request, obj, form, change)
        noun = str(obj._meta.model_name)
        event = f"{noun}.changed" if change else f"{noun}.created"
        audit.record(acting(request), event, obj, detail={"fields": form.changed_data})


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    """Accounts: platform administrators only."""

    # Without Django's groups and permissions: rights come from roles in tenants alone.
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "platform_role", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    list_display = ("username", "email", "platform_role", "is_staff", "is_superuser")
    list_filter = ("is_active", "platform_role", "is_staff", "is_superuser")

    def save_model(self, request: HttpRequest, obj: User, form: AnyForm, change: bool) -> None:
        """Save, and say so in the audit log; never what a password is."""
        super().save_model(request, obj, form, change)
        event = "user.changed" if change else "user.created"
        audit.record(acting(request), event, obj, detail={"fields": form.changed_data})
        is_changed = {"is_superuser", "platform_role"} & set(form.changed_data)
        if is_changed and obj.held_platform_role is not PlatformRole.ADMIN:
            revoke_unearned_tokens(obj, actor=acting(request))

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Say so in the audit log first, and delete."""
        audit.record(acting(request), "user.deleted", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """One by one, as each is audited."""
        for user in queryset:
            self.delete_model(request, user)

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Django's page; a password that was set is put on record."""
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
            audit.record(acting(request), "user.password-changed", User.objects.get(pk=id))
        return response

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Accounts belong to no tenant, so no tenant's staff sees them."""
        return bool(request.user.is_superuser)


@admin.register(Cluster)
class ClusterAdmin(PlatformAdmin[Cluster]):
    """Places whose proxies Sluice keeps."""

    list_display = ("name", "flavour", "created_at")


@admin.register(Tenant)
class TenantAdmin(PlatformAdmin[Tenant]):
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
    readonly_fields = ("generation", "created_at")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Tenant | None = None
    ) -> tuple[str, ...]:
        """A tenant's name in the URL stays: resources on the proxy are named for it."""
        return ("slug", "generation", "created_at") if obj else ("generation", "created_at")


@admin.register(Membership)
class MembershipAdmin(PlatformAdmin[Membership]):
    """Who belongs to which tenant; written by the same service as elsewhere."""

    list_display = ("user", "tenant", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "tenant")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Membership | None = None
    ) -> tuple[str, ...]:
        """Another person or tenant is another membership."""
        return ("tenant", "user") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        """Platform administrators only."""
        return bool(request.user.is_superuser)

    def save_model(
        self, request: HttpRequest, obj: Membership, form: AnyForm, change: bool
    ) -> None:
        """Give the role; the service audits it."""
        saved = add_member(obj.tenant, obj.user, Role(obj.role), actor=acting(request))
        obj.pk = saved.pk

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        """Take the user out of the tenant, and revoke their tokens."""
        remove_member(obj, actor=acting(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        """One by one, as each is audited."""
        for membership in queryset.select_related("tenant", "user"):
            remove_member(membership, actor=acting(request))


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin[ApiToken]):
    """API tokens, without their keys; platform administrators revoke them here."""

    list_display = ("name", "tenant", "user", "role", "key_hint", "expires_at", "revoked_at")
    list_select_related = ("tenant", "user")
    exclude = ("key_hash",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Platform administrators only; nobody else is offered the action."""
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
