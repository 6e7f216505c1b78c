"""The shell of every page: menu, tenant switcher and colours."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from tenants.domain.actor import Actor
from tenants.domain.roles import PLATFORM_GRANTS, Action
from tenants.models.member import User
from tenants.models.scoped import Scope, open_scope
from tenants.models.tenant import Tenant

# More tenants than a menu can hold; the overview lists them all.
MOST_IN_SWITCHER = 30
THEMES = ("system", "light", "dark")


@dataclass(frozen=True, slots=True)
class Link:
    """One line of the menu."""

    label: str
    href: str
    icon: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Lines of the menu that belong together; the first group has no title."""

    title: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Theme:
    """A choice of colours."""

    value: str
    label: str
    icon: str


class Shell:
    """What base.html shows around a page; nothing is read before the template asks for it."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def tenant(self) -> Tenant | None:
        """The tenant of a tenant's page."""
        return getattr(self._request, "tenant", None)

    @cached_property
    def tenants(self) -> list[Tenant]:
        """The tenants that the user may see, for the switcher."""
        if not self._request.user.is_authenticated:
            return []
        with visible_scope(self._request.user):
            return list(Tenant.objects.all()[:MOST_IN_SWITCHER])

    @property
    def theme(self) -> str:
        """The colours that the user chose, kept in a cookie so that no page flashes."""
        chosen = self._request.COOKIES.get("theme", "")
        return chosen if chosen in THEMES else "system"

    @property
    def themes(self) -> tuple[Theme, ...]:
        """All choices of colours."""
        return (
            Theme("system", _("System"), "system"),
            Theme("light", _("Light"), "sun"),
            Theme("dark", _("Dark"), "moon"),
        )

    @property
    def nav(self) -> tuple[Group, ...]:
        """The menu of the tenant's pages, and for the platform's staff of those above tenants."""
        path = self._request.path
        platform = tuple(_platform_groups(self._request.user, path))
        if self.tenant is None:
            return platform
        actor: Actor | None = getattr(self._request, "actor", None)
        return (*_groups(self.tenant.slug, path, actor), *platform)


def visible_scope(user: User) -> AbstractContextManager[Scope]:
    """The scope in which the tenants of ``user`` can be listed; an administrator sees all."""
    reason = "platform staff" if user.held_platform_role else ""
    return open_scope(Scope(user_id=user.pk, staff_reason=reason))


def navigation(request: HttpRequest) -> dict[str, object]:
    """Context processor: ``shell``."""
    return {"shell": Shell(request)}


def _groups(slug: str, path: str, actor: Actor | None) -> Iterator[Group]:
    def may(action: Action) -> bool:
        return actor is None or actor.may(action)

    def link(label: str, name: str, icon: str) -> Link:
        href = reverse(name, args=[slug])
        is_overview = name == "portal:tenant-overview"
        return Link(label, href, icon, path == href if is_overview else path.startswith(href))

    yield Group("", (link(_("Overview"), "portal:tenant-overview", "overview"),))
    yield Group(
        _("Front door"),
        (
            link(_("Networks"), "proxyconfig:network-list", "network"),
            link(_("Policies"), "proxyconfig:policy-list", "policy"),
            link(_("Plans"), "proxyconfig:plan-list", "plan"),
            link(_("Sync"), "proxyconfig:sync-detail", "sync"),
        ),
    )
    # Whoever may not ask or train would only be told so.
    asked = (
        (link(_("Search"), "ragapp:search", "search"), link(_("Ask"), "ragapp:ask", "ask"))
        if may(Action.ASK)
        else ()
    )
    knowledge = (
        link(_("Corpora"), "ragapp:corpus-list", "corpus"),
        *asked,
        link(_("Runs"), "ragapp:run-list", "run"),
    )
    measured = (
        (
            link(_("Evaluation"), "ragapp:evaluation-list", "grade"),
            link(_("Web search"), "ragapp:web-search-edit", "globe"),
        )
        if may(Action.TRAIN)
        else ()
    )
    yield Group(_("Knowledge"), (*knowledge, *measured))
    yield Group(
        _("Record"),
        (
            link(_("Connections"), "proxyconfig:connection-list", "connections"),
            link(_("Usage"), "ragapp:usage-detail", "layers"),
            link(_("Operations"), "tenants:operation-list", "operations"),
            link(_("Audit"), "tenants:audit-list", "audit"),
            link(_("Settings"), "tenants:member-list", "user"),
        ),
    )


def _platform_groups(user: User | AnonymousUser, path: str) -> Iterator[Group]:
    """Nothing for whoever has no platform role: no page there is visible to them."""
    role = user.held_platform_role if isinstance(user, User) else None
    if role is None:
        return

    def link(label: str, name: str, icon: str) -> Link:
        href = reverse(name)
        return Link(label, href, icon, path.startswith(href))

    may_manage = Action.MANAGE_PLATFORM in PLATFORM_GRANTS[role]
    people = (link(_("People"), "tenants:person-list", "user"),) if may_manage else ()
    yield Group(
        _("Platform"),
        (
            link(_("Tenants"), "portal:tenant-list", "tenant"),
            link(_("Address space"), "tenants:space-list", "layers"),
            link(_("Templates"), "proxyconfig:template-list", "document"),
            *people,
        ),
    )
