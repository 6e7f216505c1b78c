"""What each collection's objects look like in JSON.

Most are the manifest's own fields. Ingress policies carry their listener with them, egress rules
their grant, and segments their link, so that one call says what a person means by one thing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from proxyconfig.api import shapes
from proxyconfig.api.serializers import PendingSerializer
from proxyconfig.api.shapes import LONGEST_LIST, Plain, PortField
from proxyconfig.domain import edits, objects
from proxyconfig.domain.edits import Edit, IngressDraft
from proxyconfig.domain.fields import Action, Mode, Protocol, Transport
from proxyconfig.domain.intent import (
    EgressPolicy,
    Intent,
    Segment,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.objects import BY_NAME, IntentObject, Key, key_of
from tenants.api import filters
from tenants.api.filters import Filter
from tenants.api.strict import StrictSerializer

NEXT = "next"
Made = tuple[Edit, str]


@dataclass(frozen=True, slots=True)
class Shape:
    """How one collection is read and shown.

    Attributes:
        serializer: what a request may say.
        create, change: from the checked fields to the edit and the name of what it leaves.
        show: an object of an intent, as fields of ``serializer`` and those only read.
        read_only: further fields of ``show``.
    """

    serializer: type[StrictSerializer]
    create: Callable[[Plain], Made]
    change: Callable[[Key, Plain], Made]
    show: Callable[[Intent, IntentObject], Plain]
    read_only: Mapping[str, Any] = field(default_factory=dict)  # Any: DRF's fields.
    filters: Mapping[str, Filter] = field(default_factory=dict)


class ModeSerializer(StrictSerializer):
    """Base of policies: a staged one is kept and shown, and opens nothing."""

    mode = serializers.ChoiceField(
        choices=[mode.value for mode in Mode], required=False, default=None, allow_null=True
    )
    is_enabled = serializers.BooleanField(
        required=False, default=True, help_text="True: enforced; false: staged. Same as mode."
    )


class IngressPolicyBody(ModeSerializer):
    """An ingress policy with its listener; what is left out gets its default."""

    name = serializers.CharField(max_length=63)
    virtual_address = serializers.CharField(
        max_length=45, trim_whitespace=False, help_text="One of the tenant's."
    )
    cluster = serializers.CharField(
        max_length=63,
        required=False,
        default="",
        allow_blank=True,
        help_text="Where several clusters have the address.",
    )
    port = serializers.IntegerField(min_value=1, max_value=65535)
    protocol = serializers.ChoiceField(
        choices=[entry.value for entry in Protocol], default=Protocol.HTTP.value
    )
    tls = serializers.CharField(
        max_length=63, required=False, allow_null=True, default=None, help_text="A TLS reference."
    )
    namespace = serializers.CharField(max_length=63, help_text="One of the tenant's.")
    service = serializers.CharField(max_length=63, required=False, default="ragapp")
    service_port = serializers.IntegerField(
        min_value=1, max_value=65535, required=False, default=8080
    )
    hostnames = serializers.ListField(
        child=serializers.CharField(max_length=255), default=list, max_length=LONGEST_LIST
    )
    path_prefix = serializers.CharField(max_length=255, required=False, default="/")
    allowed_sources = serializers.ListField(
        child=serializers.CharField(max_length=49, trim_whitespace=False),
        default=list,
        max_length=LONGEST_LIST,
        help_text="Addresses or networks; with source_lists empty too, any client.",
    )
    source_lists = serializers.ListField(
        child=serializers.CharField(max_length=63), default=list, max_length=LONGEST_LIST
    )
    order = serializers.IntegerField(min_value=0, max_value=1_000_000, required=False, default=100)
    description = serializers.CharField(
        max_length=500, required=False, default="", allow_blank=True
    )


class EgressRuleBody(StrictSerializer):
    """A destination: a host, a network or an address list, one of the three."""

    order = serializers.IntegerField(
        min_value=0,
        max_value=1_000_000,
        required=False,
        allow_null=True,
        default=None,
        help_text="Part of the rule id. Left out in all rules: their places in the list, from 1.",
    )
    host = serializers.CharField(
        max_length=255,
        required=False,
        default=None,
        allow_blank=True,
        allow_null=True,
        help_text="example.org, or *.example.org for its subdomains.",
    )
    network = serializers.CharField(
        max_length=49,
        trim_whitespace=False,
        required=False,
        allow_null=True,
        default=None,
        help_text="In CIDR notation.",
    )
    address_list = serializers.CharField(
        max_length=63, required=False, allow_null=True, default=None
    )
    ports = serializers.ListField(child=PortField(), default=list, max_length=100)
    port_lists = serializers.ListField(
        child=serializers.CharField(max_length=63), default=list, max_length=100
    )
    protocol = serializers.ChoiceField(
        choices=[entry.value for entry in Transport], default=Transport.TCP.value
    )
    action = serializers.ChoiceField(
        choices=[entry.value for entry in Action], default=Action.ALLOW.value
    )


class EgressPolicyBody(ModeSerializer):
    """An egress policy; the rules are the whole list, in order."""

    name = serializers.CharField(max_length=63)
    rules = serializers.ListField(child=EgressRuleBody(), min_length=1, max_length=LONGEST_LIST)
    order = serializers.IntegerField(min_value=0, max_value=1_000_000, required=False, default=100)
    snat_pool = serializers.CharField(max_length=63, required=False, allow_null=True, default=None)
    owner = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    description = serializers.CharField(
        max_length=500, required=False, default="", allow_blank=True
    )


@extend_schema_field({"oneOf": [{"type": "integer", "minimum": 1}, {"enum": ["next"]}]})
class NumberOrNext(serializers.Field[Any, Any, Any, Any]):
    """A number, or "next" for the next free one of the tenant's ranges."""

    def __init__(self, *, most: int, **options: Any) -> None:  # Any: DRF's own options.
        super().__init__(**options)
        self._most = most

    def to_internal_value(self, data: Any) -> int | str:  # Any: DRF's own signature.
        """The number, or ``NEXT``.

        Raises:
            ValidationError: it is neither.
        """
        if data == NEXT:
            return NEXT
        if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= self._most:
            raise serializers.ValidationError(f'Give a number from 1 to {self._most}, or "next".')
        return data

    def to_representation(self, value: Any) -> Any:  # Any: DRF's own signature.
        """The number."""
        return value


