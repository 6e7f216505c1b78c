"""The form of a new tenant: its name, its template and its first NetOps."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyconfig.services.new_tenants import Begin, Member
from proxyconfig.ui.layout import Entry, Section
from proxyconfig.ui.limit_forms import (
    shown_sections,
)
from proxyconfig.ui.object_forms import ShownSection
from tenants.domain.notation import address_complaint, sentence
from tenants.domain.roles import Role
from tenants.models.template import TenantTemplate

_MOST_MEMBERS = 100
_BEGIN = ("vlan_tag", "vni", "subnet", "virtual_address", "snat_address")


def _is_address(text: str) -> None:
    if wrong := address_complaint(text):
        raise forms.ValidationError(sentence(wrong))


def _address(label: Any) -> forms.CharField:  # Any: lazy text.
    return forms.CharField(
        label=label,
        max_length=45,
        required=False,
        validators=[_is_address],
        widget=forms.TextInput({"class": "mono", "spellcheck": "false"}),
    )


class NewTenantForm(forms.Form):
    """A tenant, its template and its first NetOps."""

    slug = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("In addresses and object names: lower-case letters, digits and hyphens."),
        widget=forms.TextInput({"spellcheck": "false"}),
    )
    name = forms.CharField(label=_("Display name"), max_length=200)
    template = forms.ChoiceField(
        label=_("Template"),
        required=False,
        help_text=_("Gives the tenant its first network. Without a template it starts empty."),
    )
    netops = forms.CharField(
        label=_("NetOps"),
        max_length=2000,
        required=False,
        help_text=_("User names, comma-separated. They then add the other members."),
        widget=forms.TextInput({"spellcheck": "false", "autocomplete": "off"}),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept with the plan and in the audit log."),
    )
    vlan_tag = forms.IntegerField(
        label=_("VLAN tag from"), min_value=1, max_value=4094, required=False
    )
    vni = forms.IntegerField(label=_("VNI from"), min_value=1, max_value=16777215, required=False)
    subnet = _address(_("Subnet from"))
    virtual_address = _address(_("Virtual address from"))
    snat_address = _address(_("SNAT address from"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own.
        super().__init__(*args, **kwargs)
        names = list(TenantTemplate.objects.values_list("name", flat=True))
        choices = [*((name, name) for name in names), ("", gettext("Empty: no network"))]
        self.fields["template"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    @property
    def members(self) -> list[Member]:
        """The first NetOps."""
        names = self.cleaned_data["netops"].replace(",", " ").split()
        return [Member(name, Role.NETOPS) for name in dict.fromkeys(names)]

    @property
    def begin(self) -> Begin:
        """Where to begin the search for what is free."""
        said = self.cleaned_data
        return Begin(
            vlan_tag=said["vlan_tag"],
            vni=said["vni"],
            subnet=said["subnet"] or None,
            virtual_address=said["virtual_address"] or None,
            snat_address=said["snat_address"] or None,
        )

    def clean_netops(self) -> str:
        """So many at once and no more."""
        names = str(self.cleaned_data["netops"])
        if len(names.replace(",", " ").split()) > _MOST_MEMBERS:
            raise forms.ValidationError(gettext("At most 100 names at once."))
        return names

    def clean(self) -> dict[str, Any]:  # Any: Django's own signature.
        """Start values need a template."""
        said = super().clean() or self.cleaned_data
        if not said.get("template"):
            for name in _BEGIN:
                if said.get(name):
                    self.add_error(name, gettext("Choose a template that takes one."))
        return said

    def sections(self) -> list[ShownSection]:
        """The fields as the page shows them; where to begin is folded."""
        main = ("slug", "name", "template", "netops", "reason")
        halves = {"slug", "name", "template", "netops"}
        return shown_sections(
            self,
            (
                Section("", tuple(Entry(name, "", 3 if name in halves else 6) for name in main)),
                Section(
                    _("Advanced"),
                    tuple(Entry(name, "", 3) for name in _BEGIN),
                    note=_("Take the first free value from here on. Leave empty for the next."),
                    is_folded=True,
                ),
            ),
        )
