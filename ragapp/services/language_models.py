"""The allow-list of generators: who changes it, what is on it, how its rows become engines."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from ragapp.domain.engine import Engine
from ragapp.engines.local import find, load, start
from ragapp.engines.openai import OpenAIEngine
from ragapp.models import LanguageModel, ModelKind
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import ForbiddenError, NotVisibleError
from tenants.models.scoped import platform_scope
from tenants.services import conflicts

DEFAULT_CONTEXT_TOKENS = 8192


def allowed(name: str) -> LanguageModel:
    """The model of this name, which is on the list.

    Raises:
        ForbiddenError: it is not, or not any more.
    """
    model = LanguageModel.objects.filter(name=name, is_allowed=True).first()
    if model is None:
        raise ForbiddenError(
            f"The model {name} is not on the list of allowed models. Choose one that is, or ask a"
            " platform administrator to add it.",
            code="model-not-allowed",
        )
    return model


def save(name: str, values: Mapping[str, Any], *, actor: Actor) -> LanguageModel:
    """Put a model on the list, or change what the list says of it.

    Args:
        values: Columns of ``LanguageModel``; Any, as they have many types.

    Raises:
        ForbiddenError: the actor is no platform administrator.
        InvalidError: a value is wrong.
    """
    if not actor.is_platform_admin:
        raise ForbiddenError(
            "Only a platform administrator changes the list of models. Ask one to add yours."
        )
    with transaction.atomic():
        model = LanguageModel.objects.select_for_update().filter(name=name).first()
        event = "languagemodel.created" if model is None else "languagemodel.changed"
        model = model or LanguageModel(name=name)
        changed = [key for key, value in values.items() if getattr(model, key) != value]
        for key in changed:
            setattr(model, key, values[key])
        try:
            model.full_clean()
        except ValidationError as error:
            raise conflicts.invalid(error) from error
        model.save()
        audit.record(actor, event, model, detail={"fields": sorted(changed)})
    return model


def listed(name: str) -> LanguageModel:
    """The model of this name, allowed or not.

    Raises:
        NotVisibleError: there is none.
    """
    model = LanguageModel.objects.filter(name=name).first()
    if model is None:
        raise NotVisibleError(f"No model named {name} is on the list.")
    return model


def engine(model: LanguageModel) -> Engine:
    """The model, loaded or connected; its weights are what they were at its first load.

    Raises:
        PermanentError: there is no usable model, or its weights have changed.
    """
    if model.kind == ModelKind.SERVER:
        return OpenAIEngine(
            model.base_url,
            model.location,
            context_tokens=model.context_tokens or DEFAULT_CONTEXT_TOKENS,
            api_key=settings.MODEL_SERVER_KEY,
        )
    loaded = load(
        model.location,
        revision=model.revision,
        dtype=model.dtype,
        sha256=model.sha256,
        may_fetch=settings.MODEL_HUB,
    )
    if not model.sha256:
        _remember(model)
    return start(loaded)


def _remember(model: LanguageModel) -> None:
    """Put the hash of the weights on record, unless another worker did."""
    found = find(model.location, revision=model.revision, may_fetch=settings.MODEL_HUB)
    with platform_scope("model hash"):
        LanguageModel.objects.filter(pk=model.pk, sha256="").update(sha256=found.sha256())