class SubnetBody(StrictSerializer):
    """A prefix of a segment."""

    prefix = serializers.CharField(
        max_length=49,
        trim_whitespace=False,
        help_text="10.1.0.0/24, or next/24 for the next free one of that size.",
    )
    gateway = serializers.CharField(
        max_length=45, trim_whitespace=False, required=False, allow_null=True, default=None
    )


class SegmentBody(StrictSerializer):
    """A segment with its subnets; what is left out gets its default."""

    name = serializers.CharField(max_length=63)
    cluster = serializers.CharField(max_length=63)
    kind = serializers.ChoiceField(choices=["vlan", "vxlan", "subnet"], default="vlan")
    trunk = serializers.CharField(max_length=32, required=False, default="1.1")
    vlan_tag = NumberOrNext(most=4094, required=False, allow_null=True, default=None)
    internal = serializers.BooleanField(
        required=False, default=False, help_text="A VLAN that faces the cluster's nodes."
    )
    vni = NumberOrNext(most=16_777_215, required=False, allow_null=True, default=None)
    remote_vteps = serializers.ListField(
        child=serializers.CharField(max_length=45, trim_whitespace=False),
        default=list,
        max_length=LONGEST_LIST,
    )
    vxlan_port = serializers.IntegerField(
        min_value=1, max_value=65535, required=False, default=4789
    )
    vrf = serializers.CharField(max_length=63, required=False, allow_null=True, default=None)
    mtu = serializers.IntegerField(min_value=1280, max_value=9216, required=False, default=1500)
    subnets = serializers.ListField(child=SubnetBody(), default=list, max_length=100)
    description = serializers.CharField(
        max_length=500, required=False, default="", allow_blank=True
    )


def _ingress_draft(values: Plain) -> IngressDraft:
    drafted: dict[str, Any] = {  # Any: fields of many types.
        name: tuple(content) if isinstance(content, list) else content
        for name, content in values.items()
        if name not in ("mode", "is_enabled", "protocol")
    }
    return IngressDraft(**drafted, protocol=Protocol(values["protocol"]), mode=_mode(values))


def _show_ingress(intent: Intent, item: IntentObject) -> Plain:
    draft = edits.draft_of(intent, item)
    return {
        "name": draft.name,
        "listener": item.listener,
        "virtual_address": draft.virtual_address,
        "cluster": draft.cluster,
        "port": draft.port,
        "protocol": draft.protocol.value,
        "tls": draft.tls,
        "namespace": draft.namespace,
        "service": draft.service,
        "service_port": draft.service_port,
        "hostnames": list(draft.hostnames),
        "path_prefix": draft.path_prefix,
        "allowed_sources": list(draft.allowed_sources),
        "source_lists": list(draft.source_lists),
        "order": draft.order,
        "mode": draft.mode.value,
        "is_enabled": draft.mode is Mode.ENFORCED,
        "description": draft.description,
    }


