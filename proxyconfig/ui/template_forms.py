"""The forms of templates, and of a tenant made from one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyconfig.domain.codec import limit_complaint
from proxyconfig.domain.fields import Limits, Mode
from proxyconfig.domain.template import (
    TENANT,
    AddressTemplate,
    EgressTemplate,
    IngressTemplate,
    QuotaTemplate,
    SegmentTemplate,
    SubnetTemplate,
    Template,
)
from proxyconfig.ui import rules
from proxyconfig.ui.fields import Choices, LinesField, RulesField, form_field, shape_at
from proxyconfig.ui.layout import Entry, Section
from proxyconfig.ui.limit_forms import (
    LIMIT_SECTIONS,
    limit_fields,
    limit_values,
    limits_said,
    shown_sections,
)
from proxyconfig.ui.object_forms import ShownSection
from tenants.domain.notation import sentence
from tenants.domain.numbers import whole_number
from tenants.domain.quota import Resource
from tenants.errors import ConflictError, InvalidError, SluiceError
from tenants.models.pool import AddressPool, Purpose, VlanRange, VniRange
from tenants.models.template import TenantTemplate
from tenants.models.tenant import Cluster
from tenants.models.vrf import Vrf
from tenants.services import quotas
from tenants.ui.forms import refuse

_LIMITS = "limits_"
_MOST_NAMED = 20
_NAME: Final = shape_at((AddressTemplate,), "pool").shape.limits
_PATTERN_HELP = _("{tenant} stands for the tenant's name.")
_SUBNETS_HELP = _(
    "One per line: a pool of subnets and a size, as in tenants /24. The first host is the gateway;"
    " write no-gateway behind the size where there is none."
)
_ADDRESSES_HELP = _("One per line: a pool of addresses and how many, as in virtual 1.")

_NETWORK = (
    Section(
        "",
        (
            Entry("name", _("Name"), 3),
            Entry("cluster", _("Cluster"), 3),
            Entry("description", _("Description")),
            Entry("vrf", _("VRF"), 3),
            Entry("own_vrf", _("VRF of its own"), 3),
        ),
    ),
    Section(
        _("VLAN"),
        (
            Entry("vlan_range", _("VLAN range"), 3),
            Entry("vlan_name", _("Segment"), 3),
            Entry("vlan_subnets", _("Subnets")),
            Entry("vlan_self_ips", _("Self-IPs"), 3),
        ),
        note=_("Leave the range and the subnets empty to give tenants no such segment."),
        icon="network",
    ),
    Section(
        _("VXLAN overlay"),
        (
            Entry("vni_range", _("VNI range"), 3),
            Entry("overlay_name", _("Segment"), 3),
            Entry("overlay_vteps", _("Remote VTEPs")),
            Entry("overlay_subnets", _("Subnets")),
            Entry("overlay_self_ips", _("Self-IPs"), 3),
        ),
        note=_("Leave the range empty to give tenants no overlay."),
        icon="layers",
    ),
    Section(
        _("Addresses"),
        (
            Entry("virtual_addresses", _("Virtual addresses"), 3),
            Entry("snat_addresses", _("SNAT addresses"), 3),
            Entry("snat_pool", _("SNAT pool"), 3),
        ),
        icon="connections",
    ),
    Section(
        _("Namespaces"),
        (
            Entry("namespaces", _("Namespaces"), 3),
            Entry("namespace_grants", _("More that it may take"), 3),
        ),
    ),
    Section(
        _("Ingress policy"),
        (
            Entry("ingress_port", _("Port"), 2),
            Entry("ingress_name", _("Name"), 4),
            Entry("ingress_sources", _("Allowed sources")),
            Entry("ingress_namespace", _("Namespace"), 2),
            Entry("ingress_service", _("Service"), 2),
            Entry("ingress_service_port", _("Service port"), 2),
        ),
        note=_("On the first virtual address. Leave the port empty for none: nothing comes in."),
        icon="in",
    ),
    Section(
        _("Egress policy"),
        (
            Entry("egress_rules", _("Destinations")),
            Entry("egress_name", _("Name"), 4),
        ),
        note=_("Leave the destinations empty for none: nothing goes out."),
        icon="out",
    ),
)
_GUARDRAILS = (
    Section(_("Guardrails"), (Entry("auto_apply", ""),), icon="policy"),
    Section(_("Quotas"), (Entry("quotas", _("Limits")),), icon="layers"),
)
# Where the page shows what is wrong with a part of a template.
_BLAMED = {
    "segments": "vlan_subnets",
    "self_ips": "vlan_self_ips",
    "ingress": "ingress_port",
    "egress": "egress_rules",
    "limits": "auto_apply",
}


def _choice(label: Any, names: Sequence[str], *, empty: Any = None) -> forms.ChoiceField:
    """Any: lazy text."""
    first = [] if empty is None else [("", empty)]
    choices: Choices = [*first, *((name, name) for name in names)]
    return forms.ChoiceField(label=label, choices=choices, required=empty is None)


def _cluster(names: Sequence[str]) -> forms.ChoiceField:
    """The only one; of several none is chosen before somebody does."""
    field = _choice(_("Cluster"), names)
    if len(names) > 1:
        field.choices = [("", _("Choose a cluster")), *((name, name) for name in names)]
    return field


def _pattern(label: Any, initial: str) -> forms.CharField:  # Any: lazy text.
    limits = shape_at((SegmentTemplate,), "name").shape.limits
    return PatternField(
        limits, label=label, initial=initial, required=False, help_text=_PATTERN_HELP
    )


class PatternField(forms.CharField):
    """A name with ``{tenant}`` in it."""

    def __init__(self, limits: Limits, **kwargs: Any) -> None:  # Any: Django's own.
        super().__init__(
            max_length=limits.longest, widget=forms.TextInput({"spellcheck": "false"}), **kwargs
        )
        self._limits = limits

    def validate(self, value: str) -> None:
        """Refuse what a template's own limits refuse."""
        super().validate(value)
        if value and (wrong := limit_complaint(self._limits, value)):
            raise forms.ValidationError(sentence(wrong))


