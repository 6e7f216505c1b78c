"""Tenants, their members and API tokens, and the clusters that they may be placed on."""

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api import filters
from tenants.api.serializers import (
    ROLES,
    ClusterSerializer,
    MemberSerializer,
    MemberWriteSerializer,
    NewTokenSerializer,
    PauseSerializer,
    PauseWriteSerializer,
    ResumeWriteSerializer,
    TenantSerializer,
    TenantWriteSerializer,
    TokenSerializer,
    TokenWriteSerializer,
)
from tenants.api.views import RowViewSet, TenantViewSet, UserView
from tenants.domain.roles import Action, Role
from tenants.models.member import Membership
from tenants.models.tenant import Cluster, Tenant
from tenants.models.token import ApiToken
from tenants.services import pausing, tokens
from tenants.services.people import find_user
from tenants.services.tenants import add_member, create_tenant, remove_member


class ClusterViewSet(ListModelMixin, RowViewSet[Cluster], UserView):
    """Clusters are seen by everybody who is signed in."""

    serializer_class = ClusterSerializer

    def rows(self) -> QuerySet[Cluster]:
        """All clusters."""
        return Cluster.objects.all()


class TenantListViewSet(ListModelMixin, RowViewSet[Tenant], UserView):
    """The tenants that are the caller's; a platform administrator's are all."""

    serializer_class = TenantSerializer
    filters = {"slug": filters.text("slug"), "name": filters.text("name")}

    def rows(self) -> QuerySet[Tenant]:
        """What row-level security lets through."""
        return Tenant.objects.all()

    @extend_schema(request=TenantWriteSerializer, responses={201: TenantSerializer})
    def create(self, request: Request) -> Response:
        """Make a tenant; platform administrators only."""
        values = self.read_body(TenantWriteSerializer)
        tenant = create_tenant(values["slug"], values["name"], actor=self.actor)
        location = reverse("tenants-api:tenant-detail", args=[tenant.slug])
        return Response(TenantSerializer(tenant).data, status=201, headers={"Location": location})


class TenantDetailViewSet(TenantViewSet[Tenant]):
    """One tenant."""

    serializer_class = TenantSerializer

    def retrieve(self, request: Request, tenant: str) -> Response:
        """The tenant, with the generation of its intent."""
        return Response(TenantSerializer(self.tenant).data)


class PauseViewSet(TenantViewSet[Tenant]):
    """Whether the tenant's proxies follow its changes."""

    serializer_class = PauseSerializer
    write_action = Action.MANAGE_GUARDRAILS

    def retrieve(self, request: Request, tenant: str) -> Response:
        """The pause; one whose end is past says that the tenant is not paused."""
        return Response(PauseSerializer(self.tenant).data)

    @extend_schema(request=PauseWriteSerializer, responses=PauseSerializer)
    def update(self, request: Request, tenant: str) -> Response:
        """Pause or suspend the tenant, in place of a pause before."""
        said = self.read_body(PauseWriteSerializer)
        suspends = said.pop("is_suspended")
        pausing.pause(self.tenant, actor=self.actor, suspends=suspends, **said)
        return self._now()

    @extend_schema(request=ResumeWriteSerializer, responses=PauseSerializer)
    def resume(self, request: Request, tenant: str) -> Response:
        """End the pause; the proxies get what was approved meanwhile."""
        pausing.resume(self.tenant, actor=self.actor, **self.read_body(ResumeWriteSerializer))
        return self._now()

    def _now(self) -> Response:
        self.tenant.refresh_from_db()
        return Response(PauseSerializer(self.tenant).data)


class MemberViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Membership]):
    """Who belongs to the tenant, and with which role."""

    serializer_class = MemberSerializer
    filters = {"role": filters.choice("role", ROLES), "username": filters.text("user__username")}

    def rows(self) -> QuerySet[Membership]:
        """The tenant's members."""
        return Membership.objects.select_related("user")

    @extend_schema(request=MemberWriteSerializer, responses={201: MemberSerializer})
    def create(self, request: Request, tenant: str) -> Response:
        """Give a user a role in the tenant, in place of the role before."""
        values = self.read_body(MemberWriteSerializer)
        user = find_user(values["username"])
        member = add_member(self.tenant, user, Role(values["role"]), actor=self.actor)
        location = reverse("tenants-api:member-detail", args=[tenant, member.pk])
        return Response(MemberSerializer(member).data, status=201, headers={"Location": location})

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, pk: int) -> Response:
        """Take a user out of the tenant, and revoke their tokens."""
        remove_member(self.get_object(), actor=self.actor)
        return Response(status=204)


class TokenViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[ApiToken]):
    """API tokens. The key of one is shown once, when it is made."""

    serializer_class = TokenSerializer
    rights = {"destroy": Action.VIEW}  # The service knows whose token may be revoked by whom.
    filters = {"name": filters.text("name"), "role": filters.choice("role", ROLES)}

    def rows(self) -> QuerySet[ApiToken]:
        """The tenant's tokens, revoked ones too."""
        return ApiToken.objects.select_related("user")

    @extend_schema(request=TokenWriteSerializer, responses={201: NewTokenSerializer})
    def create(self, request: Request, tenant: str) -> Response:
        """Make a token that can do no more than its maker."""
        values = self.read_body(TokenWriteSerializer)
        token, key = tokens.create_token(
            self.tenant,
            name=values["name"],
            role=Role(values["role"]),
            actor=self.actor,
            expires_at=values["expires_at"],
        )
        body: dict[str, Any] = {**TokenSerializer(token).data, "key": key}  # Any: JSON.
        location = reverse("tenants-api:token-detail", args=[tenant, token.pk])
        headers = {"Location": location, "Cache-Control": "no-store"}
        return Response(body, status=201, headers=headers)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, pk: int) -> Response:
        """Revoke a token; it is refused from now on."""
        tokens.revoke_token(self.get_object(), actor=self.actor)
        return Response(status=204)
