"""Pages that add, change and delete one object of a tenant's networks or policies."""

from functools import partial

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from proxyconfig.domain import edits, objects
from proxyconfig.domain.objects import BY_NAME, Collection, Key
from proxyconfig.models import Plan
from proxyconfig.services import change_sets as waiting_plans
from proxyconfig.services import places
from proxyconfig.ui import change_sets, pages, suggestions
from proxyconfig.ui.editing import Change, edit_object, review
from proxyconfig.ui.object_forms import Context, ObjectForm, object_form, title_of
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.errors import NotVisibleError, SluiceError
from tenants.models.tenant import Cluster
from tenants.services import clusters

_NEXT = "next-"


@tenant_page(Action.EDIT_NETWORK)
def network_create(request: TenantRequest, collection: str) -> HttpResponse:
    """A new object of the tenant's networks."""
    return _object_page(request, _collection(collection, is_network=True), "")


@tenant_page(Action.VIEW)
def network_edit(request: TenantRequest, collection: str, name: str) -> HttpResponse:
    """An object of the tenant's networks: to read, or to change."""
    return _object_page(request, _collection(collection, is_network=True), name)


@tenant_page(Action.EDIT_NETWORK)
def network_delete(request: TenantRequest, collection: str, name: str) -> HttpResponse:
    """The plan of deleting an object of the tenant's networks, and the deletion."""
    return _delete_page(request, _collection(collection, is_network=True), name)


@tenant_page(Action.EDIT_POLICY)
def policy_create(request: TenantRequest, collection: str) -> HttpResponse:
    """A new policy, list, listener or TLS reference."""
    return _object_page(request, _collection(collection, is_network=False), "")


@tenant_page(Action.VIEW)
def policy_edit(request: TenantRequest, collection: str, name: str) -> HttpResponse:
    """A policy, list, listener or TLS reference: to read, or to change."""
    return _object_page(request, _collection(collection, is_network=False), name)


@tenant_page(Action.EDIT_POLICY)
def policy_delete(request: TenantRequest, collection: str, name: str) -> HttpResponse:
    """The plan of deleting a policy, list, listener or TLS reference, and the deletion."""
    return _delete_page(request, _collection(collection, is_network=False), name)


def _delete_page(request: TenantRequest, kind: Collection, name: str) -> HttpResponse:
    change_set = change_sets.named(request)
    key = Key(kind.name, name)
    if objects.find(waiting_plans.intent_with(request.tenant, change_set), key) is None:
        raise _gone(key)
    url, label = pages.list_of(request.tenant, kind)
    change = Change(
        title=_("Delete %(what)s") % {"what": key},
        back_url=url,
        back_label=label,
        edit=edits.delete(key),
        is_delete=True,
        into=change_set,
    )
    return review(request, change)


def _object_page(request: TenantRequest, kind: Collection, name: str) -> HttpResponse:
    change_set = change_sets.named(request)
    intent = waiting_plans.intent_with(request.tenant, change_set)
    key = Key(kind.name, name)
    existing = objects.find(intent, key) if name else None
    is_deleted = bool(name) and existing is None
    if is_deleted and request.method != "POST":
        raise _gone(key)
    context = Context(
        intent,
        list(Cluster.objects.values_list("name", flat=True)),
        request.actor,
        places.usable_vrfs(request.tenant),
        home="" if name else clusters.home_of(request.tenant),
        now=timezone.now(),
    )
    form = object_form(kind, context, request.POST or None, existing=existing)
    if request.POST.get("step", "").startswith(_NEXT):
        form = _suggested(request, form)
    url, label = pages.list_of(request.tenant, kind)
    page = {
        "title": title_of(key) if name else _("New %(label)s") % {"label": kind.label},
        "back_url": url,
        "back_label": label,
        "delete_url": pages.delete_of(request.tenant, key) if existing is not None else "",
        "change_set": change_set,
        "pending": waiting_plans.pending(request.tenant).get(key, []) if name else [],
        "is_deleted": is_deleted,
    }
    return edit_object(request, form, partial(_change, request, form, change_set), page)


def _change(request: TenantRequest, form: ObjectForm, change_set: Plan | None) -> Change:
    url, label = pages.list_of(request.tenant, form.collection)
    return Change(
        title=form.title,
        back_url=url,
        back_label=label,
        edit=form.edit(),
        into=change_set,
        grant=form.wants_grant,
    )


def _suggested(request: TenantRequest, form: ObjectForm) -> ObjectForm:
    """The form as it was typed, and what is free next in the field whose button was pressed."""
    field = request.POST["step"].removeprefix(_NEXT)
    typed = form.typed()
    complaint = ""
    try:
        typed[field] = suggestions.suggest(request.tenant, form, field, typed)
    except SluiceError as error:
        complaint = error.message
    return object_form(
        form.collection,
        form.context,
        existing=form.existing,
        typed=typed,
        complaints={field: complaint} if complaint else {},
    )


def _collection(name: str, *, is_network: bool) -> Collection:
    found = BY_NAME.get(name)
    if found is None or found.is_network != is_network:
        raise NotVisibleError(
            f"There is no kind of object called {name} here. See Networks and Policies."
        )
    return found


def _gone(key: Key) -> NotVisibleError:
    return NotVisibleError(
        f"There is no {key} in this tenant. It may have been deleted, or be part of a plan that"
        " waits: see the plans."
    )
