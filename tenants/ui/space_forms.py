"""Forms of the platform's address space: what each object has, and the service that saves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants.domain.actor import Actor
from tenants.domain.claims import DEFAULT_VRF, AddressRole
from tenants.domain.roles import Action
from tenants.errors import ConflictError, InvalidError, SluiceError
from tenants.models.claim import AddressClaim
from tenants.models.grant import NamespaceGrant, PrefixGrant, VlanGrant, VniGrant
from tenants.models.pool import AddressPool, Purpose, VlanRange, VniRange
from tenants.models.tenant import Cluster, Flavour, Tenant
from tenants.models.vrf import Vrf
from tenants.services import clusters, pools
from tenants.ui.forms import refuse

_MONO = {"class": "mono", "spellcheck": "false"}
_NAME_HELP = _("Lower-case letters, digits and hyphens.")


class TenantField(forms.CharField):
    """A tenant by its name in the URL."""

    def clean(self, value: Any) -> Any:  # Any: Django's own signature; a Tenant, or None.
        """The tenant.

        Raises:
            ValidationError: there is none of that name.
        """
        slug = super().clean(value).strip()
        if not slug:
            return None
        tenant = Tenant.objects.filter(slug=slug).first()
        if tenant is None:
            raise ValidationError(gettext("There is no tenant %(name)s.") % {"name": slug[:63]})
        return tenant


def _name() -> forms.CharField:
    return forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_NAME_HELP,
        widget=forms.TextInput({"spellcheck": "false"}),
    )


def _description() -> forms.CharField:
    return forms.CharField(
        label=_("Description"), max_length=200, required=False, help_text=_("For people.")
    )


def _cluster() -> "forms.ModelChoiceField[Cluster]":
    return forms.ModelChoiceField(
        Cluster.objects.all(),
        label=_("Cluster"),
        empty_label=_("Choose a cluster"),
        to_field_name="name",
    )


def _vrf() -> "forms.ModelChoiceField[Vrf]":
    return forms.ModelChoiceField(
        Vrf.objects.all(), label=_("VRF"), to_field_name="name", initial=DEFAULT_VRF
    )


def _tenant() -> TenantField:
    return TenantField(label=_("Tenant"), max_length=63, help_text=_("Its name in the URL."))


def _number(label: Any, most: int, *, required: bool = True) -> forms.IntegerField:  # Any: lazy.
    return forms.IntegerField(label=label, min_value=1, max_value=most, required=required)


class SpaceForm(forms.Form):
    """Base: ``save`` calls the service; ``blames`` is the field that a conflict is about.

    Args:
        row: what is changed; None for a new one.
    """

    blames = "name"
    columns: tuple[str, ...] = ()

    def __init__(self, *args: Any, row: Any = None, **kwargs: Any) -> None:  # Any: Django's own.
        self.row = row
        if row is not None:
            kwargs["initial"] = {name: _value(row, name) for name in self.columns}
        super().__init__(*args, **kwargs)
        if "cluster" in self.fields and "cluster" not in self.initial:
            names = list(Cluster.objects.values_list("name", flat=True)[:2])
            self.initial["cluster"] = names[0] if len(names) == 1 else None

    def save(self, actor: Actor) -> Any:  # Any: each form has a row of its own kind.
        """Call the service.

        Raises:
            SluiceError: as the service says.
        """
        raise NotImplementedError

    def refuse(self, error: SluiceError) -> None:
        """Put the service's refusal at the field that it is about."""
        if isinstance(error, ConflictError):
            is_name = error.message.startswith("The name ") and "name" in self.fields
            self.add_error("name" if is_name else self.blames, error.message)
        elif isinstance(error, InvalidError):
            refuse(self, error, otherwise=self.blames)
        else:
            refuse(self, error)

    @property
    def _ends(self) -> tuple[int, int] | None:
        """First and last; None when both are empty."""
        first, last = self.cleaned_data["first"], self.cleaned_data["last"]
        return None if first is None and last is None else (first or last, last or first)


class ClusterForm(SpaceForm):
    """A place whose proxy Sluice keeps."""

    blames = "flavour"

    name = _name()
    flavour = forms.ChoiceField(
        label=_("Proxy"),
        choices=Flavour.choices,
        help_text=_("It cannot be changed later. The local proxy serves one cluster."),
    )

    def save(self, actor: Actor) -> Cluster:
        """As the service."""
        said = self.cleaned_data
        return clusters.create_cluster(said["name"], Flavour(said["flavour"]), actor=actor)


