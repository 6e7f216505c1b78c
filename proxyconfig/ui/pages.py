"""Addresses of the pages of objects: networks and policies are two areas of one pattern."""

from django.urls import reverse
from django.utils.translation import gettext as _

from proxyconfig.domain.objects import BY_NAME, Collection, Key
from tenants.models.tenant import Tenant

# These have names and addresses of their own, which people know.
_SHORT = {"ingress-policies": "ingress", "egress-policies": "egress"}


def list_of(tenant: Tenant, collection: Collection) -> tuple[str, str]:
    """The address and the title of the list that shows a collection."""
    if collection.is_network:
        return reverse("proxyconfig:network-list", args=[tenant.slug]), _("Networks")
    return reverse("proxyconfig:policy-list", args=[tenant.slug]), _("Policies")


def new_of(tenant: Tenant, collection: str) -> str:
    """The page of a new object."""
    if short := _SHORT.get(collection):
        return reverse(f"proxyconfig:{short}-create", args=[tenant.slug])
    return reverse(f"proxyconfig:{_area(collection)}-create", args=[tenant.slug, collection])


def edit_of(tenant: Tenant, key: Key) -> str:
    """The page of an object."""
    if short := _SHORT.get(key.collection):
        return reverse(f"proxyconfig:{short}-edit", args=[tenant.slug, key.name])
    return reverse(f"proxyconfig:{_area(key.collection)}-object", args=[tenant.slug, *key])


def delete_of(tenant: Tenant, key: Key) -> str:
    """The page that deletes an object."""
    if short := _SHORT.get(key.collection):
        return reverse(f"proxyconfig:{short}-delete", args=[tenant.slug, key.name])
    return reverse(f"proxyconfig:{_area(key.collection)}-delete", args=[tenant.slug, *key])


def _area(collection: str) -> str:
    return "network" if BY_NAME[collection].is_network else "policy"