class TemplateForm(forms.Form):
    """What each tenant of the template is given.

    Args:
        existing: the template that is changed; what the form has no field for stays as it is.
    """

    name = forms.CharField(
        label=_("Name"), max_length=63, help_text=_("Lower-case letters, digits and hyphens.")
    )
    description = forms.CharField(
        label=_("Description"), max_length=200, required=False, help_text=_("For people.")
    )
    own_vrf = forms.BooleanField(
        label=_("A VRF for each tenant"),
        required=False,
        help_text=_("Named after the tenant, with its own copies of the pools of subnets below."),
    )
    vlan_self_ips = forms.IntegerField(
        label=_("Self-IPs"),
        min_value=0,
        max_value=256,
        initial=0,
        help_text=_("Proxy instances that get one, after the gateway."),
    )
    overlay_self_ips = forms.IntegerField(
        label=_("Self-IPs"),
        min_value=0,
        max_value=256,
        initial=0,
        help_text=_("Proxy instances that get one, after the gateway."),
    )
    ingress_port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65535, required=False)
    ingress_service = forms.CharField(
        label=_("Service"), max_length=63, required=False, initial="ragapp"
    )
    ingress_service_port = forms.IntegerField(
        label=_("Service port"), min_value=1, max_value=65535, required=False, initial=8080
    )
    auto_apply = forms.BooleanField(
        label=_("Apply changes inside the guardrails automatically"),
        required=False,
        initial=True,
        help_text=_("Otherwise every change, the first one too, waits for another member."),
    )

    def __init__(
        self,
        data: Any = None,  # Any: a QueryDict, or a test's dict.
        *,
        row: TenantTemplate | None = None,
        existing: Template | None = None,
    ) -> None:
        self.existing = existing
        shown = existing or Template(cluster="")
        initial: dict[str, object] = limit_values(shown.limits, _LIMITS)
        if row is not None:
            initial |= {"name": row.name, "description": row.description}
        initial |= _initial(existing) if existing else {"namespaces": shown.namespaces}
        super().__init__(data, initial=initial)
        self.fields.update(_choices())
        self.fields.update(_lists())
        self.fields.update(limit_fields(_LIMITS))

    def sections(self) -> list[ShownSection]:
        """The fields as the page shows them; guardrails are folded."""
        policies, quotas = _GUARDRAILS
        folded = tuple(
            replace(section, title=gettext("Guardrails: %(of)s") % {"of": section.title})
            for section in LIMIT_SECTIONS
        )
        folded = tuple(replace(section, is_folded=True) for section in folded)
        return [
            *shown_sections(self, (*_NETWORK, policies)),
            *shown_sections(self, folded, _LIMITS),
            *shown_sections(self, (quotas,)),
        ]

    @property
    def template(self) -> Template:
        """What a valid form says."""
        said = self.cleaned_data
        before = self.existing or Template(cluster=said["cluster"])
        return replace(
            before,
            cluster=said["cluster"],
            vrf=said["vrf"] or None,
            own_vrf=said["own_vrf"],
            segments=self._segments(before),
            virtual_addresses=said["virtual_addresses"],
            snat_addresses=said["snat_addresses"],
            snat_pool=said["snat_pool"] or "default",
            namespaces=said["namespaces"],
            namespace_grants=said["namespace_grants"],
            ingress=self._ingress(before),
            egress=self._egress(before),
            limits=limits_said(said, _LIMITS),
            auto_apply=said["auto_apply"],
            quotas=said["quotas"],
        )

    def refuse(self, error: SluiceError) -> None:
        """Put the service's refusal at the part that it is about."""
        if isinstance(error, ConflictError):
            self.add_error("name", error.message)
            return
        if not isinstance(error, InvalidError):
            refuse(self, error)
            return
        for name, complaints in error.fields.items():
            field = _BLAMED.get(name, name)
            if name == "segments" and not self.cleaned_data.get("vlan_subnets"):
                field = "overlay_subnets" if self.cleaned_data.get("vni_range") else "vlan_subnets"
            self.add_error(field if field in self.fields else None, complaints)

    def _segments(self, before: Template) -> tuple[SegmentTemplate, ...]:
        said = self.cleaned_data
        vlan, overlay, rest = _parts(before)
        made = []
        if said["vlan_range"] or said["vlan_subnets"]:
            made.append(
                replace(
                    vlan or SegmentTemplate(name="x"),
                    name=said["vlan_name"] or f"{TENANT}-vlan",
                    vlan_range=said["vlan_range"] or None,
                    subnets=said["vlan_subnets"],
                    self_ips=said["vlan_self_ips"],
                )
            )
        if said["vni_range"]:
            made.append(
                replace(
                    overlay or SegmentTemplate(name="x"),
                    name=said["overlay_name"] or f"{TENANT}-overlay",
                    vni_range=said["vni_range"],
                    remote_vteps=said["overlay_vteps"],
                    subnets=said["overlay_subnets"],
                    self_ips=said["overlay_self_ips"],
                )
            )
        return (*made, *rest)

    def _ingress(self, before: Template) -> tuple[IngressTemplate, ...]:
        said = self.cleaned_data
        if said["ingress_port"] is None:
            return before.ingress[1:]
        first = before.ingress[0] if before.ingress else IngressTemplate(port=1)
        made = replace(
            first,
            name=said["ingress_name"] or "web",
            port=said["ingress_port"],
            sources=said["ingress_sources"],
            namespace=said["ingress_namespace"] or TENANT,
            service=said["ingress_service"] or "ragapp",
            service_port=said["ingress_service_port"] or 8080,
        )
        return (made, *before.ingress[1:])

    def _egress(self, before: Template) -> tuple[EgressTemplate, ...]:
        said = self.cleaned_data
        lines: Sequence[rules.Line] = said["egress_rules"]
        if not lines:
            return before.egress[1:]
        old = before.egress[0] if before.egress else None
        numbered = rules.renumber(old.rules if old else (), [line.rule for line in lines])
        mode = old.mode if old else Mode.ENFORCED
        made = EgressTemplate(name=said["egress_name"] or "default", rules=numbered, mode=mode)
        return (made, *before.egress[1:])


