"""Conversations, the runs in them, and who may see them."""

import django.db.models.deletion
from django.db import migrations, models

from tenants.models.rls import protect, same_tenant


class Migration(migrations.Migration):
    """The table and the runs' reference to it, then row-level security."""

    dependencies = [
        ("ragapp", "0013_language_model"),
        ("tenants", "0002_row_level_security"),
    ]

    operations = [
        migrations.CreateModel(
            name="Conversation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "owner",
                    models.CharField(
                        help_text="Who began it, as the audit log names them.", max_length=150
                    ),
                ),
                ("title", models.CharField(help_text="Its first question.", max_length=120)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("asked_at", models.DateTimeField(help_text="When its last question was asked.")),
                (
                    "corpus",
                    models.ForeignKey(
                        blank=True,
                        help_text="Where its questions look; all of the tenant's corpora when empty.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="ragapp.corpus",
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
                "ordering": ["-asked_at", "-id"],
            },
        ),
        migrations.AddField(
            model_name="run",
            name="conversation",
            field=models.ForeignKey(
                blank=True,
                help_text="The thread that it belongs to.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="runs",
                to="ragapp.conversation",
            ),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(fields=["tenant", "owner", "-asked_at"], name="conversation_newest"),
        ),
        migrations.AddConstraint(
            model_name="conversation",
            constraint=models.UniqueConstraint(
                fields=("tenant", "id"), name="conversation_tenant_id"
            ),
        ),
        protect("ragapp_conversation"),
        same_tenant("ragapp_conversation", "corpus_id", "ragapp_corpus"),
        same_tenant("ragapp_run", "conversation_id", "ragapp_conversation"),
    ]
