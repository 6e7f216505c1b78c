"""API tokens at the door of the REST API."""

from datetime import timedelta

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from tenants.models.member import User
from tenants.models.scoped import Scope, open_scope, tenant_scope
from tenants.models.token import PREFIX, ApiToken, hash_key

_LAST_USED_STEP = timedelta(minutes=1)
_REFUSED = (
    "This API token is unknown, expired or revoked. Make a new one on the tenant's tokens page."
)


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer slc_...``; the token says the tenant and the role."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """The token's maker and the token; None when no bearer token was sent.

        Raises:
            AuthenticationFailed: the token is unknown, expired or revoked: one answer for all.
        """
        scheme, _, key = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if not key.startswith(PREFIX):
            raise AuthenticationFailed(_REFUSED)
        return self._authenticate(key)

    def authenticate_header(self, request: Request) -> str:
        """What a client without a token is asked for."""
        return "Bearer"

    def _authenticate(self, key: str) -> tuple[User, ApiToken]:
        now = timezone.now()
        key_hash = hash_key(key)
        with open_scope(Scope(token_hash=key_hash)):
            token = ApiToken.objects.select_related("user").filter(key_hash=key_hash).first()
        if token is None or token.revoked_at or not token.user.is_active:
            raise AuthenticationFailed(_REFUSED)
        if token.expires_at and token.expires_at <= now:
            raise AuthenticationFailed(_REFUSED)
        if token.last_used_at is None or now - token.last_used_at > _LAST_USED_STEP:
            with tenant_scope(token.tenant_id):
                ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token
