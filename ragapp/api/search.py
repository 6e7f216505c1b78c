"""Search of the corpora without an answer: passages with both scores and ranks."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ragapp.api.search_serializers import SearchQuerySerializer, SearchResultsSerializer
from ragapp.domain.filters import Filters
from ragapp.domain.reader import reader_of
from ragapp.models import Chunk, Corpus
from ragapp.services import search
from ragapp.services.corpora import visible_corpus
from ragapp.services.statements import Field
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action


class SearchViewSet(TenantViewSet[Chunk]):
    """The best passages for a question."""

    read_action = Action.ASK
    query_names = {"find": tuple(SearchQuerySerializer().fields)}

    @extend_schema(parameters=[SearchQuerySerializer], responses={200: SearchResultsSerializer})
    def find(self, request: Request, tenant: str) -> Response:
        """The best passages, best first; only of documents that the caller may read."""
        query = SearchQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        values = dict(query.validated_data)
        question, k, corpus = (values.pop(name) for name in ("q", "k", "corpus"))
        corpora = [visible_corpus(corpus)] if corpus else list(Corpus.objects.all())
        field = Field(
            self.tenant.pk,
            [row.pk for row in corpora],
            reader_of(self.actor),
            Filters(**values),
        )
        found = search.results(field, question, k=k)
        return Response(SearchResultsSerializer(found).data)
