"""The tenant's web search service, under the REST API."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.api.serializers import WebSearchSerializer, WebSearchWriteSerializer
from ragapp.models import WebSearch
from ragapp.services import web_search
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action


class WebSearchViewSet(TenantViewSet[WebSearch]):
    """One for each tenant; where nothing was chosen, the platform's SearXNG."""

    serializer_class = WebSearchSerializer
    write_action = Action.TRAIN

    def rows(self) -> QuerySet[WebSearch]:
        """The tenant's choice."""
        return WebSearch.objects.all()

    @extend_schema(responses={200: WebSearchSerializer})
    def retrieve(self, request: Request, tenant: str = "") -> Response:
        """Which service is asked."""
        row = self.rows().first() or WebSearch(provider="searxng")
        return Response(WebSearchSerializer(row).data)

    @extend_schema(request=WebSearchWriteSerializer, responses={200: WebSearchSerializer})
    def update(self, request: Request, tenant: str = "") -> Response:
        """Ask another service from the next question on."""
        values = self.read_body(WebSearchWriteSerializer)
        row = web_search.choose(self.tenant, actor=self.actor, **values)
        return Response(WebSearchSerializer(row).data)
