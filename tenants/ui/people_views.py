"""Accounts of people: platform administrators make them and set platform roles."""

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from tenants.access import PlatformRequest, platform_page
from tenants.domain.roles import Action
from tenants.errors import ConflictError, NotVisibleError, SluiceError
from tenants.models.member import User
from tenants.services import people
from tenants.ui.forms import PersonForm, refuse, status_of
from tenants.ui.paging import page_of


@platform_page(Action.MANAGE_PLATFORM)
def person_list(request: PlatformRequest) -> HttpResponse:
    """Everybody who has an account; by a part of the name where the address has one."""
    name = request.GET.get("name", "").strip()
    rows: QuerySet[User] = User.objects.order_by("username")
    if name:
        rows = rows.filter(username__icontains=name)
    context = {"page": page_of(request, rows), "name": name}
    return render(request, "tenants/person_list.html", context)


@platform_page(Action.MANAGE_PLATFORM)
def person_create(request: PlatformRequest) -> HttpResponse:
    """A new account."""
    form = PersonForm(request.POST or None, is_new=True)
    if request.method == "POST" and form.is_valid():
        try:
            user = people.create_person(
                form.cleaned_data["username"],
                form.cleaned_data["password"],
                actor=request.actor,
                role=form.platform_role,
            )
        except SluiceError as error:
            _refuse(form, error)
        else:
            messages.success(request, _("%(name)s can sign in now.") % {"name": user})
            return redirect("tenants:person-list")
    return _form_page(request, form, None)


@platform_page(Action.MANAGE_PLATFORM)
def person_edit(request: PlatformRequest, pk: int) -> HttpResponse:
    """Somebody's platform role, password, and whether they may sign in."""
    user = User.objects.filter(pk=pk).first()
    if user is None:
        raise NotVisibleError(f"There is no account {pk}. See the list of people.")
    held = user.held_platform_role
    initial = {"role": held.value if held else "", "is_active": user.is_active}
    form = PersonForm(request.POST or None, is_new=False, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            people.change_person(
                user,
                actor=request.actor,
                role=form.platform_role,
                is_active=form.cleaned_data["is_active"],
                password=form.cleaned_data["password"],
            )
        except SluiceError as error:
            _refuse(form, error)
        else:
            messages.success(request, _("The account of %(name)s was changed.") % {"name": user})
            return redirect("tenants:person-list")
    return _form_page(request, form, user)


def _refuse(form: PersonForm, error: SluiceError) -> None:
    """At the field that the refusal is about."""
    if isinstance(error, ConflictError):
        form.add_error("username" if "username" in form.fields else "role", error.message)
    else:
        refuse(form, error)


def _form_page(request: PlatformRequest, form: PersonForm, user: User | None) -> HttpResponse:
    context = {"form": form, "person": user}
    return render(request, "tenants/person_form.html", context, status=status_of(form))
