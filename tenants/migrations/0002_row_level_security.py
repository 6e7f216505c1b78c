"""Row-level security on every table of the ground, forced, and the audit log that only grows."""

from django.db import migrations

from tenants.models.rls import STAFF, TENANT, USER, append_only, protect, same_tenant

MEMBER_OF = f"SELECT m.tenant_id FROM tenants_membership m WHERE m.user_id = {USER}"
SELF = "id = nullif(current_setting('app.tenant', true), '')::bigint"
HOLDER = "key_hash = nullif(current_setting('app.token', true), '')"


class Migration(migrations.Migration):
    """Policies; the tables are made by the migration before."""

    dependencies = [("tenants", "0001_initial")]

    operations = [
        protect("tenants_namespace"),
        protect("tenants_segment"),
        protect("tenants_subnet"),
        protect("tenants_virtualaddress"),
        protect("tenants_snataddress"),
        protect("tenants_operation"),
        # A user sees which tenants are theirs before any tenant's scope is open.
        protect(
            "tenants_membership",
            using=f"{TENANT} OR {STAFF} OR user_id = {USER}",
            check=f"{TENANT} OR {STAFF}",
        ),
        protect(
            "tenants_tenant",
            using=f"{SELF} OR {STAFF} OR id IN ({MEMBER_OF})",
            check=f"{SELF} OR {STAFF}",
        ),
        # Whoever knows a token's hash may see that token, and so learn its tenant.
        protect(
            "tenants_apitoken",
            using=f"{TENANT} OR {STAFF} OR {HOLDER}",
            check=f"{TENANT} OR {STAFF}",
        ),
        protect("tenants_auditentry"),
        protect("tenants_auditseal", check=STAFF),
        append_only("tenants_auditentry"),
        append_only("tenants_auditseal"),
        same_tenant("tenants_subnet", "segment_id", "tenants_segment"),
        same_tenant("tenants_auditseal", "entry_id", "tenants_auditentry"),
    ]