def _choices() -> dict[str, forms.Field]:
    """Fields that name what the platform has; four queries."""

    def names(model: type[Any]) -> list[str]:  # Any: each model has a manager of its own.
        return list(model.objects.values_list("name", flat=True))

    default = _("default")
    return {
        "cluster": _cluster(names(Cluster)),
        "vrf": _choice(_("VRF"), [name for name in names(Vrf) if name != "default"], empty=default),
        "vlan_range": _choice(_("VLAN range"), names(VlanRange), empty=_("None")),
        "vni_range": _choice(_("VNI range"), names(VniRange), empty=_("None")),
    }


def _lists() -> dict[str, forms.Field]:
    """The fields that are made from types, or know what there is."""
    return {**_network_fields(), **_policy_fields()}


def _lines(read: Any, write: Any, label: Any, text: str, **more: Any) -> LinesField:
    """Any: items of each field's own type, and Django's own."""
    return LinesField(
        read, write, label=label, help_text=text, required=False, per_line=True, **more
    )


def _words(kind: type, path: str, label: Any, text: Any, **more: Any) -> forms.Field:
    """Any: Django's lazy texts, and an entry's own options."""
    entry = Entry(path, label, help=text, **more)
    return form_field(shape_at((kind,), path), entry, None, is_required=False)


