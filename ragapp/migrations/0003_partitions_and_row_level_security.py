"""Chunks and postings, list-partitioned by tenant; row-level security on all of ragapp, forced."""

from django.db import migrations

from tenants.models.rls import protect, same_tenant

# PLAIN keeps each embedding in its row's own page: every dense search reads them all.
TABLES = """
CREATE SEQUENCE ragapp_chunk_id_seq AS bigint;
CREATE TABLE ragapp_chunk (
    tenant_id bigint NOT NULL,
    id bigint NOT NULL DEFAULT nextval('ragapp_chunk_id_seq'),
    corpus_id bigint NOT NULL,
    document_id bigint NOT NULL,
    ordinal integer NOT NULL,
    title text NOT NULL,
    section text NOT NULL,
    page integer,
    char_start integer NOT NULL,
    char_end integer NOT NULL,
    text text NOT NULL,
    token_count integer NOT NULL,
    lexeme_count integer NOT NULL,
    content_hash varchar(64) NOT NULL,
    embedding halfvec(384) STORAGE PLAIN NOT NULL,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY LIST (tenant_id);
CREATE INDEX ragapp_chunk_document ON ragapp_chunk (tenant_id, document_id, ordinal);
CREATE INDEX ragapp_chunk_corpus ON ragapp_chunk (tenant_id, corpus_id);
CREATE TABLE ragapp_posting (
    tenant_id bigint NOT NULL,
    corpus_id bigint NOT NULL,
    term text COLLATE "C" NOT NULL,
    chunk_id bigint NOT NULL,
    frequency smallint NOT NULL,
    lexeme_count integer NOT NULL,
    PRIMARY KEY (tenant_id, corpus_id, term, chunk_id) INCLUDE (frequency, lexeme_count)
) PARTITION BY LIST (tenant_id);
CREATE INDEX ragapp_posting_chunk ON ragapp_posting (tenant_id, chunk_id);
"""

# The application's role owns nothing, so it cannot make a partition. This function can, and only that.
# Row-level security of a parent does not guard its partition when that is named directly, so each
# partition gets its own and the application's role gets no right on it.
MAKE_PARTITION = """
CREATE FUNCTION ragapp_make_partition(tenant bigint) RETURNS void
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
                    'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES IN (%s)',
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
    """Partitioned tables, the function that makes a partition, and the policies."""

    dependencies = [("ragapp", "0002_initial"), ("tenants", "0002_row_level_security")]

    operations = [
        migrations.RunSQL(
            TABLES,
            "DROP TABLE ragapp_posting; DROP TABLE ragapp_chunk; DROP SEQUENCE ragapp_chunk_id_seq;",
        ),
        migrations.RunSQL(MAKE_PARTITION, "DROP FUNCTION ragapp_make_partition(bigint);"),
        protect("ragapp_chunk"),
        protect("ragapp_posting"),
        protect("ragapp_corpus"),
        protect("ragapp_source"),
        protect("ragapp_document"),
        protect("ragapp_run"),
        same_tenant("ragapp_source", "corpus_id", "ragapp_corpus"),
        same_tenant("ragapp_document", "corpus_id", "ragapp_corpus"),
        same_tenant("ragapp_run", "corpus_id", "ragapp_corpus"),
    ]
