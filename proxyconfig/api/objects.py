"""Every object of a tenant's intent as a REST resource, addressed by its name.

A write answers with the object where a rule applied it, and with 202 and the plan where it waits.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import BooleanField, Case, QuerySet, When
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from proxyconfig.api import bodies
from proxyconfig.api.serializers import (
    PendingObjectSerializer,
    PlanSerializer,
    ReasonSerializer,
)
from proxyconfig.domain import edits, objects
from proxyconfig.domain.edits import Edit, ObjectEdit
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.objects import BY_NAME, Key
from proxyconfig.models import IntentObject as Row
from proxyconfig.models import Plan
from proxyconfig.services import allocate, change_sets, plans
from proxyconfig.services.rows import build_intent
from tenants.api import filters
from tenants.api.views import TenantViewSet
from tenants.domain.numbers import whole_number
from tenants.domain.roles import Action
from tenants.domain.states import ChangeState
from tenants.errors import NotVisibleError, PreconditionError

_DRY_RUN = OpenApiParameter(
    "dry_run", str, enum=["All"], description="All: answer with the plan and store nothing."
)
_REASON = OpenApiParameter("reason", str, description="Why.")
_CHANGE_SET = OpenApiParameter(
    "change_set",
    str,
    pattern="^(new|[0-9]+)$",
    description="The number of a waiting plan of your own that this edit joins. new: another person"
    " approves the edit in any case, in a plan of its own.",
)
_NEW = "new"
_SEEN_IN = OpenApiParameter(
    "change_set", int, description="A waiting plan of your own that shows it as it proposes it."
)
_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag that was read: 412 where the object is another by now.",
)
_ETAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=True, description="The object's version."
)
WRITES = [_DRY_RUN, _CHANGE_SET, _IF_MATCH]
_WAITS = OpenApiResponse(PlanSerializer, description="It waits: the plan, at Location.")
_IN_FORCE = frozenset({ChangeState.APPROVED.value, ChangeState.APPLIED.value})


class ObjectViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Row]):
    """One collection of a tenant's objects; ``collection`` is set by the route."""

    collection: ClassVar[str] = ""
    write_action = Action.EDIT_POLICY
    lookup_field = "name"
    filters = {"name": filters.text("name")}
    query_names = {
        "list": ("limit", "cursor"),
        "retrieve": ("change_set",),
        "create": ("dry_run", "change_set"),
        "update": ("dry_run", "change_set"),
        "partial_update": ("dry_run", "change_set"),
        "destroy": ("dry_run", "change_set", "reason"),
    }

    def rows(self) -> QuerySet[Row]:
        """The collection's rows: what is in force."""
        rows = Row.objects.filter(collection=self.collection).select_related("cluster")
        if self.collection in bodies.SHAPES:
            is_enforced = Case(
                When(spec__mode="enforced", then=True), default=False, output_field=BooleanField()
            )
            return rows.annotate(is_enabled=is_enforced)
        return rows

    def get_object(self) -> Row:
        """What the URL names, as ``change_set`` proposes it; without that, as it is in force.

        A name needs no cluster where only one fits. What only a change set has is no row yet.

        Raises:
            NotVisibleError: there is none, or several fit.
        """
        into, _ = self._change_set()
        intent = change_sets.intent_with(self.tenant, into)
        key = self._key(intent)
        row = self.rows().filter(name=key.name).first()
        if into is None:
            if row is None:
                raise self._missing(key)
            return row
        item = edits.find(intent, key)
        if row is None:
            row = Row(
                tenant=self.tenant,
                collection=key.collection,
                name=key.name,
                created_at=into.created_at,
            )
        if row.spec != objects.plain(item):
            row.spec = objects.plain(item)
            row.updated_at, row.updated_by = into.created_at, into.author_name
        return row

    def _key(self, intent: Intent) -> Key:
        """Which object of ``intent`` the URL names.

        Raises:
            NotVisibleError: there is none, or several fit.
        """
        name = str(self.kwargs["name"])
        keys = objects.named(intent, self.collection, name)
        if len(keys) > 1:
            label = BY_NAME[self.collection].label
            raise NotVisibleError(
                f"Several clusters have a {label} {name}: name one, as in {keys[0].name}."
            )
        if not keys:
            raise self._missing(Key(self.collection, name))
        return keys[0]

    @staticmethod
    def _missing(key: Key) -> NotVisibleError:
        return NotVisibleError(f"There is no {key} here. List them to see which exist.")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """What a request may say of an object."""
        return self._shape.serializer

    @property
    def _shape(self) -> "bodies.Shape":
        return bodies.shape_of(self.collection)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What is in force, each with the plans that wait to change it."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        waiting = change_sets.pending(self.tenant)
        intent = build_intent(self.tenant)
        return self.get_paginated_response(
            [self._shown(row, intent=intent, waiting=waiting) for row in page or ()]
        )

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One object, in force or as a change set of yours has it; its version is the ETag."""
        into, _ = self._change_set()
        return self._object(self.get_object(), intent=change_sets.intent_with(self.tenant, into))

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add an object."""
        values, reason, grant = self._body()

        def edit() -> tuple[Edit, str]:
            return self._shape.create(self._filled(values, self._intent()))

        return self._answer(edit, reason=reason, grant=grant, status=201)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Replace an object; what is left out gets its default."""
        row = self.get_object()
        values, reason, grant = self._body()

        def edit() -> tuple[Edit, str]:
            return self._shape.change(row.key, self._filled(values, self._intent()))

        return self._answer(edit, reason=reason, grant=grant, row=row)

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change some fields of an object; the others stay."""
        row = self.get_object()
        given, reason, grant = self._sent()

        def edit() -> tuple[Edit, str]:
            intent = self._intent()
            shown = self._shape.show(intent, edits.find(intent, row.key))
            known = bodies.writable(self._shape.serializer, shown)
            # One of the two words for a policy's mode was given: the other one follows.
            for name, other in (("is_enabled", "mode"), ("mode", "is_enabled")):
                if name in given and other not in given:
                    known.pop(other, None)
            values = self._checked({**known, **given})
            return self._shape.change(row.key, self._filled(values, intent))

        return self._answer(edit, reason=reason, grant=grant, row=row)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete an object; refused while another one uses it."""
        row = self.get_object()
        reason = request.query_params.get("reason", "")
        return self._answer(
            lambda: (edits.delete(row.key), ""), reason=reason, grant=False, row=row, status=204
        )

    def _intent(self) -> Intent:
        """What an edit starts from: what is in force, or what the change set makes of it."""
        return change_sets.intent_with(self.tenant, self._change_set()[0])

    def _filled(self, values: dict[str, Any], intent: Intent) -> dict[str, Any]:
        """The fields with each "next" filled in; a dry run claims nothing."""
        is_dry = "dry_run" in self.request.query_params
        return allocate.fill(self.tenant, self.collection, values, lock=not is_dry, intent=intent)

    def _sent(self) -> tuple[dict[str, Any], str, bool]:
        """The fields of the object as sent, the reason, and whether a grant was asked for."""
        if not isinstance(self.request.data, Mapping):
            raise ValidationError(["Send one JSON object."])
        data = dict(self.request.data)
        named = {name: data.pop(name) for name in ("reason", "grant") if name in data}
        meta = ReasonSerializer(data=named)
        meta.is_valid(raise_exception=True)
        return data, meta.validated_data["reason"], meta.validated_data["grant"]

    def _checked(self, data: dict[str, Any]) -> dict[str, Any]:
        body = self._shape.serializer(data=data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def _body(self) -> tuple[dict[str, Any], str, bool]:
        """The same, with the fields checked."""
        data, reason, grant = self._sent()
        return self._checked(data), reason, grant

    def _answer(
        self,
        make: Callable[[], tuple[Edit, str]],
        *,
        reason: str,
        grant: bool,
        row: Row | None = None,
        status: int = 200,
    ) -> Response:
        """Make the change, or with ``?dry_run=All`` only its plan.

        Args:
            make: gives the edit and the name of the object that it leaves; runs under the lock.
        """
        into, waits = self._change_set()
        asked = self.request.query_params.get("dry_run")
        if asked not in (None, "All"):
            raise ValidationError({"dry_run": ["Write dry_run=All, or leave it out."]})
        if asked == "All":
            edit = self._guarded(make()[0], row)
            looked = plans.preview(
                self.tenant, edit, actor=self.actor, into=into, grant=grant, waits=waits
            )
            return Response(PlanSerializer(looked.plan).data)
        with allocate.locked(self.tenant):
            edit, name = make()
            plan = plans.propose(
                self.tenant,
                self._guarded(edit, row),
                actor=self.actor,
                reason=reason,
                into=into,
                grant=grant,
                waits=waits,
            )
        return self._outcome(plan, name, status)

    def _outcome(self, plan: Plan, name: str, status: int) -> Response:
        location = reverse("proxyconfig-api:plan-detail", args=[self.tenant.slug, plan.pk])
        if plan.state not in _IN_FORCE:
            headers = {"Location": location}
            return Response(PlanSerializer(plan).data, status=202, headers=headers)
        link = {"Link": f'<{location}>; rel="plan"'}
        if status == 204:
            return Response(status=204, headers=link)
        row = self.rows().get(name=name)
        answer = self._object(row, intent=build_intent(self.tenant), status=status)
        answer.headers["Link"] = link["Link"]
        if status == 201:
            answer.headers["Location"] = reverse(
                f"proxyconfig-api:{route_of(self.collection)}-detail",
                args=[self.tenant.slug, row.name],
            )
        return answer

    def _object(self, row: Row, *, intent: Intent, status: int = 200) -> Response:
        shown = self._shown(row, intent=intent, waiting=change_sets.pending(self.tenant))
        return Response(shown, status=status, headers={"ETag": f'"{shown["version"]}"'})

    def _shown(self, row: Row, *, intent: Any, waiting: Any) -> dict[str, Any]:
        item = objects.read(row.collection, row.spec)
        return {
            **self._shape.show(intent, item),
            "version": objects.version_in(intent, item),
            "pending": [_pending(plan, row.key) for plan in waiting.get(row.key, ())],
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "updated_by": row.updated_by,
        }

    def _change_set(self) -> tuple[Plan | None, bool]:
        """The plan that the edit joins, and whether it waits in any case."""
        asked = self.request.query_params.get("change_set")
        if asked in (None, _NEW):
            return None, asked == _NEW
        own = change_sets.authored(self.tenant, self.actor)
        number = whole_number(asked)
        plan = None if number is None else own.filter(pk=number).first()
        if plan is None:
            raise ValidationError(
                {"change_set": [f"{asked[:19]} is no plan of yours; see /plans. Or write new."]}
            )
        plan.tenant = self.tenant
        return plan, False

    def _guarded(self, edit: Edit, row: Row | None) -> Edit:
        """The edit, refused where the object is none of the versions that ``If-Match`` names.

        It is asked of what the edit starts from, which with a change set is that one's proposal.

        Raises (when it runs):
            PreconditionError: it is another by now, or gone.
        """
        asked = self.request.headers.get("If-Match", "").strip()
        if row is None or not asked or asked == "*":
            return edit
        # A weak tag never matches here: RFC 9110, 13.1.1.
        tags = [tag.strip() for tag in asked.split(",")]
        strong = [tag.strip('"') for tag in tags if not tag.startswith("W/")]
        key = row.key

        def guarded(intent: Intent) -> Intent:
            version = objects.version_in(intent, objects.find(intent, key))
            if not version or version not in strong:
                name = f"{key.collection}/{key.name}"
                raise PreconditionError(
                    f"{str(key)[0].upper()}{str(key)[1:]} is not the version that If-Match names."
                    " Read it again: nothing was saved.",
                    data={"moved": [name], "versions": {name: version}},
                )
            return edit(intent)

        # Refusals are told at the fields of the object, guarded or not.
        return ObjectEdit(edit.key, guarded) if isinstance(edit, ObjectEdit) else guarded


def route_of(collection: str) -> str:
    """The stem of a collection's URL names: ``ingress-policy``."""
    return BY_NAME[collection].label.lower().replace(" ", "-")


