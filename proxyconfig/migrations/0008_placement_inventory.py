"""What a target keeps in mind of each object of a placement."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Empty at first: a target finds out what is missing."""

    dependencies = [("proxyconfig", "0007_suspended")]

    operations = [
        migrations.AddField(
            model_name="placement",
            name="inventory",
            field=models.JSONField(
                default=list,
                help_text="What the target keeps in mind of each object; domain/inventory.py.",
            ),
        ),
    ]
