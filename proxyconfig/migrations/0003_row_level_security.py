"""Row-level security, forced, and references that stay inside one tenant."""

from django.db import migrations

from tenants.models.rls import protect, same_tenant


class Migration(migrations.Migration):
    """Policies; the tables are made by the migration before."""

    dependencies = [("proxyconfig", "0002_initial"), ("tenants", "0002_row_level_security")]

    operations = [
        protect("proxyconfig_listener"),
        protect("proxyconfig_ingresspolicy"),
        protect("proxyconfig_egresspolicy"),
        protect("proxyconfig_egressrule"),
        protect("proxyconfig_plan"),
        protect("proxyconfig_revision"),
        protect("proxyconfig_placement"),
        protect("proxyconfig_connection"),
        same_tenant("proxyconfig_listener", "virtual_address_id", "tenants_virtualaddress"),
        same_tenant("proxyconfig_ingresspolicy", "listener_id", "proxyconfig_listener"),
        same_tenant("proxyconfig_ingresspolicy", "namespace_id", "tenants_namespace"),
        same_tenant("proxyconfig_egressrule", "policy_id", "proxyconfig_egresspolicy"),
        same_tenant("proxyconfig_revision", "plan_id", "proxyconfig_plan"),
    ]