def _known(pools: Sequence[tuple[str, str]], purpose: Purpose) -> str:
    """The names of the pools that a field can name."""
    names = [name for name, its_purpose in pools if its_purpose == purpose][:_MOST_NAMED]
    return gettext("Pools: %(names)s.") % {"names": ", ".join(names) or gettext("none yet")}


def _network_fields() -> dict[str, forms.Field]:
    pools = list(AddressPool.objects.values_list("name", "purpose"))
    subnets_help = f"{_SUBNETS_HELP} {_known(pools, Purpose.SUBNETS)}"
    addresses_help = f"{_ADDRESSES_HELP} {_known(pools, Purpose.ADDRESSES)}"
    return {
        "vlan_name": _pattern(_("Segment"), f"{TENANT}-vlan"),
        "vlan_subnets": _lines(_read_subnet, _write_subnet, _("Subnets"), subnets_help),
        "overlay_name": _pattern(_("Segment"), f"{TENANT}-overlay"),
        "overlay_subnets": _lines(_read_subnet, _write_subnet, _("Subnets"), subnets_help),
        "overlay_vteps": _words(
            SegmentTemplate, "remote_vteps", _("Remote VTEPs"), _("Addresses, one per line.")
        ),
        "virtual_addresses": _lines(
            _read_addresses, _write_addresses, _("Virtual addresses"), addresses_help
        ),
        "snat_addresses": _lines(
            _read_addresses, _write_addresses, _("SNAT addresses"), addresses_help
        ),
        "snat_pool": _pattern(_("SNAT pool"), "default"),
        "namespaces": _words(
            Template, "namespaces", _("Namespaces"), _PATTERN_HELP, placeholder=TENANT
        ),
        "namespace_grants": _words(
            Template,
            "namespace_grants",
            _("More that it may take"),
            _("One per line, with a star at the end for names that begin so."),
            placeholder=f"{TENANT}-*",
        ),
    }


def _policy_fields() -> dict[str, forms.Field]:
    return {
        "ingress_name": _pattern(_("Name"), "web"),
        "ingress_sources": _words(
            IngressTemplate,
            "sources",
            _("Allowed sources"),
            _("Addresses or networks, one per line. Leave empty for any client."),
        ),
        "ingress_namespace": _pattern(_("Namespace"), TENANT),
        "egress_rules": RulesField(
            label=_("Destinations"),
            required=False,
            help_text=_("One rule per line, as in an egress policy: docs.example.org:443."),
        ),
        "egress_name": _pattern(_("Name"), "default"),
        "quotas": _lines(
            _read_quota,
            _write_quota,
            _("Limits"),
            gettext("One per line: a resource and a number. Resources: %(names)s.")
            % {"names": ", ".join(Resource)},
        ),
    }


