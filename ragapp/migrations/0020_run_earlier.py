"""What a client that keeps the thread itself sent along with its question."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column, empty for what was asked before."""

    dependencies = [("ragapp", "0019_embedding_calls")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="earlier",
            field=models.JSONField(
                default=list,
                help_text="Exchanges that the client sent along, oldest first, where it keeps the thread.",
            ),
        ),
    ]
