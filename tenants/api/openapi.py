"""How the REST API describes itself: its tokens, its groups and the one shape of its errors."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

_PROBLEM_TYPE = "application/problem+json"
_PROBLEM: dict[str, Any] = {  # Any: JSON Schema.
    "type": "object",
    "description": "What went wrong, to which object, why, and what to do next (RFC 9457).",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "Where the code is explained."},
        "title": {"type": "string", "description": "The code: a stable word."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "request_id": {"type": "string", "description": "The trace id; also in X-Trace-Id."},
        "data": {"type": "object", "additionalProperties": True},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer (RFC 6901)."},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
_SAYS_BY_STATUS = {
    "400": "The request cannot be taken; errors[] says which part.",
    "401": "No token or session, or one that is not valid any more.",
    "403": "The role does not allow it.",
    "404": "There is no such thing, or it is another tenant's.",
    "409": "The value is taken, or the object has changed or ended meanwhile.",
    "503": "Try again after Retry-After seconds.",
}
_ON_WRITES = frozenset({"409", "503"})


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped base
    """Describes API tokens."""

    target_class = "tenants.api.authentication.TokenAuthentication"
    name = "apiToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """The security scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token of one tenant: Authorization: Bearer slc_...",
        }


class Schema(AutoSchema):
    """Groups operations by the resource that their path ends in."""

    def get_tags(self) -> list[str]:
        """One tag: the last plural noun of the path."""
        nouns = [part for part in self.path.split("/") if part and not part.startswith("{")]
        is_below_tenant = "{tenant}/" in self.path
        return [nouns[3] if is_below_tenant else nouns[2]]


def describe_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Give every operation the errors that it may answer with; drf-spectacular's last hook."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    for path in result["paths"].values():
        for method, operation in path.items():
            for status, says in _SAYS_BY_STATUS.items():
                if method == "get" and status in _ON_WRITES:
                    continue
                reference = {"$ref": "#/components/schemas/Problem"}
                operation["responses"].setdefault(
                    status,
                    {"description": says, "content": {_PROBLEM_TYPE: {"schema": reference}}},
                )
    return result
