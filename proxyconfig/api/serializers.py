"""What policies, plans and the ledger look like in JSON, and what a request may say about them."""

from typing import Any

from rest_framework import serializers

from proxyconfig.models import Connection, Placement, Plan, Revision
from tenants.api.strict import StrictSerializer
from tenants.domain.states import ChangeState


class ReasonSerializer(StrictSerializer):
    """Why: it stands in the audit log and in the tenant's history."""

    reason = serializers.CharField(
        max_length=2000, required=False, default="", allow_blank=True, help_text="Why."
    )
    grant = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Grant the private networks that it reaches; platform administrators only.",
    )


class PendingSerializer(serializers.Serializer[dict[str, Any]]):
    """A waiting plan's part about one object; nothing of it is in force."""

    plan = serializers.IntegerField()
    action = serializers.ChoiceField(choices=["add", "change", "delete"])
    author_name = serializers.CharField()


class PendingObjectSerializer(PendingSerializer):
    """The same, with the object's place."""

    collection = serializers.CharField()
    name = serializers.CharField()


class FieldChangeSerializer(serializers.Serializer[dict[str, Any]]):
    """One field that differs; secrets read ``(hidden)``."""

    path = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class ObjectChangeSerializer(serializers.Serializer[dict[str, Any]]):
    """What happens to one policy or one part of the network."""

    action = serializers.ChoiceField(choices=["add", "change", "delete"])
    collection = serializers.CharField()
    name = serializers.CharField()
    title = serializers.CharField()
    fields = FieldChangeSerializer(many=True)  # type: ignore[assignment]  # DRF has one, too.


class PlanEntrySerializer(serializers.Serializer[dict[str, Any]]):
    """What happens to one object of a cluster's proxy."""

    action = serializers.ChoiceField(choices=["create", "update", "delete"])
    cluster = serializers.CharField(required=False)
    group = serializers.CharField(required=False)
    namespace = serializers.CharField(required=False)
    kind = serializers.CharField()
    name = serializers.CharField()
    reason = serializers.CharField()
    changes = FieldChangeSerializer(many=True)


class FindingSerializer(serializers.Serializer[dict[str, str]]):
    """Why a rule may not approve a plan."""

    code = serializers.CharField()
    message = serializers.CharField()


class PlanSerializer(serializers.ModelSerializer[Plan]):
    """A change of the tenant's intent, and what it does to the proxies."""

    id = serializers.IntegerField(allow_null=True, help_text="Null in a dry run.")
    state = serializers.ChoiceField(choices=[state.value for state in ChangeState])
    changes = ObjectChangeSerializer(many=True)
    effects = serializers.ListField(
        child=serializers.CharField(), help_text="What it opens and closes, in sentences."
    )
    entries = PlanEntrySerializer(many=True)
    findings = FindingSerializer(many=True)
    created_at = serializers.DateTimeField(allow_null=True, help_text="Null in a dry run.")

    class Meta:
        """Fields."""

        model = Plan
        fields = [
            "id",
            "state",
            "author_name",
            "reason",
            "summary",
            "effects",
            "changes",
            "entries",
            "findings",
            "base_generation",
            "intent_hash",
            "decided_by",
            "decided_at",
            "decision_comment",
            "rolls_back_to",
            "expires_at",
            "trace_id",
            "created_at",
        ]


class PlanDetailSerializer(PlanSerializer):
    """A plan with the whole intent that it would make current."""

    class Meta(PlanSerializer.Meta):
        """Fields."""

        fields = [*PlanSerializer.Meta.fields, "base", "intent"]


class DecisionSerializer(StrictSerializer):
    """What a person says about a plan."""

    comment = serializers.CharField(
        max_length=2000, required=False, default="", allow_blank=True, help_text="Why."
    )
    grant = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Grant the private networks that it reaches; platform administrators only.",
    )
    intent_hash = serializers.CharField(
        max_length=64,
        required=False,
        default="",
        allow_blank=True,
        help_text="Of the plan that was read: 409 where it is another by now.",
    )


class RevisionSerializer(serializers.ModelSerializer[Revision]):
    """An approved plan's place in the tenant's history."""

    plan = serializers.IntegerField(source="plan_id")

    class Meta:
        """Fields."""

        model = Revision
        fields = ["generation", "plan", "intent_hash", "author_name", "reason", "created_at"]


class RevisionDetailSerializer(RevisionSerializer):
    """A revision with its whole intent."""

    class Meta(RevisionSerializer.Meta):
        """Fields."""

        fields = [*RevisionSerializer.Meta.fields, "intent"]


class ConditionSerializer(serializers.Serializer[dict[str, Any]]):
    """One thing that is so, or not, or unknown, about a placement."""

    type = serializers.CharField()
    status = serializers.ChoiceField(choices=["True", "False", "Unknown"])
    reason = serializers.CharField()
    message = serializers.CharField()
    observed_generation = serializers.IntegerField(source="observedGeneration")
    last_transition_time = serializers.CharField(source="lastTransitionTime")


class PlacementSerializer(serializers.ModelSerializer[Placement]):
    """The tenant on one cluster: how far its proxy has come, and what was seen there."""

    cluster = serializers.CharField(source="cluster.name")
    conditions = ConditionSerializer(many=True)

    class Meta:
        """Fields."""

        model = Placement
        fields = [
            "cluster",
            "observed_generation",
            "applied_hash",
            "applied_at",
            "attempts",
            "next_attempt_at",
            "checked_at",
            "sync_state",
            "health",
            "conditions",
            "drift_count",
            "drifted_at",
            "drift_healed_at",
            "drift_message",
        ]


class ConnectionSerializer(serializers.ModelSerializer[Connection]):
    """A connection in or out, as the proxy reported it."""

    class Meta:
        """Fields."""

        model = Connection
        fields = [
            "id",
            "trace_id",
            "direction",
            "source_address",
            "snat_address",
            "destination_host",
            "destination_address",
            "destination_port",
            "detail",
            "bytes_sent",
            "bytes_received",
            "verdict",
            "rule_id",
            "message",
            "opened_at",
            "closed_at",
        ]
