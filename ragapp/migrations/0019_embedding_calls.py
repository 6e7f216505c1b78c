"""Calls for vectors that are on their way, with the tokens that are held for them."""

import django.db.models.deletion
from django.db import migrations, models

from tenants.models.rls import protect


class Migration(migrations.Migration):
    """The table, then row-level security."""

    dependencies = [
        ("ragapp", "0018_usage_of_evaluations"),
        ("tenants", "0003_quotas"),
    ]

    operations = [
        migrations.CreateModel(
            name="EmbeddingCall",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("job_id", models.CharField(max_length=32)),
                (
                    "token_id",
                    models.BigIntegerField(help_text="Of the API token; plain.", null=True),
                ),
                ("tokens", models.PositiveIntegerField(help_text="It will use no more.")),
                (
                    "expires_at",
                    models.DateTimeField(
                        help_text="Then it holds nothing any more, charged or not."
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "job_id"), name="embedding_call_once")
                ],
            },
        ),
        protect("ragapp_embeddingcall"),
    ]
