"""The web search service of a tenant: its choice, or the platform's, with the key it may use.

Keys stand in the environment (``SLUICE_SEARCH_KEYS``), as ``tenant/provider=key`` for one tenant or
``provider=key`` for all. So they are in no row, no backup of the database, no page and no log, and
no tenant can name another one's. The key for all is sent to the provider's own address alone: where
a tenant writes another one, whoever listens there would have the platform's key.
"""

from dataclasses import dataclass, field

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction

from ragapp.models.web_search import SearchProvider, WebSearch
from ragapp.services.providers import PROVIDERS
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import InvalidError
from tenants.models.tenant import Tenant

_URL = URLValidator(schemes=["http", "https"])


@dataclass(frozen=True, slots=True)
class Service:
    """What is asked.

    Attributes:
        address: Base URL.
        key: Empty for none; never shown or logged.
    """

    provider: str
    address: str
    key: str = field(default="", repr=False)


def platform_service() -> Service:
    """What is asked where the tenant chose nothing: a SearXNG server."""
    return Service(SearchProvider.SEARXNG.value, settings.SEARCH_URL, _key("", "searxng", ""))


def service_of(tenant: Tenant) -> Service | None:
    """The tenant's service, inside its scope; None where the web shall not be searched."""
    row = WebSearch.objects.first()
    if row is None:
        return platform_service()
    if row.provider == SearchProvider.NONE:
        return None
    address = row.address or _address(row.provider)
    return Service(row.provider, address, _key(tenant.slug, row.provider, row.address))


def choose(tenant: Tenant, provider: str, *, actor: Actor, address: str = "") -> WebSearch:
    """Have the tenant's agent ask this service from the next question on.

    Args:
        address: Base URL; the provider's own when empty.

    Raises:
        InvalidError: there is no such provider, its address is no URL, or its key is missing.
    """
    _check(tenant, provider, address)
    with transaction.atomic():
        row, _ = WebSearch.objects.update_or_create(
            tenant=tenant,
            defaults={"provider": provider, "address": address, "changed_by": actor.name[:150]},
        )
        audit.record(actor, "web-search.chosen", row, reason=provider)
    return row


def has_key(tenant: Tenant, provider: str, address: str = "") -> bool:
    """Whether the operator gave a key that this tenant may use at that address."""
    return bool(_key(tenant.slug, provider, address))


def _check(tenant: Tenant, provider: str, address: str) -> None:
    if provider not in SearchProvider.values:
        known = ", ".join(SearchProvider.values)
        _refuse("provider", f"There is no provider {provider!r}. There are: {known}.")
    if address:
        try:
            _URL(address)
        except ValidationError:
            _refuse("address", "Write a URL with http or https, such as https://search.example.")
    known_provider = PROVIDERS.get(provider)
    if known_provider and known_provider.needs_key and not has_key(tenant, provider, address):
        if has_key(tenant, provider):
            _refuse(
                "address",
                f"The key for {provider} is everybody's, and is sent to its own address alone."
                " Leave the address empty.",
            )
        _refuse(
            "provider",
            f"There is no key for {provider}. The operator gives one with SLUICE_SEARCH_KEYS:"
            f" {tenant.slug}/{provider}=<key>.",
        )


def _refuse(name: str, complaint: str) -> None:
    raise InvalidError(complaint, fields={name: [complaint]})


def _address(provider: str) -> str:
    return PROVIDERS[provider].address or settings.SEARCH_URL


def _key(tenant: str, provider: str, address: str) -> str:
    """The tenant's own key, else the one for all; that only where the tenant wrote no address."""
    key_by_name = dict(part.partition("=")[::2] for part in settings.SEARCH_KEYS)
    is_elsewhere = address.rstrip("/") not in {"", _address(provider).rstrip("/")}
    own = key_by_name.get(f"{tenant}/{provider}", "")
    return own or ("" if is_elsewhere else key_by_name.get(provider, ""))
