"""The models that questions may be answered with: the platform's list, the same for all tenants."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

_NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._/-]*\Z", "Letters, digits, dots, dashes, underscores and slashes."
)
_SHA256 = RegexValidator(r"\A[0-9a-f]{64}\Z", "64 hexadecimal digits in lower case.")


class ModelKind(models.TextChoices):
    """Where a model runs."""

    LOCAL = "local", "in the engine worker"
    SERVER = "server", "on an OpenAI-compatible server"


class Dtype(models.TextChoices):
    """Numbers that a model's weights are kept in."""

    BFLOAT16 = "bfloat16", "bfloat16"
    FLOAT16 = "float16", "float16"
    FLOAT32 = "float32", "float32"


class LanguageModel(models.Model):
    """A generator; kept by platform administrators, seen by all, belongs to no tenant."""

    name = models.CharField(max_length=200, unique=True, validators=[_NAME])
    kind = models.CharField(max_length=8, choices=ModelKind.choices, default=ModelKind.LOCAL)
    location = models.CharField(
        max_length=500,
        help_text="A folder, a GGUF file, or a hub id; on a server: the model's name there.",
    )
    revision = models.CharField(
        max_length=100, default="main", blank=True, help_text="Commit or branch of a hub id."
    )
    base_url = models.URLField(
        blank=True, help_text="Of a server, up to and including /v1; reached by the engine worker."
    )
    dtype = models.CharField(max_length=8, choices=Dtype.choices, default=Dtype.BFLOAT16)
    context_tokens = models.PositiveIntegerField(
        null=True, blank=True, help_text="Longest prompt and answer together, on a server."
    )
    sha256 = models.CharField(
        max_length=64,
        blank=True,
        validators=[_SHA256],
        help_text="Of the weights: recorded at the first load, checked at each later one.",
    )
    is_allowed = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """By name."""

        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind=ModelKind.SERVER) | ~Q(base_url=""),
                name="ragapp_languagemodel_server_has_url",
                violation_error_message="Say at which address the server is.",
            ),
        ]

    def __str__(self) -> str:
        return self.name
