"""One table for every object of an intent, and plans that know their base and their proposal."""

import django.db.models.deletion
from django.db import migrations, models

from tenants.models.rls import protect

# An ingress policy names only namespaces that its own tenant holds on the same cluster; deferred,
# since an edit may take the namespace and write the policy in either order.
NAMESPACE = """
ALTER TABLE proxyconfig_intentobject ADD COLUMN namespace text GENERATED ALWAYS AS (
    CASE WHEN collection = 'ingress-policies' THEN spec #>> '{backend,namespace}' END) STORED;
ALTER TABLE proxyconfig_intentobject ADD CONSTRAINT intent_object_own_namespace
    FOREIGN KEY (tenant_id, cluster_id, namespace)
    REFERENCES tenants_namespaceclaim (tenant_id, cluster_id, name)
    DEFERRABLE INITIALLY DEFERRED;
"""
NO_NAMESPACE = """
ALTER TABLE proxyconfig_intentobject DROP CONSTRAINT intent_object_own_namespace;
ALTER TABLE proxyconfig_intentobject DROP COLUMN namespace;
"""


class Migration(migrations.Migration):
    """The table stays empty until the next migration moves the rows."""

    dependencies = [
        ("proxyconfig", "0003_row_level_security"),
        ("tenants", "0004_address_space"),
    ]

    operations = [
        migrations.CreateModel(
            name="IntentObject",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "collection",
                    models.CharField(
                        choices=[
                            ("namespaces", "namespace"),
                            ("segments", "segment"),
                            ("self-ips", "self-IP"),
                            ("virtual-addresses", "virtual address"),
                            ("snat-pools", "SNAT pool"),
                            ("static-routes", "static route"),
                            ("bgp-peers", "BGP peer"),
                            ("listeners", "listener"),
                            ("ingress-policies", "ingress policy"),
                            ("egress-policies", "egress policy"),
                            ("address-lists", "address list"),
                            ("port-lists", "port list"),
                            ("tls-references", "TLS reference"),
                        ],
                        max_length=32,
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="Unique in the tenant's collection.", max_length=200
                    ),
                ),
                ("spec", models.JSONField()),
                ("version", models.CharField(help_text="Of the spec, hex.", max_length=16)),
                ("updated_by", models.CharField(blank=True, max_length=150)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "cluster",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.cluster",
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
            options={"ordering": ["collection", "name"]},
        ),
        migrations.AddConstraint(
            model_name="intentobject",
            constraint=models.UniqueConstraint(
                fields=("tenant", "collection", "name"), name="intent_object_name"
            ),
        ),
        migrations.AddConstraint(
            model_name="intentobject",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("collection", "ingress-policies"), _negated=True),
                    ("cluster__isnull", False),
                    _connector="OR",
                ),
                name="intent_object_ingress_has_cluster",
            ),
        ),
        migrations.RunSQL(NAMESPACE, NO_NAMESPACE),
        protect("proxyconfig_intentobject"),
        migrations.AddField(
            model_name="plan",
            name="base",
            field=models.JSONField(help_text="The intent that it was made against.", null=True),
        ),
        migrations.AlterField(
            model_name="plan",
            name="intent",
            field=models.JSONField(help_text="The intent that it proposes."),
        ),
        migrations.AlterField(
            model_name="plan",
            name="summary",
            field=models.CharField(help_text="In policies and networks.", max_length=300),
        ),
        migrations.AlterField(
            model_name="plan",
            name="entries",
            field=models.JSONField(
                help_text="[{action, cluster, kind, name, reason, changes}] on the proxies."
            ),
        ),
        migrations.AddField(
            model_name="plan",
            name="changes",
            field=models.JSONField(
                default=list,
                help_text="[{action, collection, name, title, fields}] in display order.",
            ),
        ),
        migrations.AddField(
            model_name="plan",
            name="effects",
            field=models.JSONField(
                default=list, help_text="What it opens and closes, in sentences."
            ),
        ),
        migrations.AddField(
            model_name="plan",
            name="rolls_back_to",
            field=models.BigIntegerField(
                help_text="The generation whose intent it brings back.", null=True
            ),
        ),
        migrations.AddField(
            model_name="plan",
            name="expires_at",
            field=models.DateTimeField(help_text="Until when it waits for a person.", null=True),
        ),
        migrations.AddIndex(
            model_name="plan",
            index=models.Index(
                condition=models.Q(("state", "AwaitingApproval")),
                fields=["expires_at"],
                name="plan_waiting",
            ),
        ),
    ]
