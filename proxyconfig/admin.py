"""Django's admin for the front door: to read. Policies change by plans, and plans are history."""

from django.contrib import admin

from proxyconfig.models import (
    Connection,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Listener,
    Placement,
    Plan,
    Revision,
)
from tenants.admin import ReadOnlyAdmin


@admin.register(Listener)
class ListenerAdmin(ReadOnlyAdmin[Listener]):
    """Virtual address, port and protocol."""

    list_display = ("virtual_address", "port", "protocol", "tenant")
    list_select_related = ("virtual_address", "tenant")


@admin.register(IngressPolicy)
class IngressPolicyAdmin(ReadOnlyAdmin[IngressPolicy]):
    """What may come in."""

    list_display = ("name", "tenant", "listener", "namespace", "service", "is_enabled")
    list_filter = ("is_enabled",)
    list_select_related = ("tenant", "listener__virtual_address", "namespace")


@admin.register(EgressPolicy)
class EgressPolicyAdmin(ReadOnlyAdmin[EgressPolicy]):
    """What may go out."""

    list_display = ("name", "tenant", "is_enabled", "updated_at")
    list_filter = ("is_enabled",)
    list_select_related = ("tenant",)


@admin.register(EgressRule)
class EgressRuleAdmin(ReadOnlyAdmin[EgressRule]):
    """Destinations, in the order in which the proxy reads them."""

    list_display = ("policy", "order", "host", "network", "ports", "granted_by", "tenant")
    list_select_related = ("policy", "granted_by", "tenant")


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
