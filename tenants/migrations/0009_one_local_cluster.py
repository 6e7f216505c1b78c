"""The local proxy serves one cluster, held by the database.

Where an earlier version let two clusters share it, nobody but the operator knows which of them the
one proxy is for: nothing is changed then, and the message says what to do.
"""

from typing import Any

from django.core.management.base import CommandError
from django.db import migrations, models


def refuse_two(apps: Any, schema_editor: Any) -> None:
    """Say which clusters share the local proxy, before the constraint would.

    Raises:
        CommandError: two or more do.
    """
    clusters = apps.get_model("tenants", "Cluster").objects.using(schema_editor.connection.alias)
    names = list(clusters.filter(flavour="local").order_by("pk").values_list("name", flat=True))
    if len(names) > 1:
        raise CommandError(
            f"Clusters {', '.join(names)} share the local proxy, which serves one: each undoes there"
            " what the other wants. Nothing was migrated. With the version that you upgrade from,"
            " delete all but one under Address space > Clusters, or set the proxy that they have"
            " under Clusters in Django's admin. Then migrate again."
        )


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0008_suspended"),
    ]

    operations = [
        migrations.RunPython(refuse_two, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="cluster",
            constraint=models.UniqueConstraint(
                condition=models.Q(("flavour", "local")),
                fields=("flavour",),
                name="cluster_one_local",
                violation_error_message="The local proxy serves another cluster already.",
            ),
        ),
    ]
