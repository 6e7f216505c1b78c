"""One owner for each address, taken from grants alone: what the database itself holds."""

from django.db import migrations

from tenants.models.rls import STAFF, copies, holds, protect, same_tenant, staff_deletes

GRANTS = (
    "tenants_prefixgrant",
    "tenants_vlangrant",
    "tenants_vnigrant",
    "tenants_namespacegrant",
)
CLAIMS = (
    "tenants_namespaceclaim",
    "tenants_vlanclaim",
    "tenants_vniclaim",
    "tenants_subnetclaim",
    "tenants_addressclaim",
)
ONE_ADDRESS = "masklen({0}) = CASE family({0}) WHEN 4 THEN 32 ELSE 128 END"
NOT_MAPPED = "NOT {} <<= '::ffff:0.0.0.0/96'"

POOL = "id, vrf_id, prefix, purpose"
PREFIX_GRANT = "tenant_id, id, vrf_id, prefix, purpose"
TAKEN_PREFIX = "tenant_id, grant_id, vrf_id, grant_prefix, grant_purpose"

GRANTED_SUBNET = (
    "tenant_id IS NOT NULL AND grant_id IS NOT NULL AND grant_prefix IS NOT NULL"
    " AND prefix <<= grant_prefix"
    " OR tenant_id IS NULL AND grant_id IS NULL AND plan_id IS NULL"
)
FROM_GRANT = (
    "role IN ('virtual', 'snat') AND subnet_id IS NULL AND grant_id IS NOT NULL"
    " AND grant_prefix IS NOT NULL AND address <<= grant_prefix"
)
FROM_SUBNET = (
    "role <> 'reserved' AND grant_id IS NULL AND subnet_id IS NOT NULL"
    " AND subnet_prefix IS NOT NULL AND address <<= subnet_prefix"
)
RESERVED = (
    "role = 'reserved' AND tenant_id IS NULL AND grant_id IS NULL AND subnet_id IS NULL"
    " AND plan_id IS NULL"
)
GRANTED_ADDRESS = (
    f"{RESERVED} OR tenant_id IS NOT NULL AND {ONE_ADDRESS.format('address')}"
    f" AND ({FROM_GRANT} OR {FROM_SUBNET})"
)
ROLES = "role IN ('virtual', 'snat', 'self-ip', 'gateway', 'reserved')"


class Migration(migrations.Migration):
    """Policies, copies and checks; the tables are made by the migration before."""

    dependencies = [("tenants", "0004_address_space")]

    operations = [
        *[protect(table, check=STAFF) for table in GRANTS],
        *[staff_deletes(table) for table in GRANTS],
        *[protect(table) for table in CLAIMS],
        *[same_tenant(table, "plan_id", "proxyconfig_plan") for table in CLAIMS],
        # Grants lie in their pools and ranges, and in VRFs that the tenant may use.
        copies("tenants_prefixgrant", "vrf", "vrf_id, vrf_owner", "tenants_vrf", "id, owner_key"),
        copies(
            "tenants_prefixgrant",
            "pool",
            "pool_id, vrf_id, pool_prefix, purpose",
            "tenants_addresspool",
            POOL,
        ),
        copies(
            "tenants_vlangrant",
            "range",
            "vlan_range_id, cluster_id, trunk, range_first, range_last",
            "tenants_vlanrange",
            "id, cluster_id, trunk, first, last",
        ),
        copies(
            "tenants_vnigrant",
            "range",
            "vni_range_id, cluster_id, range_first, range_last",
            "tenants_vnirange",
            "id, cluster_id, first, last",
        ),
        holds(
            "tenants_prefixgrant",
            "prefix_grant_in_pool",
            "pool_id IS NOT NULL AND pool_prefix IS NOT NULL AND prefix <<= pool_prefix"
            " OR pool_id IS NULL AND pool_prefix IS NULL"
            f" AND (purpose = 'subnets' OR {ONE_ADDRESS.format('prefix')})",
        ),
        # Claims lie in their grants, or in subnets of the same tenant.
        copies(
            "tenants_namespaceclaim",
            "grant",
            "tenant_id, grant_id, cluster_id, grant_pattern",
            "tenants_namespacegrant",
            "tenant_id, id, cluster_id, pattern",
        ),
        copies(
            "tenants_vlanclaim",
            "grant",
            "tenant_id, grant_id, cluster_id, trunk, grant_first, grant_last",
            "tenants_vlangrant",
            "tenant_id, id, cluster_id, trunk, first, last",
        ),
        copies(
            "tenants_vniclaim",
            "grant",
            "tenant_id, grant_id, cluster_id, grant_first, grant_last",
            "tenants_vnigrant",
            "tenant_id, id, cluster_id, first, last",
        ),
        copies("tenants_subnetclaim", "grant", TAKEN_PREFIX, "tenants_prefixgrant", PREFIX_GRANT),
        copies("tenants_addressclaim", "grant", TAKEN_PREFIX, "tenants_prefixgrant", PREFIX_GRANT),
        copies(
            "tenants_addressclaim",
            "subnet",
            "tenant_id, subnet_id, cluster_id, vrf_id, subnet_prefix",
            "tenants_subnetclaim",
            "tenant_id, id, cluster_id, vrf_id, prefix",
        ),
        # A pattern has letters, digits, hyphens and at most one star, at its end.
        holds(
            "tenants_namespaceclaim",
            "namespace_claim_granted",
            "name LIKE replace(grant_pattern, '*', '%')",
        ),
        holds("tenants_subnetclaim", "subnet_claim_granted", GRANTED_SUBNET),
        holds("tenants_addressclaim", "address_claim_role", ROLES),
        holds("tenants_addressclaim", "address_claim_granted", GRANTED_ADDRESS),
        holds("tenants_subnetclaim", "subnet_claim_spelling", NOT_MAPPED.format("prefix")),
        holds("tenants_addressclaim", "address_claim_spelling", NOT_MAPPED.format("address")),
        holds("tenants_addresspool", "pool_spelling", NOT_MAPPED.format("prefix")),
        migrations.RunSQL(
            "INSERT INTO tenants_vrf (name, description)"
            " VALUES ('default', 'Used where no VRF is named.') ON CONFLICT DO NOTHING",
            migrations.RunSQL.noop,
        ),
    ]
