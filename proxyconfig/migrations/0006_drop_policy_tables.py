"""The tables that the objects replace."""

from django.db import migrations


class Migration(migrations.Migration):
    """Their rows were moved by the migration before."""

    dependencies = [("proxyconfig", "0005_move_rows")]

    operations = [
        migrations.DeleteModel(name="EgressRule"),
        migrations.DeleteModel(name="EgressPolicy"),
        migrations.DeleteModel(name="IngressPolicy"),
        migrations.DeleteModel(name="Listener"),
    ]
