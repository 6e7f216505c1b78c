"""What makes a partition quick to search: its policy's settings read once, its visibility kept."""

from django.db import migrations

from tenants.models.rls import ask_settings_once

# An index-only scan needs pages that a vacuum has marked as visible to all, and a partition is
# mostly filled in one go: so inserts alone start one, and after a thousand rows and not a fifth.
_SETTINGS = """
autovacuum_vacuum_insert_threshold = 1000, autovacuum_vacuum_insert_scale_factor = 0.02,
autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.02,
autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05
"""

_NAMES = ", ".join(part.split("=")[0].strip() for part in _SETTINGS.split(","))

EXISTING = """
DO $$ DECLARE child regclass; BEGIN
    FOR child IN SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent IN ('ragapp_chunk'::regclass, 'ragapp_posting'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s {change}', child);
    END LOOP;
END $$;
"""

MAKE_PARTITION = """
CREATE OR REPLACE FUNCTION ragapp_make_partition(tenant bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    parent text;
    child text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['ragapp_chunk', 'ragapp_posting'] LOOP
        child := format('%s_t%s', parent, tenant);
        IF to_regclass('public.' || child) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('ragapp_make_partition'), hashtext(child));
            IF to_regclass('public.' || child) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES IN (%s){options}',
                    child, parent, tenant);
                EXECUTE format('REVOKE ALL ON public.%I FROM sluice_app', child);
                EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', child);
                EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', child);
            END IF;
        END IF;
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    """Policies that ask once, and partitions that autovacuum looks after early."""

    dependencies = [("ragapp", "0010_document_rights")]

    operations = [
        ask_settings_once("ragapp_chunk"),
        ask_settings_once("ragapp_posting"),
        ask_settings_once("ragapp_document"),
        migrations.RunSQL(
            MAKE_PARTITION.replace("{options}", f" WITH ({_SETTINGS})"),
            MAKE_PARTITION.replace("{options}", ""),
        ),
        migrations.RunSQL(
            EXISTING.replace("{change}", f"SET ({_SETTINGS})"),
            EXISTING.replace("{change}", f"RESET ({_NAMES})"),
        ),
    ]
