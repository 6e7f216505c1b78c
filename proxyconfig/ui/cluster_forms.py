"""The form of how Sluice reaches a cluster."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from proxyconfig.models.access import AccessMethod, ClusterAccess, DriftPolicy
from proxyconfig.services.cluster_access import Wish

_MONO = {"class": "mono", "spellcheck": "false", "autocomplete": "off"}
# A kubeconfig with its certificates is some 6 KB.
_LONGEST = 100_000


class _Secret(forms.Textarea):
    """Is never filled in: what was typed does not come back in a refused form."""

    def format_value(self, value: Any) -> str:  # Any: Django's own signature.
        """Nothing."""
        return ""


class AccessForm(forms.Form):
    """Address, credential and what the proxy there is called.

    Args:
        row: what is saved; None where nothing is. Its credential is never shown again.
    """

    method = forms.ChoiceField(
        label=_("Connection"), choices=AccessMethod.choices, widget=forms.RadioSelect
    )
    credential = forms.CharField(
        label=_("Kubeconfig or token"),
        max_length=_LONGEST,
        required=False,
        widget=_Secret(attrs={"rows": 5, **_MONO}),
        help_text=_("Encrypted at rest and never shown again. Certificates must be in it."),
    )
    server = forms.CharField(
        label=_("API server"),
        max_length=300,
        required=False,
        help_text=_("With a token only, such as https://10.0.0.1:6443."),
        widget=forms.TextInput(_MONO),
    )
    authority = forms.CharField(
        label=_("Certificate authority"),
        max_length=_LONGEST,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, **_MONO}),
        help_text=_("With a token only: PEM. Leave empty for the system's own."),
    )
    gateway_class = forms.RegexField(
        r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?\Z",
        label=_("GatewayClass"),
        max_length=63,
        help_text=_("Which proxy of the cluster serves the tenants' gateways."),
        widget=forms.TextInput(_MONO),
        error_messages={"invalid": _("Use the name of a GatewayClass, such as traefik.")},
    )
    proxy_namespaces = forms.RegexField(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\s*,\s*[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z",
        label=_("Namespaces of the proxy"),
        max_length=1000,
        help_text=_("Comma-separated. Pods in these namespaces may reach the tenants' services."),
        widget=forms.TextInput(_MONO),
        error_messages={"invalid": _("Use names of namespaces, such as traefik, ingress.")},
    )
    drift_policy = forms.ChoiceField(
        label=_("Fields changed by others"), choices=DriftPolicy.choices, widget=forms.RadioSelect
    )

    def __init__(self, *args: Any, row: ClusterAccess | None = None, **kwargs: Any) -> None:
        kwargs["initial"] = (
            {"method": AccessMethod.KUBECONFIG, "drift_policy": DriftPolicy.HEAL}
            if row is None
            else {
                "method": row.method,
                "server": row.server,
                "authority": row.authority,
                "gateway_class": row.gateway_class,
                "proxy_namespaces": ", ".join(row.proxy_namespaces),
                "drift_policy": row.drift_policy,
            }
        )
        super().__init__(*args, **kwargs)
        if row is not None and row.credential:
            self.fields["credential"].help_text = _("Leave empty to keep the saved one.")

    @property
    def wish(self) -> Wish:
        """What was entered, once valid."""
        said = self.cleaned_data
        names = (name.strip() for name in said["proxy_namespaces"].split(","))
        return Wish(
            method=AccessMethod(said["method"]),
            credential=said["credential"],
            server=said["server"].strip(),
            authority=said["authority"].strip(),
            drift_policy=DriftPolicy(said["drift_policy"]),
            gateway_class=said["gateway_class"],
            proxy_namespaces=tuple(name for name in names if name),
        )
