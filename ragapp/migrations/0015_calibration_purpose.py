"""An evaluation may calibrate the grades."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One more choice of an evaluation's purpose."""

    dependencies = [("ragapp", "0014_conversation")]

    operations = [
        migrations.AlterField(
            model_name="evaluation",
            name="purpose",
            field=models.CharField(
                choices=[
                    ("answers", "Retrieval and answers"),
                    ("retrieval", "Retrieval only"),
                    ("weight", "Best dense weight"),
                    ("calibration", "Calibration of grades"),
                ],
                max_length=12,
            ),
        ),
    ]
