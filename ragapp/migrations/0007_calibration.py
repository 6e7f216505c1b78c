"""Calibrations of a model's grades, and who may see them."""

import django.db.models.deletion
from django.db import migrations, models

from tenants.models.rls import protect, same_tenant


class Migration(migrations.Migration):
    """The table, then row-level security on it."""

    dependencies = [
        ("ragapp", "0006_promotion"),
        ("tenants", "0002_row_level_security"),
    ]

    operations = [
        migrations.CreateModel(
            name="Calibration",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "model",
                    models.CharField(
                        help_text="The generator's name, as traces show it.", max_length=200
                    ),
                ),
                (
                    "question",
                    models.CharField(
                        choices=[
                            ("relevant", "relevant"),
                            ("answerable", "answerable"),
                            ("grounded", "grounded"),
                            ("answers", "answers"),
                            ("right", "right"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "version",
                    models.PositiveIntegerField(help_text="The highest one of a model is used."),
                ),
                ("weights", models.JSONField(help_text="By feature; ragapp/domain/features.py.")),
                ("intercept", models.FloatField()),
                ("low", models.FloatField(help_text="Below it the grade refuses.")),
                ("high", models.FloatField(help_text="From it on the grade accepts.")),
                (
                    "samples",
                    models.PositiveIntegerField(help_text="Judged grades that it was fitted on."),
                ),
                ("positives", models.PositiveIntegerField(help_text="How many of them were so.")),
                ("brier", models.FloatField(help_text="Mean squared error, cross-validated.")),
                (
                    "ece",
                    models.FloatField(help_text="Expected calibration error, cross-validated."),
                ),
                ("auc", models.FloatField(help_text="Area under the ROC curve, cross-validated.")),
                (
                    "bins",
                    models.JSONField(
                        help_text="Reliability: [{count, probability, share}], lowest first."
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        help_text="Where the judged questions came from.", max_length=300
                    ),
                ),
                ("created_by", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "corpus",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="calibrations",
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
                "ordering": ["-version", "id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "corpus", "model", "question", "version"),
                        name="calibration_once",
                    )
                ],
            },
        ),
        protect("ragapp_calibration"),
        same_tenant("ragapp_calibration", "corpus_id", "ragapp_corpus"),
    ]