class VrfForm(SpaceForm):
    """A routing table."""

    columns = ("name", "owner", "description")
    name = _name()
    owner = TenantField(
        label=_("Owner"),
        max_length=63,
        required=False,
        help_text=_("The only tenant that may use it. Leave empty to share it."),
    )
    description = _description()

    def save(self, actor: Actor) -> Vrf:
        """As the service."""
        said = self.cleaned_data
        return pools.save_vrf(
            said["name"],
            actor=actor,
            owner=said["owner"],
            description=said["description"],
            vrf=self.row,
        )


class PoolForm(SpaceForm):
    """A prefix that tenants are granted parts of."""

    blames = "prefix"
    columns = ("name", "vrf", "prefix", "purpose", "description")
    name = _name()
    vrf = _vrf()
    prefix = forms.CharField(  # type: ignore[assignment]  # the metaclass takes it from the class
        label=_("Prefix"),
        max_length=49,
        help_text=_("In CIDR notation: 10.96.0.0/11."),
        widget=forms.TextInput(_MONO),
    )
    purpose = forms.ChoiceField(
        label=_("For"),
        choices=Purpose.choices,
        help_text=_("Single addresses for virtual and SNAT addresses, or subnets of segments."),
    )
    description = _description()

    def save(self, actor: Actor) -> AddressPool:
        """As the service."""
        said = self.cleaned_data
        return pools.save_pool(
            said["name"],
            said["vrf"],
            said["prefix"],
            Purpose(said["purpose"]),
            actor=actor,
            description=said["description"],
            pool=self.row,
        )


class VlanRangeForm(SpaceForm):
    """VLAN tags of a trunk."""

    blames = "first"
    columns = ("name", "cluster", "trunk", "first", "last")
    name = _name()
    cluster = _cluster()
    trunk = forms.CharField(
        label=_("Trunk"),
        max_length=32,
        initial="1.1",
        help_text=_("The proxy's interface that carries the VLANs."),
    )
    first = _number(_("First tag"), 4094)
    last = _number(_("Last tag"), 4094)

    def save(self, actor: Actor) -> VlanRange:
        """As the service."""
        said = self.cleaned_data
        ends = (said["first"], said["last"])
        return pools.save_vlan_range(
            said["name"], said["cluster"], ends, actor=actor, trunk=said["trunk"], row=self.row
        )


class VniRangeForm(SpaceForm):
    """VNIs of a cluster."""

    blames = "first"
    columns = ("name", "cluster", "first", "last")
    name = _name()
    cluster = _cluster()
    first = _number(_("First VNI"), 16_777_215)
    last = _number(_("Last VNI"), 16_777_215)

    def save(self, actor: Actor) -> VniRange:
        """As the service."""
        said = self.cleaned_data
        ends = (said["first"], said["last"])
        return pools.save_vni_range(said["name"], said["cluster"], ends, actor=actor, row=self.row)


class ReservationForm(SpaceForm):
    """An address or prefix that no tenant can take."""

    blames = "prefix"
    cluster = _cluster()
    vrf = _vrf()
    prefix = forms.CharField(  # type: ignore[assignment]  # the metaclass takes it from the class
        label=_("Address or prefix"), max_length=49, widget=forms.TextInput(_MONO)
    )
    reason = forms.CharField(label=_("Reason"), max_length=200, help_text=_("Shown in the list."))

    def save(self, actor: Actor) -> AddressClaim:
        """As the service."""
        said = self.cleaned_data
        return pools.reserve(
            said["cluster"], said["vrf"], said["prefix"], actor=actor, reason=said["reason"]
        )


class PrefixGrantForm(SpaceForm):
    """Addresses, or room for subnets."""

    blames = "prefix"
    tenant = _tenant()
    pool = forms.ModelChoiceField(AddressPool.objects.all(), label=_("Pool"), to_field_name="name")
    prefix = forms.CharField(  # type: ignore[assignment]  # the metaclass takes it from the class
        label=_("Prefix"),
        max_length=49,
        required=False,
        help_text=_("A part of the pool. Leave empty for the whole pool."),
        widget=forms.TextInput(_MONO),
    )

    def save(self, actor: Actor) -> PrefixGrant:
        """As the service."""
        said = self.cleaned_data
        return pools.grant_prefix(said["tenant"], said["pool"], actor=actor, prefix=said["prefix"])


