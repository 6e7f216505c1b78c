"""Usage and limits by REST: the ledger, its sums, and what may be used."""

from datetime import date, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.models import UsageEntry
from ragapp.services import ledger, limits
from tenants.api import filters
from tenants.api.strict import StrictSerializer
from tenants.api.views import TenantViewSet
from tenants.domain.quota import Resource, Standing
from tenants.domain.roles import Action
from tenants.errors import InvalidError, NotVisibleError
from tenants.models.token import ApiToken
from tenants.services import quotas

MOST_DAYS = 366
_PERIOD = [
    OpenApiParameter("first", OpenApiTypes.DATE, description="First day, UTC; 29 days before last"),
    OpenApiParameter("last", OpenApiTypes.DATE, description="Last day, UTC; today if left out"),
]


class UsageEntrySerializer(serializers.ModelSerializer[UsageEntry]):
    """A line of the ledger."""

    class Meta:
        """Fields."""

        model = UsageEntry
        fields = [
            "at",
            "day",
            "kind",
            "trace_id",
            "attempt",
            "model",
            "corpus",
            "used_by",
            "requests",
            "tokens_in",
            "tokens_out",
            "tokens_by_purpose",
            "milliseconds",
            "ended_as",
        ]


class SumsSerializer(serializers.Serializer[ledger.Sums]):
    """Amounts under one word."""

    word = serializers.CharField(help_text="The day, model, corpus or user; empty for the total.")
    requests = serializers.IntegerField()
    tokens_in = serializers.IntegerField()
    tokens_out = serializers.IntegerField()
    milliseconds = serializers.IntegerField()


class UsageSerializer(serializers.Serializer[Any]):  # Any: several sums, not a row.
    """What was used in a period."""

    first = serializers.DateField()
    last = serializers.DateField()
    total = SumsSerializer()
    by_day = SumsSerializer(many=True)
    by_model = SumsSerializer(many=True)
    by_corpus = SumsSerializer(many=True)
    by_user = SumsSerializer(many=True)


class StandingSerializer(serializers.Serializer[Standing]):
    """How the tenant, or a token, stands with one resource."""

    resource = serializers.CharField()
    used = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True)
    remaining = serializers.IntegerField(allow_null=True)
    is_default = serializers.BooleanField()
    resets_at = serializers.DateTimeField(allow_null=True)


class LimitSerializer(StrictSerializer):
    """A limit to set."""

    limit = serializers.IntegerField(
        allow_null=True, min_value=0, max_value=quotas.MOST, help_text="null: no limit."
    )


class UsageViewSet(ListModelMixin, TenantViewSet[UsageEntry]):
    """The tenant's ledger, newest first."""

    serializer_class = UsageEntrySerializer
    filters = {
        "day": filters.day("day", "One day, as 2026-11-24."),
        "model": filters.text("model"),
        "trace_id": filters.text("trace_id"),
        "used_by": filters.text("used_by"),
    }
    query_names = {
        "list": ("limit", "cursor"),
        "sums": ("first", "last"),
        "export": ("first", "last"),
    }

    def rows(self) -> QuerySet[UsageEntry]:
        """The tenant's entries."""
        return UsageEntry.objects.all()

    @extend_schema(parameters=_PERIOD, responses={200: UsageSerializer})
    def sums(self, request: Request, tenant: str) -> Response:
        """Sums by day, model, corpus and user; they equal those of the ledger."""
        first, last = _period(request)
        found = {
            "first": first,
            "last": last,
            "total": ledger.totals(first, last),
            "by_day": ledger.by("day", first, last),
            "by_model": ledger.by("model", first, last),
            "by_corpus": ledger.by("corpus", first, last),
            "by_user": ledger.by("used_by", first, last),
        }
        return Response(UsageSerializer(found).data)

    @extend_schema(
        parameters=_PERIOD,
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "The daily sums.")},
    )
    def export(self, request: Request, tenant: str) -> HttpResponse:
        """The daily sums as CSV."""
        first, last = _period(request)
        response = HttpResponse(content_type="text/csv; charset=utf-8")
        ledger.write_csv(response, first, last)
        return response


class QuotaViewSet(TenantViewSet[ApiToken]):
    """Limits of the tenant, and of one of its API tokens where the path names one."""

    # The service says whose right it is.
    write_action = Action.VIEW

    def rows(self) -> QuerySet[ApiToken]:
        """The tenant's tokens."""
        return ApiToken.objects.all()

    @extend_schema(responses={200: StandingSerializer(many=True)})
    def standings(self, request: Request, tenant: str, pk: int | None = None) -> Response:
        """Each resource with what is used of it."""
        token = None if pk is None else self.get_object()
        found = quotas.standings(
            self.tenant.pk,
            token_id=token.pk if token else None,
            held=limits.held(self.tenant.pk),
        )
        body = StandingSerializer(found, many=True)  # type: ignore[arg-type]  # the stubs: one
        return Response(body.data)

    @extend_schema(request=LimitSerializer, responses={204: None})
    def update(
        self, request: Request, tenant: str, resource: str, pk: int | None = None
    ) -> Response:
        """Set a limit: the platform's administrators a tenant's, NetOps a token's."""
        token = None if pk is None else self.get_object()
        quotas.check_right(self.actor, token)
        values = self.read_body(LimitSerializer)
        quotas.set_limit(
            self.tenant, _resource(resource), values["limit"], actor=self.actor, token=token
        )
        return Response(status=204)

    @extend_schema(responses={204: None})
    def destroy(
        self, request: Request, tenant: str, resource: str, pk: int | None = None
    ) -> Response:
        """Go back to the default."""
        token = None if pk is None else self.get_object()
        quotas.clear_limit(self.tenant, _resource(resource), actor=self.actor, token=token)
        return Response(status=204)


def _resource(name: str) -> Resource:
    try:
        return Resource(name)
    except ValueError as error:
        known = ", ".join(Resource)
        raise NotVisibleError(f"There is no resource {name}. There are: {known}.") from error


def _period(request: Request) -> tuple[date, date]:
    last = _day(request, "last") or ledger.today()
    try:
        first = _day(request, "first") or last - timedelta(days=29)
    except OverflowError:
        first = date.min
    if not 0 <= (last - first).days < MOST_DAYS:
        raise InvalidError(
            f"A period has 1 to {MOST_DAYS} days, and its first is not after its last.",
            fields={"first": [f"Not within {MOST_DAYS} days before {last}."]},
        )
    return first, last


def _day(request: Request, name: str) -> date | None:
    given = request.query_params.get(name, "")
    if not given:
        return None
    found: date = serializers.DateField().run_validation(given)
    return found
