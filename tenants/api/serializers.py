"""What the ground's rows look like in JSON, and what a request may say about them."""

from django.utils import timezone
from rest_framework import serializers

from tenants.api.strict import StrictSerializer
from tenants.domain.roles import Role
from tenants.domain.states import OperationState
from tenants.models.audit import AuditEntry
from tenants.models.member import Membership
from tenants.models.operation import Operation
from tenants.models.tenant import Cluster, Tenant
from tenants.models.token import ApiToken
from tenants.services import pausing

ROLES = [role.value for role in Role]


class ClusterSerializer(serializers.ModelSerializer[Cluster]):
    """A cluster."""

    class Meta:
        """Fields."""

        model = Cluster
        fields = ["name", "flavour"]


class PausedSerializer(serializers.ModelSerializer[Tenant]):
    """Base: a pause whose end is past is none."""

    is_paused = serializers.SerializerMethodField()
    is_suspended = serializers.SerializerMethodField()

    def get_is_paused(self, tenant: Tenant) -> bool:
        """By the clock."""
        return pausing.is_paused(tenant, timezone.now())

    def get_is_suspended(self, tenant: Tenant) -> bool:
        """By the clock."""
        return pausing.is_suspended(tenant, timezone.now())


class TenantSerializer(PausedSerializer):
    """A tenant."""

    class Meta:
        """Fields."""

        model = Tenant
        fields = [
            "slug",
            "name",
            "generation",
            "auto_apply",
            "is_paused",
            "is_suspended",
            "created_at",
        ]


class PauseSerializer(PausedSerializer):
    """Whether a tenant's proxies follow its changes, and if not, why."""

    reason = serializers.CharField(source="paused_reason")
    by = serializers.CharField(source="paused_by")
    until = serializers.DateTimeField(source="paused_until", allow_null=True)

    class Meta:
        """Fields."""

        model = Tenant
        fields = ["is_paused", "is_suspended", "reason", "by", "until"]


class ResumeWriteSerializer(StrictSerializer):
    """Why a pause ends."""

    reason = serializers.CharField(max_length=300, help_text="Kept in the audit log.")


class PauseWriteSerializer(ResumeWriteSerializer):
    """A pause."""

    until = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="When it ends by itself."
    )
    is_suspended = serializers.BooleanField(
        required=False, default=False, help_text="The proxies are emptied, not left as they are."
    )


class TenantWriteSerializer(StrictSerializer):
    """A new tenant."""

    slug = serializers.CharField(max_length=63, help_text="Lower case, as in a DNS label.")
    name = serializers.CharField(max_length=200)


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
