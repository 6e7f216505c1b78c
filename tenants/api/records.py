"""What happened and what is going on: operations and the audit log."""

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api import filters
from tenants.api.serializers import AuditEntrySerializer, OperationSerializer
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action
from tenants.domain.states import OperationState
from tenants.models.audit import AuditEntry
from tenants.models.operation import Operation, OperationKind
from tenants.services.operations import request_cancel


class OperationViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Operation]):
    """Long-running work: applies, imports, training runs and evaluations."""

    serializer_class = OperationSerializer
    # The service asks for the right that the operation's kind needs.
    rights = {"cancel": Action.VIEW}
    filters = {
        "kind": filters.choice("kind", OperationKind.values),
        "state": filters.choice("state", [state.value for state in OperationState]),
    }

    def rows(self) -> QuerySet[Operation]:
        """The tenant's operations."""
        return Operation.objects.all()

    @extend_schema(request=None, responses={202: OperationSerializer})
    def cancel(self, request: Request, tenant: str, pk: int) -> Response:
        """Ask for the cancel; a running worker stops at its next report."""
        operation = request_cancel(self.get_object(), actor=self.actor)
        location = reverse("tenants-api:operation-detail", args=[tenant, pk])
        body = OperationSerializer(operation).data
        return Response(body, status=202, headers={"Location": location})


class AuditViewSet(ListModelMixin, TenantViewSet[AuditEntry]):
    """The tenant's audit log."""

    serializer_class = AuditEntrySerializer
    filters = {
        "actor": filters.text("actor"),
        "at__gte": filters.moment("at__gte"),
        "at__lt": filters.moment("at__lt"),
        "event": filters.text("event"),
        "trace_id": filters.text("trace_id"),
    }

    def rows(self) -> QuerySet[AuditEntry]:
        """The tenant's entries."""
        return AuditEntry.objects.all()