def _pending(plan: Plan, key: Key) -> dict[str, Any]:
    action = next(
        change["action"] for change in plan.changes if (change["collection"], change["name"]) == key
    )
    return {"plan": plan.pk, "action": action, "author_name": plan.author_name}


def viewset_of(collection: str) -> type[ObjectViewSet]:
    """The viewset of one collection, described for OpenAPI."""
    entry = BY_NAME[collection]
    shape = bodies.shape_of(collection)
    shown = bodies.shown_serializer(collection)
    kind = entry.kind.__name__
    action = Action.EDIT_NETWORK if entry.is_network else Action.EDIT_POLICY
    made = type(
        f"{kind}ViewSet",
        (ObjectViewSet,),
        {
            "collection": collection,
            "write_action": action,
            "filters": {**ObjectViewSet.filters, **shape.filters},
            "__doc__": f"{entry.plural[0].upper()}{entry.plural[1:]} of the tenant.",
        },
    )
    body = bodies.body_serializer(collection)
    answers = {200: shown, 202: _WAITS}
    described = {
        "list": extend_schema(responses={200: shown(many=True)}),
        "retrieve": extend_schema(parameters=[_SEEN_IN, _ETAG], responses={200: shown}),
        "create": extend_schema(
            request=body, parameters=[_DRY_RUN, _CHANGE_SET], responses={201: shown, 202: _WAITS}
        ),
        "update": extend_schema(request=body, parameters=WRITES, responses=answers),
        "partial_update": extend_schema(request=body, parameters=WRITES, responses=answers),
        "destroy": extend_schema(parameters=[*WRITES, _REASON], responses={204: None, 202: _WAITS}),
    }
    for name, describe in described.items():
        setattr(made, name, describe(_copied(getattr(ObjectViewSet, name))))
    return made


def _copied(method: Callable[..., Response]) -> Callable[..., Response]:
    """A method of its own for a subclass, so that each has its own description."""

    def call(self: ObjectViewSet, request: Request, *args: Any, **kwargs: Any) -> Response:
        return method(self, request, *args, **kwargs)

    call.__name__, call.__doc__ = method.__name__, method.__doc__
    return call


class PendingViewSet(TenantViewSet[Plan]):
    """What waits for a person, object by object; nothing of it is in force."""

    serializer_class = PendingObjectSerializer  # type: ignore[assignment]  # lines, no plans
    pagination_class = None

    def rows(self) -> QuerySet[Plan]:
        """The plans that wait."""
        return Plan.objects.filter(state=ChangeState.AWAITING_APPROVAL.value)

    @extend_schema(responses={200: PendingObjectSerializer(many=True)})
    def list(self, request: Request, tenant: str) -> Response:
        """Each object that a waiting plan adds, changes or deletes."""
        waiting = change_sets.pending(self.tenant)
        lines = [
            {**_pending(plan, key), "collection": key.collection, "name": key.name}
            for key, found in waiting.items()
            for plan in found
        ]
        return Response(lines)
