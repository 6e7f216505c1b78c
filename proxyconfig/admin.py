"""Django's admin for the front door: to read. Policies change by plans, and plans are history."""

from django.contrib import admin

from proxyconfig.models import ClusterAccess, Connection, IntentObject, Placement, Plan, Revision
from tenants.admin import ReadOnlyAdmin


@admin.register(IntentObject)
class IntentObjectAdmin(ReadOnlyAdmin[IntentObject]):
    """Policies and networks, as approved."""

    list_display = ("name", "collection", "tenant", "cluster", "updated_by", "updated_at")
    list_filter = ("collection",)
    list_select_related = ("tenant", "cluster")


@admin.register(Plan)
class PlanAdmin(ReadOnlyAdmin[Plan]):
    """Changes of intent, and who allowed them."""

    list_display = ("id", "tenant", "state", "author_name", "summary", "decided_by", "created_at")
    list_filter = ("state",)
    list_select_related = ("tenant",)


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin[Revision]):
    """What was current when."""

    list_display = ("tenant", "generation", "author_name", "reason", "created_at")
    list_select_related = ("tenant",)


@admin.register(Placement)
class PlacementAdmin(ReadOnlyAdmin[Placement]):
    """How far each proxy has come."""

    list_display = (
        "tenant",
        "cluster",
        "observed_generation",
        "sync_state",
        "health",
        "attempts",
        "lease_until",
    )
    list_filter = ("sync_state", "health")
    list_select_related = ("tenant", "cluster")


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin[Connection]):
    """The ledger."""

    list_display = (
        "opened_at",
        "tenant",
        "direction",
        "source_address",
        "destination_host",
        "destination_port",
        "verdict",
        "rule_id",
    )
    list_filter = ("direction", "verdict")
    list_select_related = ("tenant",)
    search_fields = ("trace_id", "destination_host", "rule_id")


@admin.register(ClusterAccess)
class ClusterAccessAdmin(ReadOnlyAdmin[ClusterAccess]):
    """How clusters are reached; never with what."""

    list_display = ("cluster", "method", "server", "version", "checked_at")
    list_select_related = ("cluster",)
    exclude = ("credential",)
