"""Templates of tenants, and tenants made from them, by REST."""

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from proxyconfig.api.serializers import PlanSerializer
from proxyconfig.api.shapes import cameled, serializer_of, snaked
from proxyconfig.domain import template
from proxyconfig.domain.template import Template
from proxyconfig.services import new_tenants, templates
from proxyconfig.services.new_tenants import Begin, Member
from tenants.access import require
from tenants.api import filters
from tenants.api.serializers import (
    MemberWriteSerializer,
    TenantSerializer,
    TenantWriteSerializer,
)
from tenants.api.strict import StrictSerializer
from tenants.api.tenants import TenantListViewSet
from tenants.api.views import RowViewSet, UserView
from tenants.domain.notation import address_complaint, sentence
from tenants.domain.roles import Action, Role
from tenants.errors import ForbiddenError, InvalidError
from tenants.models.template import TenantTemplate

_MOST_MEMBERS = 100


class TenantTemplateSerializer(StrictSerializer):
    """What a new tenant is given."""

    name = serializers.CharField(max_length=63, help_text="Lower case, as in a DNS label.")
    description = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default=""
    )
    spec = serializer_of(Template)(help_text="{tenant} in a name is the tenant's.")
    updated_at = serializers.DateTimeField(read_only=True)


def _is_address(text: str) -> None:
    if wrong := address_complaint(text):
        raise serializers.ValidationError(sentence(wrong))


def _address() -> serializers.CharField:
    return serializers.CharField(
        max_length=45, required=False, trim_whitespace=False, validators=[_is_address]
    )


class BeginSerializer(StrictSerializer):
    """Where to begin the search for what is free."""

    vlan_tag = serializers.IntegerField(required=False, min_value=1, max_value=4094)
    vni = serializers.IntegerField(required=False, min_value=1, max_value=16777215)
    subnet = _address()
    virtual_address = _address()
    snat_address = _address()


class NewTenantSerializer(TenantWriteSerializer):
    """A new tenant; empty, or with the network of a template."""

    template = serializers.CharField(
        max_length=63, required=False, default="", help_text="A template's name; empty: no network."
    )
    reason = serializers.CharField(
        max_length=1000, required=False, default="", help_text="Why; required with a template."
    )
    members = MemberWriteSerializer(many=True, required=False, default=list)
    begin = BeginSerializer(required=False, default=dict)

    def validate_members(self, value: list[dict[str, str]]) -> list[dict[str, str]]:
        """At most a hundred."""
        if len(value) > _MOST_MEMBERS:
            raise serializers.ValidationError(f"At most {_MOST_MEMBERS} members at once.")
        return value


class CreatedTenantSerializer(TenantSerializer):
    """A tenant just made, with the plan of its network; null without a template."""

    plan = PlanSerializer(allow_null=True)

    class Meta(TenantSerializer.Meta):
        """Fields."""

        fields = [*TenantSerializer.Meta.fields, "plan"]


class NewTenantViewSet(TenantListViewSet):
    """The tenants that are the caller's; made empty or from a template."""

    @extend_schema(request=NewTenantSerializer, responses={201: CreatedTenantSerializer})
    def create(self, request: Request) -> Response:
        """Make a tenant; platform NetOps and platform administrators only."""
        values = self.read_body(NewTenantSerializer)
        if not values["template"]:
            if values["members"]:
                says = "Members come with a template; without one, add them afterwards."
                raise InvalidError(says, fields={"members": [says]})
            if values["begin"]:
                says = "Start values need a template."
                raise InvalidError(says, fields={"begin": [says]})
            return super().create(request)
        require(self.actor, Action.CREATE_TENANT)
        created = new_tenants.create_tenant_from(
            templates.find_template(values["template"]),
            slug=values["slug"],
            name=values["name"],
            actor=self.actor,
            reason=values["reason"],
            members=[Member(entry["username"], Role(entry["role"])) for entry in values["members"]],
            begin=Begin(**values["begin"]),
        )
        location = reverse("tenants-api:tenant-detail", args=[created.tenant.slug])
        created.plan.tenant = created.tenant
        body = {
            **TenantSerializer(created.tenant).data,
            "plan": PlanSerializer(created.plan).data,
        }
        return Response(body, status=201, headers={"Location": location})


class TemplateViewSet(ListModelMixin, RowViewSet[TenantTemplate], UserView):
    """Templates are read by platform staff, and written by platform NetOps."""

    serializer_class = TenantTemplateSerializer
    lookup_field = "name"
    filters = {"name": filters.text("name")}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Platform staff only.

        Raises:
            ForbiddenError: somebody else.
        """
        super().initial(request, *args, **kwargs)
        if not self.actor.is_platform_staff:
            raise ForbiddenError("Only platform staff see the templates of tenants.")

    def rows(self) -> QuerySet[TenantTemplate]:
        """All of them."""
        return TenantTemplate.objects.all()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """All templates."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response([_shown(row) for row in page or ()])

    @extend_schema(responses={200: TenantTemplateSerializer})
    def retrieve(self, request: Request, name: str) -> Response:
        """One template."""
        return Response(_shown(self.get_object()))

    @extend_schema(responses={201: TenantTemplateSerializer})
    def create(self, request: Request) -> Response:
        """Make a template."""
        row = self._save(None)
        location = reverse("proxyconfig-api:template-detail", args=[row.name])
        return Response(_shown(row), status=201, headers={"Location": location})

    @extend_schema(responses={200: TenantTemplateSerializer})
    def update(self, request: Request, name: str) -> Response:
        """Change a template; tenants that were made from it stay as they are."""
        return Response(_shown(self._save(self.get_object())))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        """Delete a template; tenants that were made from it stay as they are."""
        templates.delete_template(self.get_object(), actor=self.actor)
        return Response(status=204)

    def _save(self, row: TenantTemplate | None) -> TenantTemplate:
        require(self.actor, Action.MANAGE_ADDRESS_SPACE)
        values = self.read_body(TenantTemplateSerializer)
        return templates.save_template(
            values["name"],
            templates.read_template(cameled(values["spec"])),
            actor=self.actor,
            description=values["description"],
            row=row,
        )


def _shown(row: TenantTemplate) -> dict[str, Any]:  # Any: JSON.
    return {
        "name": row.name,
        "description": row.description,
        "spec": snaked(template.plain(templates.template_of(row))),
        "updated_at": row.updated_at,
    }