class VlanGrantForm(SpaceForm):
    """VLAN tags."""

    blames = "first"
    tenant = _tenant()
    vlan_range = forms.ModelChoiceField(
        VlanRange.objects.all(), label=_("VLAN range"), to_field_name="name"
    )
    first = _number(_("First tag"), 4094, required=False)
    last = _number(_("Last tag"), 4094, required=False)

    def save(self, actor: Actor) -> VlanGrant:
        """As the service."""
        said = self.cleaned_data
        return pools.grant_vlans(said["tenant"], said["vlan_range"], actor=actor, tags=self._ends)


class VniGrantForm(SpaceForm):
    """VNIs."""

    blames = "first"
    tenant = _tenant()
    vni_range = forms.ModelChoiceField(
        VniRange.objects.all(), label=_("VNI range"), to_field_name="name"
    )
    first = _number(_("First VNI"), 16_777_215, required=False)
    last = _number(_("Last VNI"), 16_777_215, required=False)

    def save(self, actor: Actor) -> VniGrant:
        """As the service."""
        said = self.cleaned_data
        return pools.grant_vnis(said["tenant"], said["vni_range"], actor=actor, vnis=self._ends)


class NamespaceGrantForm(SpaceForm):
    """Kubernetes namespaces."""

    blames = "pattern"
    tenant = _tenant()
    cluster = _cluster()
    pattern = forms.CharField(
        label=_("Namespace"),
        max_length=63,
        help_text=_("A name, or how names begin with a star at the end: acme-*."),
        widget=forms.TextInput(_MONO),
    )

    def save(self, actor: Actor) -> NamespaceGrant:
        """As the service."""
        said = self.cleaned_data
        return pools.grant_namespaces(said["tenant"], said["cluster"], said["pattern"], actor=actor)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object of the address space.

    Attributes:
        label: for people.
        is_changed: it can be changed; the others are given and taken back.
        write: the right to make and delete one.
        has_tree: its page shows what was granted and taken of it.
        back: the list that it is on.
    """

    label: Any  # Any: lazy text.
    model: type[models.Model]
    form: type[SpaceForm]
    back: str
    is_changed: bool = False
    has_tree: bool = False
    write: Action = Action.MANAGE_ADDRESS_SPACE


KINDS: Final[Mapping[str, Kind]] = {
    "clusters": Kind(_("cluster"), Cluster, ClusterForm, "clusters", write=Action.MANAGE_PLATFORM),
    "vrfs": Kind(_("VRF"), Vrf, VrfForm, "vrfs", is_changed=True),
    "pools": Kind(_("address pool"), AddressPool, PoolForm, "list", is_changed=True, has_tree=True),
    "vlan-ranges": Kind(
        _("VLAN range"), VlanRange, VlanRangeForm, "list", is_changed=True, has_tree=True
    ),
    "vni-ranges": Kind(
        _("VNI range"), VniRange, VniRangeForm, "list", is_changed=True, has_tree=True
    ),
    "reserved": Kind(_("reservation"), AddressClaim, ReservationForm, "reserved"),
    "prefix-grants": Kind(_("address grant"), PrefixGrant, PrefixGrantForm, "grants"),
    "vlan-grants": Kind(_("VLAN grant"), VlanGrant, VlanGrantForm, "grants"),
    "vni-grants": Kind(_("VNI grant"), VniGrant, VniGrantForm, "grants"),
    "namespace-grants": Kind(_("namespace grant"), NamespaceGrant, NamespaceGrantForm, "grants"),
}


def rows_of(kind: Kind) -> models.QuerySet[Any]:
    """The rows of a kind; of claims only the platform's own."""
    rows: models.QuerySet[Any] = kind.model._default_manager.all()
    if kind.model is AddressClaim:
        return rows.filter(role=AddressRole.RESERVED.value)
    return rows


def delete(row: Any, *, actor: Actor) -> None:  # Any: of any kind.
    """Delete, withdraw or release it, as its kind wants.

    Raises:
        SluiceError: as the service says.
    """
    if isinstance(row, Cluster):
        clusters.delete_cluster(row, actor=actor)
    elif isinstance(row, AddressClaim):
        pools.unreserve(row, actor=actor)
    elif isinstance(row, PrefixGrant | VlanGrant | VniGrant | NamespaceGrant):
        pools.withdraw(row, actor=actor)
    else:
        pools.delete(row, actor=actor)


def _value(row: models.Model, name: str) -> object:
    """What the form's field shows of a row: a reference by its name."""
    value = getattr(row, name)
    return str(value) if isinstance(value, models.Model) else value
