"""The tables that claims and the objects of intents replace."""

from django.db import migrations


class Migration(migrations.Migration):
    """Their rows were moved by ``proxyconfig/0005_move_rows``."""

    dependencies = [
        ("tenants", "0005_address_space_held"),
        ("proxyconfig", "0006_drop_policy_tables"),
    ]

    operations = [
        migrations.DeleteModel(name="Subnet"),
        migrations.DeleteModel(name="Segment"),
        migrations.DeleteModel(name="VirtualAddress"),
        migrations.DeleteModel(name="SnatAddress"),
        migrations.DeleteModel(name="Namespace"),
    ]
