"""Pages of the platform's address space: read by all platform staff, changed by its NetOps."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from tenants.access import PlatformRequest, platform_page, require
from tenants.domain.claims import AddressRole
from tenants.domain.roles import Action
from tenants.errors import InvalidError, NotVisibleError, SluiceError
from tenants.models.claim import AddressClaim
from tenants.models.pool import AddressPool, VlanRange, VniRange
from tenants.models.tenant import Cluster, Tenant
from tenants.models.vrf import Vrf
from tenants.services import lookup
from tenants.ui import space
from tenants.ui.forms import status_of
from tenants.ui.paging import page_of
from tenants.ui.space_forms import KINDS, Kind, delete, rows_of

_WRITE = Action.MANAGE_ADDRESS_SPACE


@platform_page(Action.VIEW)
def space_list(request: PlatformRequest) -> HttpResponse:
    """Pools and ranges with how full they are, and the answer to "who has this"."""
    found = space.uses()
    page = page_of(request, AddressPool.objects.select_related("vrf"))
    vlans = VlanRange.objects.select_related("cluster")[: space.MOST_ROWS]
    vnis = VniRange.objects.select_related("cluster")[: space.MOST_ROWS]
    context = {
        "page": page,
        "pools": space.used("pool", page, found),
        "vlan_ranges": space.used("vlan-range", vlans, found),
        "vni_ranges": space.used("vni-range", vnis, found),
        **_answer(request),
    }
    return _page(request, "tenants/space_list.html", "list", context)


@platform_page(Action.VIEW)
def cluster_list(request: PlatformRequest) -> HttpResponse:
    """The places whose proxies Sluice keeps."""
    context = {
        "page": page_of(request, Cluster.objects.all()),
        "can_manage": request.actor.may(Action.MANAGE_PLATFORM),
    }
    return _page(request, "tenants/space_clusters.html", "clusters", context)


@platform_page(Action.VIEW)
def vrf_list(request: PlatformRequest) -> HttpResponse:
    """Routing tables."""
    page = page_of(request, Vrf.objects.select_related("owner"))
    return _page(request, "tenants/space_vrfs.html", "vrfs", {"page": page})


@platform_page(Action.VIEW)
def reserved_list(request: PlatformRequest) -> HttpResponse:
    """What no tenant can take."""
    rows = AddressClaim.objects.filter(role=AddressRole.RESERVED.value)
    page = page_of(request, rows.select_related("cluster", "vrf"))
    return _page(request, "tenants/space_reserved.html", "reserved", {"page": page})


@platform_page(Action.VIEW)
def grant_list(request: PlatformRequest) -> HttpResponse:
    """What each tenant may take; of one tenant where the address names it."""
    slug = request.GET.get("tenant", "").replace("\0", "").strip()
    tenant = Tenant.objects.filter(slug=slug).first() if slug else None
    is_unknown = bool(slug) and tenant is None
    titles = {kind: f"{capfirst(entry.label)}s" for kind, entry in KINDS.items()}
    context = {
        "groups": [] if is_unknown else space.all_grants(tenant, titles),
        "slug": slug,
        "is_unknown": is_unknown,
        "most": space.MOST_ROWS,
    }
    return _page(request, "tenants/space_grants.html", "grants", context)


@platform_page(Action.VIEW)
def space_detail(request: PlatformRequest, kind: str, pk: int) -> HttpResponse:
    """A pool or range: grants, what was taken of them, and the addresses in it."""
    entry = _kind(kind)
    row = _row(entry, pk)
    if not entry.has_tree:
        return redirect("tenants:space-edit", kind, pk)
    page = page_of(request, space.grants_of(row))
    (shown,) = space.used(kind.removesuffix("s"), [row], space.uses())
    context = {
        "kind": kind,
        "entry": entry,
        "row": row,
        "use": shown.use,
        "page": page,
        "branches": space.branches(list(page)),
    }
    return _page(request, "tenants/space_detail.html", "list", context)


@platform_page(_WRITE)
def space_create(request: PlatformRequest, kind: str) -> HttpResponse:
    """A new object of the address space."""
    entry = _kind(kind)
    require(request.actor, entry.write)
    return _form_page(request, kind, entry, None)


@platform_page(_WRITE)
def space_edit(request: PlatformRequest, kind: str, pk: int) -> HttpResponse:
    """An object of the address space, to change."""
    entry = _kind(kind)
    if not entry.is_changed:
        raise NotVisibleError(f"No {entry.label} can be edited. Delete it, and add another.")
    return _form_page(request, kind, entry, _row(entry, pk))


@platform_page(_WRITE)
def space_delete(request: PlatformRequest, kind: str, pk: int) -> HttpResponse:
    """Ask, then delete; refused where something uses it."""
    entry = _kind(kind)
    require(request.actor, entry.write)
    row = _row(entry, pk)
    refusal = ""
    if request.method == "POST":
        try:
            name = str(row)
            delete(row, actor=request.actor)
        except SluiceError as error:
            refusal = error.message
        else:
            said = {"what": capfirst(entry.label), "name": name}
            messages.success(request, _("%(what)s %(name)s was deleted.") % said)
            return redirect(_back(entry))
    context = {"entry": entry, "row": row, "refusal": refusal, "back_url": _back(entry)}
    return render(request, "tenants/space_delete.html", context, status=409 if refusal else 200)


def _form_page(
    request: PlatformRequest, kind: str, entry: Kind, row: Any
) -> HttpResponse:  # Any: of the kind.
    shown = str(row)  # A refused save leaves the row with what was typed.
    asked = {name: value for name, value in request.GET.items() if name in entry.form.base_fields}
    form = entry.form(request.POST or None, row=row, initial=asked)
    if request.method == "POST" and form.is_valid():
        try:
            saved = form.save(request.actor)
        except SluiceError as error:
            form.refuse(error)
        else:
            said = {"what": capfirst(entry.label), "name": saved}
            messages.success(request, _("%(what)s %(name)s was saved.") % said)
            return redirect(_back(entry))
    context = {
        "entry": entry,
        "form": form,
        "title": shown if row else "",
        "back_url": _back(entry),
        "delete_url": reverse("tenants:space-delete", args=[kind, row.pk]) if row else "",
    }
    return render(request, "tenants/space_form.html", context, status=status_of(form))


def _answer(request: PlatformRequest) -> dict[str, Any]:  # Any: a context.
    asked = request.GET.get("q", "").strip()
    if not asked:
        return {"q": "", "answer": None, "refusal": ""}
    try:
        return {"q": asked, "answer": lookup.find(asked, actor=request.actor), "refusal": ""}
    except InvalidError as error:
        return {"q": asked, "answer": None, "refusal": error.message}


def _page(
    request: PlatformRequest, template: str, tab: str, context: dict[str, Any]
) -> HttpResponse:  # Any: a context.
    tabs = [
        (name, label, reverse(f"tenants:space-{name}"))
        for name, label in (
            ("list", _("Pools and ranges")),
            ("vrfs", _("VRFs")),
            ("grants", _("Grants")),
            ("reserved", _("Reserved")),
            ("clusters", _("Clusters")),
        )
    ]
    can_edit = request.actor.may(_WRITE)
    return render(request, template, {**context, "tabs": tabs, "tab": tab, "can_edit": can_edit})


def _back(entry: Kind) -> str:
    return reverse(f"tenants:space-{entry.back}")


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise NotVisibleError(f"There is nothing called {name} in the address space.")
    return KINDS[name]


def _row(entry: Kind, pk: int) -> Any:  # Any: of the kind.
    row = rows_of(entry).filter(pk=pk).first()
    if row is None:
        raise NotVisibleError(f"There is no {entry.label} {pk}. It may have been deleted.")
    return row
