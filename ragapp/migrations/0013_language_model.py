"""The list of models that questions may be answered with."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """The platform's own table: it belongs to no tenant."""

    dependencies = [
        ("ragapp", "0012_source_outcome"),
    ]

    operations = [
        migrations.CreateModel(
            name="LanguageModel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=200,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Za-z0-9][A-Za-z0-9._/-]*\\Z",
                                "Letters, digits, dots, dashes, underscores and slashes.",
                            )
                        ],
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("local", "in the engine worker"),
                            ("server", "on an OpenAI-compatible server"),
                        ],
                        default="local",
                        max_length=8,
                    ),
                ),
                (
                    "location",
                    models.CharField(
                        help_text="A folder, a GGUF file, or a hub id; on a server: the model's name there.",
                        max_length=500,
                    ),
                ),
                (
                    "revision",
                    models.CharField(
                        blank=True,
                        default="main",
                        help_text="Commit or branch of a hub id.",
                        max_length=100,
                    ),
                ),
                (
                    "base_url",
                    models.URLField(
                        blank=True,
                        help_text="Of a server, up to and including /v1; reached by the engine worker.",
                    ),
                ),
                (
                    "dtype",
                    models.CharField(
                        choices=[
                            ("bfloat16", "bfloat16"),
                            ("float16", "float16"),
                            ("float32", "float32"),
                        ],
                        default="bfloat16",
                        max_length=8,
                    ),
                ),
                (
                    "context_tokens",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Longest prompt and answer together, on a server.",
                        null=True,
                    ),
                ),
                (
                    "sha256",
                    models.CharField(
                        blank=True,
                        help_text="Of the weights: recorded at the first load, checked at each later one.",
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[0-9a-f]{64}\\Z", "64 hexadecimal digits in lower case."
                            )
                        ],
                    ),
                ),
                ("is_allowed", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "server"), _negated=True),
                            models.Q(("base_url", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="ragapp_languagemodel_server_has_url",
                        violation_error_message="Say at which address the server is.",
                    )
                ],
            },
        ),
    ]
