"""What people type on the front door's pages, checked before any service sees it."""

import ipaddress
from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyconfig.models import EgressPolicy, IngressPolicy, Protocol
from proxyconfig.services.policies import EgressDraft, IngressDraft, RuleDraft
from proxyconfig.ui import destinations
from tenants.domain.actor import Actor
from tenants.domain.states import ChangeState, Direction, Verdict
from tenants.models.segment import VirtualAddress
from tenants.models.tenant import DNS_LABEL, Namespace
from tenants.ui.forms import FilterForm

MOST_CHOICES = 500
_NAME_HELP = _("Lower-case letters, digits and hyphens. It is part of the rule's id.")


def _lines(rows: int, placeholder: str) -> forms.Textarea:
    return forms.Textarea(
        attrs={"rows": rows, "class": "mono", "placeholder": placeholder, "spellcheck": "false"}
    )


class IngressForm(forms.Form):
    """An ingress policy; the choices are the tenant's own addresses and namespaces."""

    name = forms.CharField(
        label=_("Name"), max_length=63, validators=[DNS_LABEL], help_text=_NAME_HELP
    )
    virtual_address = forms.ChoiceField(label=_("Virtual address"))
    port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65535, initial=8080)
    protocol = forms.ChoiceField(label=_("Protocol"), choices=Protocol.choices)
    allowed_sources = forms.CharField(
        label=_("Allowed sources"),
        required=False,
        widget=_lines(3, "10.0.0.0/8"),
        help_text=_(
            "Networks in CIDR notation, one a line; the proxy enforces them. Empty: any client,"
            " which needs approval on a port below 1024."
        ),
    )
    hostnames = forms.CharField(
        label=_("Host names"), required=False, help_text=_("With commas between. Empty: any.")
    )
    path_prefix = forms.CharField(label=_("Path prefix"), max_length=200, initial="/")
    namespace = forms.ChoiceField(label=_("Namespace"))
    service = forms.CharField(
        label=_("Service"), max_length=63, validators=[DNS_LABEL], initial="ragapp"
    )
    service_port = forms.IntegerField(
        label=_("Service port"), min_value=1, max_value=65535, initial=8080
    )
    is_enabled = forms.BooleanField(
        label=_("Enabled"),
        required=False,
        initial=True,
        help_text=_("A disabled policy is kept, but nothing of it reaches the proxy."),
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:  # Any: Django's own.
        super().__init__(*args, **kwargs)
        addresses = VirtualAddress.objects.values_list("address", flat=True)[:MOST_CHOICES]
        namespaces = Namespace.objects.values_list("name", flat=True).distinct()[:MOST_CHOICES]
        for field, values in (("virtual_address", addresses), ("namespace", namespaces)):
            choices = [(value, value) for value in values]
            self.fields[field].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    def clean_allowed_sources(self) -> tuple[str, ...]:
        """The networks, in canonical form."""
        words = self.cleaned_data["allowed_sources"].replace(",", " ").split()
        return tuple(_network(word) for word in words)

    def clean_hostnames(self) -> tuple[str, ...]:
        """The host names, in lower case."""
        return tuple(self.cleaned_data["hostnames"].lower().replace(",", " ").split())

    @property
    def draft(self) -> IngressDraft:
        """What the form says, for the service."""
        values = dict(self.cleaned_data)
        return IngressDraft(**{**values, "protocol": Protocol(values["protocol"])})

    @staticmethod
    def initial_of(policy: IngressPolicy) -> dict[str, object]:
        """What the form shows of a policy."""
        listener = policy.listener
        return {
            "name": policy.name,
            "virtual_address": listener.virtual_address.address,
            "port": listener.port,
            "protocol": listener.protocol,
            "allowed_sources": "\n".join(policy.allowed_sources),
            "hostnames": ", ".join(policy.hostnames),
            "path_prefix": policy.path_prefix,
            "namespace": policy.namespace.name,
            "service": policy.service,
            "service_port": policy.service_port,
            "is_enabled": policy.is_enabled,
        }


class EgressForm(forms.Form):
    """An egress policy; only a platform administrator sees the grant."""

    name = forms.CharField(
        label=_("Name"), max_length=63, validators=[DNS_LABEL], help_text=_NAME_HELP
    )
    destinations = forms.CharField(
        label=_("Destinations"),
        widget=_lines(5, "docs.example.org:443\n*.example.com:443,8443\n203.0.113.0/24:443"),
        help_text=_(
            "One a line: a host name, *.example.org for all names below it, or a network in CIDR"
            " notation, then its ports. The proxy reads them in this order."
        ),
    )
    grant = forms.BooleanField(
        label=_("Grant the private networks named above"),
        required=False,
        help_text=_("Without it nothing passes to a private or loopback network."),
    )
    is_enabled = forms.BooleanField(
        label=_("Enabled"),
        required=False,
        initial=True,
        help_text=_("A disabled policy is kept, but nothing of it reaches the proxy."),
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:  # Any: Django's own.
        super().__init__(*args, **kwargs)
        if not actor.is_platform_admin:
            del self.fields["grant"]

    def clean_destinations(self) -> str:
        """The text, once every line of it is a rule."""
        text = str(self.cleaned_data["destinations"])
        self._rules = destinations.parse(text)
        return text

    def clean(self) -> dict[str, Any]:  # Any: Django's own signature.
        """An administrator's save grants, so the administrator has to say so."""
        values = super().clean() or self.cleaned_data
        rules: tuple[RuleDraft, ...] = getattr(self, "_rules", ())
        if "grant" in self.fields and not values["grant"]:
            private = [rule.network for rule in rules if destinations.is_private(rule)]
            if private:
                self.add_error(
                    "grant",
                    gettext("Tick this to let the tenant reach %(networks)s, or leave them out.")
                    % {"networks": ", ".join(str(network) for network in private)},
                )
        return values

    @property
    def draft(self) -> EgressDraft:
        """What the form says, for the service."""
        return EgressDraft(
            name=self.cleaned_data["name"],
            rules=self._rules,
            is_enabled=self.cleaned_data["is_enabled"],
        )

    @staticmethod
    def initial_of(policy: EgressPolicy) -> dict[str, object]:
        """What the form shows of a policy."""
        rules = list(policy.rules.all())
        return {
            "name": policy.name,
            "destinations": destinations.write(rules),
            "grant": any(rule.is_granted for rule in rules),
            "is_enabled": policy.is_enabled,
        }


class ReasonForm(forms.Form):
    """Why: required for every change."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept with the revision and in the audit log."),
    )


class DecisionForm(forms.Form):
    """What a second person says to a plan."""

    comment = forms.CharField(
        label=_("Comment"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept with the plan and in the audit log."),
    )


class PlanFilter(FilterForm):
    """Which plans."""

    state = forms.ChoiceField(
        label=_("State"),
        choices=[("", _("Any state")), *((state.value, state.value) for state in ChangeState)],
    )
    author = forms.CharField(label=_("Author"), max_length=150)

    def condition(self) -> Q:
        """The filters as one condition on plans."""
        named = (("state", self.value("state")), ("author_name", self.value("author")))
        return Q(**{name: value for name, value in named if value})


class ConnectionFilter(FilterForm):
    """Which connections."""

    direction = forms.ChoiceField(
        label=_("Way"),
        choices=[("", _("In and out")), *((way.value, way.value) for way in Direction)],
    )
    verdict = forms.ChoiceField(
        label=_("Verdict"),
        choices=[("", _("Any verdict")), *((verdict.value, verdict.value) for verdict in Verdict)],
    )
    host = forms.CharField(label=_("Destination"), max_length=253)
    rule = forms.CharField(label=_("Rule begins with"), max_length=200)
    trace = forms.RegexField(label=_("Trace id"), regex=r"\A[0-9a-f]{32}\Z")

    def condition(self) -> Q:
        """The filters as one condition on connections."""
        named = (
            ("direction", self.value("direction")),
            ("verdict", self.value("verdict")),
            ("destination_host", self.value("host").lower()),
            ("rule_id__startswith", self.value("rule")),
            ("trace_id", self.value("trace")),
        )
        return Q(**{name: value for name, value in named if value})


def _network(text: str) -> str:
    """One network or address in canonical form.

    Raises:
        ValidationError: it is neither.
    """
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise forms.ValidationError(
            gettext("“%(text)s” is no network in CIDR notation: %(why)s.")
            % {"text": text[:80], "why": error}
        ) from error
