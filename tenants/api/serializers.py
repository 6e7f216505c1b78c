"""What the ground's rows look like in JSON, and what a request may say about them."""

from typing import Any

from rest_framework import serializers

from tenants.api.strict import StrictSerializer
from tenants.domain.roles import Role
from tenants.domain.states import OperationState
from tenants.models.audit import AuditEntry
from tenants.models.member import Membership
from tenants.models.operation import Operation
from tenants.models.segment import Segment, SegmentKind, SnatAddress, Subnet, VirtualAddress
from tenants.models.tenant import Cluster, Namespace, Tenant
from tenants.models.token import ApiToken
from tenants.services.segments import SegmentDraft, SubnetDraft

ROLES = [role.value for role in Role]


def cluster_field() -> "serializers.SlugRelatedField[Cluster]":
    """A cluster by its name; clusters are seen by all, so this look-up reveals nothing."""
    return serializers.SlugRelatedField(slug_field="name", queryset=Cluster.objects.all())


class ClusterSerializer(serializers.ModelSerializer[Cluster]):
    """A cluster."""

    class Meta:
        """Fields."""

        model = Cluster
        fields = ["name", "flavour"]


class TenantSerializer(serializers.ModelSerializer[Tenant]):
    """A tenant."""

    class Meta:
        """Fields."""

        model = Tenant
        fields = ["slug", "name", "generation", "auto_apply", "is_paused", "created_at"]


class TenantWriteSerializer(StrictSerializer):
    """A new tenant."""

    slug = serializers.CharField(max_length=63, help_text="Lower case, as in a DNS label.")
    name = serializers.CharField(max_length=200)


class NamespaceSerializer(serializers.ModelSerializer[Namespace]):
    """A namespace of the tenant."""

    cluster = serializers.CharField(source="cluster.name")

    class Meta:
        """Fields."""

        model = Namespace
        fields = ["id", "cluster", "name"]


class NamespaceWriteSerializer(StrictSerializer):
    """A namespace to take."""

    cluster = cluster_field()
    name = serializers.CharField(max_length=63)
    reason = serializers.CharField(required=False, default="", allow_blank=True)


class SubnetSerializer(serializers.ModelSerializer[Subnet]):
    """A prefix of a segment."""

    prefix = serializers.CharField()

    class Meta:
        """Fields."""

        model = Subnet
        fields = ["prefix", "gateway", "vrf"]


class SegmentSerializer(serializers.ModelSerializer[Segment]):
    """A segment with its subnets."""

    cluster = serializers.CharField(source="cluster.name")
    subnets = SubnetSerializer(many=True)

    class Meta:
        """Fields."""

        model = Segment
        fields = ["name", "cluster", "kind", "trunk", "vlan_tag", "vni", "subnets"]


class SubnetWriteSerializer(StrictSerializer):
    """A prefix that a segment shall have."""

    prefix = serializers.CharField(help_text="10.1.0.0/24")
    gateway = serializers.IPAddressField(required=False, allow_null=True, default=None)
    vrf = serializers.CharField(max_length=63, required=False, default="default")


class SegmentWriteSerializer(StrictSerializer):
    """A segment as it shall be; what is left out gets its default."""

    name = serializers.CharField(max_length=63)
    cluster = cluster_field()
    kind = serializers.ChoiceField(choices=SegmentKind.choices, default=SegmentKind.VLAN.value)
    trunk = serializers.CharField(max_length=32, required=False, default="1.1")
    vlan_tag = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=4094
    )
    vni = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=16777215
    )
    subnets = SubnetWriteSerializer(many=True, required=False, default=list)
    reason = serializers.CharField(required=False, default="", allow_blank=True)

    @staticmethod
    def draft(values: dict[str, Any]) -> SegmentDraft:
        """The checked values as what the service takes; Any, as fields have many types."""
        return SegmentDraft(
            name=values["name"],
            cluster=values["cluster"],
            kind=SegmentKind(values["kind"]),
            trunk=values["trunk"],
            vlan_tag=values["vlan_tag"],
            vni=values["vni"],
            subnets=tuple(SubnetDraft(**subnet) for subnet in values["subnets"]),
        )


class VirtualAddressSerializer(serializers.ModelSerializer[VirtualAddress]):
    """A virtual address of the tenant."""

    cluster = serializers.CharField(source="cluster.name")

    class Meta:
        """Fields."""

        model = VirtualAddress
        fields = ["id", "cluster", "address"]


class SnatAddressSerializer(serializers.ModelSerializer[SnatAddress]):
    """A SNAT address of the tenant."""

    cluster = serializers.CharField(source="cluster.name")

    class Meta:
        """Fields."""

        model = SnatAddress
        fields = ["id", "cluster", "address"]


class AddressWriteSerializer(StrictSerializer):
    """An address to take."""

    cluster = cluster_field()
    address = serializers.IPAddressField()
    reason = serializers.CharField(required=False, default="", allow_blank=True)


class MemberSerializer(serializers.ModelSerializer[Membership]):
    """A member and their role."""

    username = serializers.CharField(source="user.username")
    role = serializers.ChoiceField(choices=ROLES)

    class Meta:
        """Fields."""

        model = Membership
        fields = ["id", "username", "role", "created_at"]


class MemberWriteSerializer(StrictSerializer):
    """Who shall have which role."""

    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=ROLES)


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """An API token, without its key."""

    username = serializers.CharField(source="user.username")
    role = serializers.ChoiceField(choices=ROLES)

    class Meta:
        """Fields."""

        model = ApiToken
        fields = [
            "id",
            "name",
            "username",
            "role",
            "key_hint",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        ]


class NewTokenSerializer(TokenSerializer):
    """An API token just made, with its key: the only time that it is shown."""

    key = serializers.CharField(help_text="Send it as: Authorization: Bearer <key>")

    class Meta(TokenSerializer.Meta):
        """Fields."""

        fields = [*TokenSerializer.Meta.fields, "key"]


class TokenWriteSerializer(StrictSerializer):
    """A token to make."""

    name = serializers.CharField(max_length=100)
    role = serializers.ChoiceField(choices=ROLES)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class StepSerializer(serializers.Serializer[dict[str, str]]):
    """One step of an operation."""

    name = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.value for state in OperationState])
    message = serializers.CharField()
    started_at = serializers.CharField()
    ended_at = serializers.CharField(help_text="Empty while it runs.")


class OperationSerializer(serializers.ModelSerializer[Operation]):
    """A long-running piece of work."""

    percent = serializers.IntegerField(help_text="0 to 100.")
    steps = StepSerializer(many=True)

    class Meta:
        """Fields."""

        model = Operation
        fields = [
            "id",
            "kind",
            "title",
            "state",
            "actor",
            "trace_id",
            "target_id",
            "done",
            "total",
            "unit",
            "percent",
            "steps",
            "result",
            "error",
            "created_at",
            "started_at",
            "heartbeat_at",
            "deadline_at",
            "cancel_requested_at",
            "ended_at",
        ]


class AuditEntrySerializer(serializers.ModelSerializer[AuditEntry]):
    """Who did what, when and why."""

    class Meta:
        """Fields."""

        model = AuditEntry
        fields = [
            "id",
            "at",
            "actor",
            "is_platform_staff",
            "event",
            "object_type",
            "object_id",
            "object_name",
            "reason",
            "detail",
            "trace_id",
        ]
