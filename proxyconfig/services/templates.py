"""Templates of tenants: read, save and delete. Tenants created from them stay as they are."""

from copy import copy

from proxyconfig.domain import template
from proxyconfig.domain.codec import Unreadable
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.template import Template
from proxyconfig.services.template_sample import complaints
from proxyconfig.services.template_sources import invalid
from tenants import audit
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.roles import Action
from tenants.errors import InvalidError, NotVisibleError
from tenants.models.scoped import platform_scope
from tenants.models.template import TenantTemplate
from tenants.services import conflicts


def find_template(name: str) -> TenantTemplate:
    """The template of that name.

    Raises:
        NotVisibleError: there is none.
    """
    row = TenantTemplate.objects.filter(name=name).first()
    if row is None:
        raise NotVisibleError(f"There is no template {name}. List the templates to see which are.")
    return row


def template_of(row: TenantTemplate) -> Template:
    """What a stored template says.

    Raises:
        InvalidError: it cannot be read any more.
    """
    problems: list[Problem] = []
    try:
        return template.read(row.spec, problems=problems, is_strict=False)
    except Unreadable:
        raise InvalidError(f"Template {row} cannot be read: {problems[0]}.") from None


def read_template(stored: JsonValue) -> Template:
    """A template from its JSON mapping.

    Raises:
        InvalidError: with the complaints by field.
    """
    problems: list[Problem] = []
    try:
        return template.read(stored, problems=problems)
    except Unreadable:
        raise invalid(problems) from None


def save_template(
    name: str,
    wanted: Template,
    *,
    actor: Actor,
    description: str = "",
    row: TenantTemplate | None = None,
) -> TenantTemplate:
    """Make a template, or change ``row``; tenants that were made from it stay as they are.

    Raises:
        ForbiddenError: the actor may not manage the address space.
        InvalidError: it names what is not there, or no tenant could be made from it.
        ConflictError: the name is taken.
    """
    require(actor, Action.MANAGE_ADDRESS_SPACE)
    wanted = template.without_grants(read_template(template.plain(wanted)))
    if problems := list(complaints(wanted)):
        raise invalid(problems)
    saved = TenantTemplate() if row is None else copy(row)  # A refusal leaves ``row`` as it is.
    event = "template.created" if saved.pk is None else "template.changed"
    saved.name, saved.description, saved.spec = name, description, template.plain(wanted)
    taken = conflicts.Taken(f"The name {name}", lambda: TenantTemplate.objects.filter(name=name))
    with platform_scope("templates"):
        conflicts.save(saved, actor=actor, taken={"tenants_tenanttemplate_name_key": taken})
        audit.record(actor, event, saved, detail={"spec": saved.spec})
    return saved


def delete_template(row: TenantTemplate, *, actor: Actor) -> None:
    """Delete a template; tenants that were made from it stay as they are.

    Raises:
        ForbiddenError: the actor may not manage the address space.
    """
    require(actor, Action.MANAGE_ADDRESS_SPACE)
    with platform_scope("templates"):
        audit.record(actor, "template.deleted", row, detail={"spec": row.spec})
        row.delete()
