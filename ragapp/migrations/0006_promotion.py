"""What a sweep of weights found, and what a promotion replaced."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Two columns of evaluations."""

    dependencies = [("ragapp", "0005_evaluation")]

    operations = [
        migrations.AddField(
            model_name="evaluation",
            name="replaced",
            field=models.JSONField(
                default=dict, help_text="The corpus's Answering that its promotion replaced."
            ),
        ),
        migrations.AddField(
            model_name="evaluation",
            name="sweep",
            field=models.JSONField(
                default=dict, help_text="Of a sweep of weights: Tuned; see ragapp/domain/tuning.py."
            ),
        ),
    ]