def _egress_policy(values: Plain) -> EgressPolicy:
    mode = _mode(values)
    rules = [_rule_values(rule) for rule in values["rules"]]
    if all(rule["order"] is None for rule in rules):
        for place, rule in enumerate(rules, start=1):
            rule["order"] = place
    named = {
        name: values[name]
        for name in ("name", "order", "snat_pool", "owner", "expires_at", "description")
    }
    policy: EgressPolicy = shapes.parse("egress-policies", {**named, "rules": rules})
    return replace(policy, mode=mode)


def _rule_values(rule: Plain) -> Plain:
    return {
        **{name: content for name, content in rule.items() if name not in ("host", "network")},
        "host": rule["host"] or None,
        "cidr": rule["network"] or None,
    }


def _show_egress(_: Intent, item: IntentObject) -> Plain:
    plain = shapes.snaked(objects.plain(item))
    rules = []
    for rule in plain.pop("rules"):
        granted = rule.pop("granted")
        rules.append(
            {
                **rule,
                "host": rule["host"] or "",
                "network": rule.pop("cidr"),
                "is_granted": granted is not None,
                "granted_by": granted["by"] if granted else None,
                "granted_at": granted["at"] if granted else None,
            }
        )
        rules[-1].pop("cidr", None)
    return {**plain, "rules": rules, "is_enabled": item.mode is Mode.ENFORCED}


def _segment(values: Plain) -> Segment:
    _check_link(values)
    kind = values["kind"]
    vlan = vxlan = None
    if kind == "vlan":
        vlan = {
            "interface": values["trunk"],
            "tag": values["vlan_tag"],
            "internal": values["internal"],
        }
    if kind == "vxlan":
        vxlan = {
            "vni": values["vni"],
            "remote_vteps": values["remote_vteps"],
            "port": values["vxlan_port"],
        }
    same = ("name", "cluster", "vrf", "mtu", "description")
    subnets = [
        {"cidr": subnet["prefix"], "gateway": subnet["gateway"]} for subnet in values["subnets"]
    ]
    plain = {name: values[name] for name in same} | {"subnets": subnets}
    segment: Segment = shapes.parse("segments", {**plain, "vlan": vlan, "vxlan": vxlan})
    return segment


def _check_link(values: Plain) -> None:
    """Refuse a tag or VNI that does not fit the kind of segment."""
    rules = {
        "vlan": ("vlan_tag", "vni", "A VLAN segment has a VLAN tag and no VNI."),
        "vxlan": ("vni", "vlan_tag", "A VXLAN segment has a VNI and no VLAN tag."),
    }
    if values["kind"] in rules:
        wanted, other, says = rules[values["kind"]]
        if values[wanted] is None or values[other] is not None:
            raise serializers.ValidationError({wanted: [says]})
    elif values["vlan_tag"] is not None or values["vni"] is not None:
        says = "A plain subnet has neither a VLAN tag nor a VNI."
        raise serializers.ValidationError({"vlan_tag": [says]})


def _show_segment(_: Intent, item: IntentObject) -> Plain:
    vlan: VlanLink | None = item.vlan
    vxlan: VxlanLink | None = item.vxlan
    return {
        "name": item.name,
        "cluster": item.cluster,
        "kind": "vlan" if vlan else "vxlan" if vxlan else "subnet",
        "trunk": vlan.interface if vlan else "1.1",
        "vlan_tag": vlan.tag if vlan else None,
        "internal": vlan.internal if vlan else False,
        "vni": vxlan.vni if vxlan else None,
        "remote_vteps": list(vxlan.remote_vteps) if vxlan else [],
        "vxlan_port": vxlan.port if vxlan else 4789,
        "vrf": item.vrf,
        "mtu": item.mtu,
        "subnets": [{"prefix": subnet.cidr, "gateway": subnet.gateway} for subnet in item.subnets],
        "description": item.description,
    }


def _mode(values: Plain) -> Mode:
    if values.get("mode"):
        return Mode(values["mode"])
    return Mode.ENFORCED if values.get("is_enabled", True) else Mode.STAGED


def _whole(read: Callable[[Plain], IntentObject]) -> tuple[Any, Any]:
    """``create`` and ``change`` of a collection whose fields make the object by themselves."""

    def create(values: Plain) -> Made:
        item = read(values)
        return edits.create(item), key_of(item).name

    def change(key: Key, values: Plain) -> Made:
        item = read(values)
        return edits.change(key, item), key_of(item).name

    return create, change


