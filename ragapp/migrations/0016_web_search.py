"""Each tenant's choice of a web search service, and who may see it."""

import django.db.models.deletion
from django.db import migrations, models

from tenants.models.rls import protect


class Migration(migrations.Migration):
    """The table, then row-level security on it."""

    dependencies = [
        ("ragapp", "0015_calibration_purpose"),
        ("tenants", "0003_quotas"),
    ]

    operations = [
        migrations.CreateModel(
            name="WebSearch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "provider",
                    models.CharField(
                        choices=[
                            ("searxng", "SearXNG"),
                            ("brave", "Brave Search"),
                            ("tavily", "Tavily"),
                            ("ddgs", "DuckDuckGo, without a key"),
                            ("none", "None: the web is never searched"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "address",
                    models.URLField(
                        blank=True,
                        help_text="Base URL; the provider's own when empty.",
                        max_length=500,
                    ),
                ),
                ("changed_by", models.CharField(max_length=150)),
                ("changed_at", models.DateTimeField(auto_now=True)),
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
                "verbose_name_plural": "web searches",
                "constraints": [models.UniqueConstraint(fields=("tenant",), name="websearch_once")],
            },
        ),
        protect("ragapp_websearch"),
    ]