def _initial(template: Template) -> dict[str, object]:
    vlan, overlay, _rest = _parts(template)
    ingress = template.ingress[0] if template.ingress else None
    egress = template.egress[0] if template.egress else None
    values: dict[str, object] = {
        "cluster": template.cluster,
        "vrf": template.vrf or "",
        "own_vrf": template.own_vrf,
        "virtual_addresses": template.virtual_addresses,
        "snat_addresses": template.snat_addresses,
        "snat_pool": template.snat_pool,
        "namespaces": template.namespaces,
        "namespace_grants": template.namespace_grants,
        "auto_apply": template.auto_apply,
        "quotas": template.quotas,
    }
    if vlan is not None:
        values |= {
            "vlan_range": vlan.vlan_range or "",
            "vlan_name": vlan.name,
            "vlan_subnets": vlan.subnets,
            "vlan_self_ips": vlan.self_ips,
        }
    if overlay is not None:
        values |= {
            "vni_range": overlay.vni_range or "",
            "overlay_name": overlay.name,
            "overlay_vteps": overlay.remote_vteps,
            "overlay_subnets": overlay.subnets,
            "overlay_self_ips": overlay.self_ips,
        }
    if ingress is not None:
        values |= {
            "ingress_name": ingress.name,
            "ingress_port": ingress.port,
            "ingress_sources": ingress.sources,
            "ingress_namespace": ingress.namespace,
            "ingress_service": ingress.service,
            "ingress_service_port": ingress.service_port,
        }
    if egress is not None:
        values |= {"egress_name": egress.name, "egress_rules": egress.rules}
    return values


def _parts(
    template: Template,
) -> tuple[SegmentTemplate | None, SegmentTemplate | None, tuple[SegmentTemplate, ...]]:
    """The segments that the form has fields for, and the rest."""
    vlan = next((entry for entry in template.segments if not entry.vni_range), None)
    overlay = next((entry for entry in template.segments if entry.vni_range), None)
    rest = tuple(entry for entry in template.segments if entry not in (vlan, overlay))
    return vlan, overlay, rest


def _read_subnet(line: str) -> SubnetTemplate:
    pool, *rest = line.lower().replace(",", " ").split()
    sizes = [word.removeprefix("/") for word in rest if word != "no-gateway"]
    length = whole_number(sizes[0], most=128) if len(sizes) == 1 else None
    if not length:
        raise ValueError(gettext("“%(line)s” is not a pool and a size") % {"line": line[:80]})
    if wrong := limit_complaint(_NAME, pool):
        raise ValueError(wrong)
    return SubnetTemplate(pool=pool, length=length, gateway="no-gateway" not in rest)


def _write_subnet(subnet: SubnetTemplate) -> str:
    end = "" if subnet.gateway else " no-gateway"
    return f"{subnet.pool} /{subnet.length}{end}"


def _read_addresses(line: str) -> AddressTemplate:
    pool, *rest = line.lower().replace(",", " ").split()
    count = whole_number(rest[0] if rest else "1", most=256)
    if len(rest) > 1 or not count:
        raise ValueError(gettext("“%(line)s” is not a pool and a number") % {"line": line[:80]})
    if wrong := limit_complaint(_NAME, pool):
        raise ValueError(wrong)
    return AddressTemplate(pool=pool, count=count)


def _write_addresses(entry: AddressTemplate) -> str:
    return f"{entry.pool} {entry.count}"


def _read_quota(line: str) -> QuotaTemplate:
    word, *rest = line.lower().split()
    if word not in list(Resource):
        raise ValueError(gettext("“%(word)s” is not a resource") % {"word": word[:40]})
    limit = whole_number(rest[0], most=quotas.MOST) if len(rest) == 1 else None
    if limit is None:
        raise ValueError(gettext("“%(line)s” has no number") % {"line": line[:80]})
    return QuotaTemplate(resource=Resource(word), limit=limit)


def _write_quota(quota: QuotaTemplate) -> str:
    return f"{quota.resource} {quota.limit}"
