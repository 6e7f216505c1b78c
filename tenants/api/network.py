"""A tenant's network: segments, namespaces, virtual and SNAT addresses."""

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api import filters
from tenants.api.serializers import (
    AddressWriteSerializer,
    NamespaceSerializer,
    NamespaceWriteSerializer,
    SegmentSerializer,
    SegmentWriteSerializer,
    SnatAddressSerializer,
    VirtualAddressSerializer,
)
from tenants.api.views import TenantViewSet
from tenants.models.segment import Segment, SegmentKind, SnatAddress, VirtualAddress
from tenants.models.tenant import Namespace
from tenants.services import segments

_CLUSTER = filters.text("cluster__name", "The cluster's name.")


class SegmentViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Segment]):
    """Segments with their subnets."""

    serializer_class = SegmentSerializer
    lookup_field = "name"
    filters = {
        "cluster": _CLUSTER,
        "kind": filters.choice("kind", SegmentKind.values),
        "name": filters.text("name"),
    }

    def rows(self) -> QuerySet[Segment]:
        """The tenant's segments."""
        return Segment.objects.select_related("cluster").prefetch_related("subnets")

    @extend_schema(request=SegmentWriteSerializer, responses={201: SegmentSerializer})
    def create(self, request: Request, tenant: str) -> Response:
        """Make a segment."""
        values = self.read_body(SegmentWriteSerializer)
        segment = segments.save_segment(
            self.tenant,
            SegmentWriteSerializer.draft(values),
            actor=self.actor,
            reason=values["reason"],
        )
        location = reverse("tenants-api:segment-detail", args=[tenant, segment.name])
        return Response(SegmentSerializer(segment).data, status=201, headers={"Location": location})

    @extend_schema(request=SegmentWriteSerializer, responses={200: SegmentSerializer})
    def update(self, request: Request, tenant: str, name: str) -> Response:
        """Replace a segment, its subnets included."""
        values = self.read_body(SegmentWriteSerializer)
        segments.save_segment(
            self.tenant,
            SegmentWriteSerializer.draft(values),
            actor=self.actor,
            reason=values["reason"],
            segment=self.get_object(),
        )
        changed = self.rows().get(name=values["name"])
        return Response(SegmentSerializer(changed).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, name: str) -> Response:
        """Give the segment's tag and subnets back."""
        segments.remove(self.get_object(), actor=self.actor)
        return Response(status=204)


class NamespaceViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Namespace]):
    """Kubernetes namespaces that are the tenant's."""

    serializer_class = NamespaceSerializer
    filters = {"cluster": _CLUSTER, "name": filters.text("name")}

    def rows(self) -> QuerySet[Namespace]:
        """The tenant's namespaces."""
        return Namespace.objects.select_related("cluster")

    @extend_schema(request=NamespaceWriteSerializer, responses={201: NamespaceSerializer})
    def create(self, request: Request, tenant: str) -> Response:
        """Take a namespace of a cluster."""
        values = self.read_body(NamespaceWriteSerializer)
        row = segments.add_namespace(
            self.tenant,
            values["cluster"],
            values["name"],
            actor=self.actor,
            reason=values["reason"],
        )
        location = reverse("tenants-api:namespace-detail", args=[tenant, row.pk])
        return Response(NamespaceSerializer(row).data, status=201, headers={"Location": location})

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, pk: int) -> Response:
        """Give the namespace back."""
        segments.remove(self.get_object(), actor=self.actor)
        return Response(status=204)


class VirtualAddressViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[VirtualAddress]):
    """Addresses that the proxy can answer on for the tenant."""

    serializer_class = VirtualAddressSerializer
    filters = {"cluster": _CLUSTER, "address": filters.text("address")}

    def rows(self) -> QuerySet[VirtualAddress]:
        """The tenant's virtual addresses."""
        return VirtualAddress.objects.select_related("cluster")

    @extend_schema(request=AddressWriteSerializer, responses={201: VirtualAddressSerializer})
    def create(self, request: Request, tenant: str) -> Response:
        """Take a virtual address."""
        values = self.read_body(AddressWriteSerializer)
        row = segments.add_virtual_address(self.tenant, **values, actor=self.actor)
        location = reverse("tenants-api:virtual-address-detail", args=[tenant, row.pk])
        body = VirtualAddressSerializer(row).data
        return Response(body, status=201, headers={"Location": location})

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, pk: int) -> Response:
        """Give the address back."""
        segments.remove(self.get_object(), actor=self.actor)
        return Response(status=204)


class SnatAddressViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[SnatAddress]):
    """Addresses that the tenant's outbound connections leave from."""

    serializer_class = SnatAddressSerializer
    filters = {"cluster": _CLUSTER, "address": filters.text("address")}

    def rows(self) -> QuerySet[SnatAddress]:
        """The tenant's SNAT addresses."""
        return SnatAddress.objects.select_related("cluster")

    @extend_schema(request=AddressWriteSerializer, responses={201: SnatAddressSerializer})
    def create(self, request: Request, tenant: str) -> Response:
        """Take a SNAT address."""
        values = self.read_body(AddressWriteSerializer)
        row = segments.add_snat_address(self.tenant, **values, actor=self.actor)
        location = reverse("tenants-api:snat-address-detail", args=[tenant, row.pk])
        return Response(SnatAddressSerializer(row).data, status=201, headers={"Location": location})

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tenant: str, pk: int) -> Response:
        """Give the address back."""
        segments.remove(self.get_object(), actor=self.actor)
        return Response(status=204)
