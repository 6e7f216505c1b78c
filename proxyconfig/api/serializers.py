"""What policies, plans and the ledger look like in JSON, and what a request may say about them."""

from typing import Any

from rest_framework import serializers

from proxyconfig.models import (
    Connection,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Placement,
    Plan,
    Protocol,
    Revision,
)
from proxyconfig.services.policies import EgressDraft, IngressDraft, RuleDraft
from tenants.api.strict import StrictSerializer
from tenants.domain.states import ChangeState

_LONGEST_LIST = 1000


class ReasonSerializer(StrictSerializer):
    """Why: it stands in the audit log and in the tenant's history."""

    reason = serializers.CharField(
        max_length=2000, required=False, default="", allow_blank=True, help_text="Why."
    )


class IngressPolicySerializer(serializers.ModelSerializer[IngressPolicy]):
    """An ingress policy."""

    virtual_address = serializers.IPAddressField(source="listener.virtual_address.address")
    port = serializers.IntegerField(source="listener.port")
    protocol = serializers.ChoiceField(source="listener.protocol", choices=Protocol.choices)
    namespace = serializers.CharField(source="namespace.name")
    allowed_sources = serializers.ListField(child=serializers.CharField())

    class Meta:
        """Fields."""

        model = IngressPolicy
        fields = [
            "name",
            "virtual_address",
            "port",
            "protocol",
            "namespace",
            "service",
            "service_port",
            "hostnames",
            "path_prefix",
            "allowed_sources",
            "is_enabled",
            "created_at",
            "updated_at",
        ]


class IngressPolicyWriteSerializer(ReasonSerializer):
    """An ingress policy as it shall be; what is left out gets its default."""

    name = serializers.CharField(max_length=63)
    virtual_address = serializers.IPAddressField(help_text="One of the tenant's.")
    port = serializers.IntegerField(min_value=1, max_value=65535)
    protocol = serializers.ChoiceField(choices=Protocol.choices, default=Protocol.HTTP.value)
    namespace = serializers.CharField(max_length=63, help_text="One of the tenant's.")
    service = serializers.CharField(max_length=63, required=False, default="ragapp")
    service_port = serializers.IntegerField(
        min_value=1, max_value=65535, required=False, default=8080
    )
    hostnames = serializers.ListField(
        child=serializers.CharField(max_length=253), default=list, max_length=_LONGEST_LIST
    )
    path_prefix = serializers.CharField(max_length=200, required=False, default="/")
    allowed_sources = serializers.ListField(
        child=serializers.CharField(max_length=49),
        default=list,
        max_length=_LONGEST_LIST,
        help_text=(
            "Networks in CIDR notation. Empty lets any client in, which needs approval on a port"
            " below 1024."
        ),
    )
    is_enabled = serializers.BooleanField(required=False, default=True)

    @staticmethod
    def draft(values: dict[str, Any]) -> IngressDraft:
        """The checked values as what the service takes; Any, as fields have many types."""
        return IngressDraft(
            name=values["name"],
            virtual_address=values["virtual_address"],
            port=values["port"],
            namespace=values["namespace"],
            protocol=Protocol(values["protocol"]),
            service=values["service"],
            service_port=values["service_port"],
            hostnames=tuple(values["hostnames"]),
            path_prefix=values["path_prefix"],
            allowed_sources=tuple(values["allowed_sources"]),
            is_enabled=values["is_enabled"],
        )


class EgressRuleSerializer(serializers.ModelSerializer[EgressRule]):
    """One destination of an egress policy."""

    network = serializers.CharField(allow_null=True)
    is_granted = serializers.BooleanField(help_text="May reach a private network.")

    class Meta:
        """Fields."""

        model = EgressRule
        fields = ["order", "host", "network", "ports", "is_granted", "granted_at"]


class EgressPolicySerializer(serializers.ModelSerializer[EgressPolicy]):
    """An egress policy with its rules."""

    rules = EgressRuleSerializer(many=True)

    class Meta:
        """Fields."""

        model = EgressPolicy
        fields = ["name", "is_enabled", "rules", "created_at", "updated_at"]


class EgressRuleWriteSerializer(StrictSerializer):
    """A destination: a host or a network, one of the two."""

    host = serializers.CharField(
        max_length=253,
        required=False,
        default="",
        allow_blank=True,
        help_text="example.org, or *.example.org for its subdomains.",
    )
    network = serializers.CharField(
        max_length=49, required=False, allow_null=True, default=None, help_text="In CIDR notation."
    )
    ports = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=65535), min_length=1, max_length=100
    )


class EgressPolicyWriteSerializer(ReasonSerializer):
    """An egress policy as it shall be; the rules are the whole list, in order."""

    name = serializers.CharField(max_length=63)
    rules = serializers.ListField(
        child=EgressRuleWriteSerializer(), min_length=1, max_length=_LONGEST_LIST
    )
    is_enabled = serializers.BooleanField(required=False, default=True)

    @staticmethod
    def draft(values: dict[str, Any]) -> EgressDraft:
        """The checked values as what the service takes; Any, as fields have many types."""
        rules = tuple(
            RuleDraft(host=rule["host"], network=rule["network"], ports=tuple(rule["ports"]))
            for rule in values["rules"]
        )
        return EgressDraft(name=values["name"], rules=rules, is_enabled=values["is_enabled"])


class FieldChangeSerializer(serializers.Serializer[dict[str, Any]]):
    """One field that differs; secrets read ``(hidden)``."""

    path = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class PlanEntrySerializer(serializers.Serializer[dict[str, Any]]):
    """What happens to one object of the proxy."""

    action = serializers.ChoiceField(choices=["create", "update", "delete"])
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
            "entries",
            "findings",
            "base_generation",
            "intent_hash",
            "decided_by",
            "decided_at",
            "decision_comment",
            "trace_id",
            "created_at",
        ]


class PlanDetailSerializer(PlanSerializer):
    """A plan with the whole intent that it would make current."""

    class Meta(PlanSerializer.Meta):
        """Fields."""

        fields = [*PlanSerializer.Meta.fields, "intent"]


class DecisionSerializer(StrictSerializer):
    """What a person says about a plan."""

    comment = serializers.CharField(
        max_length=2000, required=False, default="", allow_blank=True, help_text="Why."
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