def _create_ingress(values: Plain) -> Made:
    return edits.save_ingress(_ingress_draft(values)), values["name"]


def _change_ingress(key: Key, values: Plain) -> Made:
    return edits.save_ingress(_ingress_draft(values), name=key.name), values["name"]


def _create_egress(values: Plain) -> Made:
    return edits.save_egress(_egress_policy(values)), values["name"]


def _change_egress(key: Key, values: Plain) -> Made:
    return edits.save_egress(_egress_policy(values), name=key.name), values["name"]


class EgressRuleShown(EgressRuleBody):
    """A rule, and who granted its private network."""

    is_granted = serializers.BooleanField(help_text="May reach a private network.")
    granted_by = serializers.CharField(allow_null=True)
    granted_at = serializers.DateTimeField(allow_null=True)


_POLICY_FILTERS = {
    "is_enabled": filters.flag("is_enabled"),
    "mode": filters.choice("spec__mode", [mode.value for mode in Mode]),
}
_CLUSTER = {"cluster": filters.text("cluster__name", "The cluster's name.")}
SHAPES: Mapping[str, Shape] = {
    "ingress-policies": Shape(
        IngressPolicyBody,
        _create_ingress,
        _change_ingress,
        _show_ingress,
        read_only={"listener": serializers.CharField()},
        filters={**_POLICY_FILTERS, **_CLUSTER},
    ),
    "egress-policies": Shape(
        EgressPolicyBody,
        _create_egress,
        _change_egress,
        _show_egress,
        read_only={"rules": EgressRuleShown(many=True)},
        filters=_POLICY_FILTERS,
    ),
}


@cache
def shape_of(collection: str) -> Shape:
    """The shape of a collection."""
    if collection in SHAPES:
        return SHAPES[collection]
    if collection == "segments":
        create, change = _whole(_segment)
        return Shape(SegmentBody, create, change, _show_segment, filters=_CLUSTER)
    create, change = _whole(lambda values: shapes.parse(collection, values))
    has_cluster = any(name == "cluster" for name in _names(collection)) or collection == "self-ips"
    return Shape(
        shapes.serializer_of(BY_NAME[collection].kind),
        create,
        change,
        lambda _, item: shapes.snaked(objects.plain(item)),
        filters=_CLUSTER if has_cluster else {},
    )


def _names(collection: str) -> tuple[str, ...]:
    return tuple(shapes.serializer_of(BY_NAME[collection].kind)().fields)


@cache
def shown_serializer(collection: str) -> type[serializers.Serializer[Any]]:  # Any: an object.
    """What an answer says of an object of the collection; for OpenAPI."""
    shape = shape_of(collection)
    name = BY_NAME[collection].kind.__name__
    more = {
        **shape.read_only,
        "version": serializers.CharField(help_text="Also the ETag."),
        "pending": PendingSerializer(many=True, help_text="Plans that wait to change it."),
        "created_at": serializers.DateTimeField(),
        "updated_at": serializers.DateTimeField(),
        "updated_by": serializers.CharField(),
    }
    fields = {**more, "__doc__": shape.serializer.__doc__}
    return type(f"{name}Serializer", (shape.serializer,), fields)


@cache
def body_serializer(collection: str) -> type[serializers.Serializer[Any]]:  # Any: as above.
    """What a request says: the object's fields, the reason, and whether to grant; for OpenAPI."""
    shape = shape_of(collection)
    fields: dict[str, Any] = {  # Any: DRF's fields.
        "reason": serializers.CharField(max_length=2000, help_text="Why; kept in the audit log."),
        "__doc__": shape.serializer.__doc__,
    }
    if collection == "egress-policies":
        fields["grant"] = serializers.BooleanField(
            required=False,
            default=False,
            help_text="Grant the private networks that it names; platform administrators only.",
        )
    name = f"{BY_NAME[collection].kind.__name__}Body"
    return type(name, (shape.serializer,), fields)


def writable(serializer: type[StrictSerializer], shown: Plain) -> Plain:
    """Of what an answer says, what a request may say."""
    declared = serializer().fields
    return {
        name: _writable_value(declared[name], content)
        for name, content in shown.items()
        if name in declared
    }


def _writable_value(declared: Any, content: Any) -> Any:  # Any: a DRF field, and JSON.
    child = getattr(declared, "child", None)
    if isinstance(child, StrictSerializer):
        return [writable(type(child), item) for item in content]
    return content
