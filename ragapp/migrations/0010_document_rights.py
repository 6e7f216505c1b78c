"""Who may read a document, and on whose behalf a run searches."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns of documents and of runs."""

    dependencies = [
        ("ragapp", "0009_run_token"),
        ("tenants", "0002_row_level_security"),
    ]

    operations = [
        migrations.AddField(
            model_name="document",
            name="labels",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="Words of your own that searches can be narrowed to.",
            ),
        ),
        migrations.AddField(
            model_name="document",
            name="readers",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Who may read it: role:<role> and user:<name>; empty: all of the tenant.",
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="is_limited",
            field=models.BooleanField(
                default=False, help_text="Whether its corpora held documents that not all may read."
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="principals",
            field=models.JSONField(
                default=list, help_text="What its asker may read; ragapp/domain/reader.py."
            ),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(
                condition=models.Q(("readers", []), _negated=True),
                fields=["corpus"],
                name="document_limited",
            ),
        ),
    ]
