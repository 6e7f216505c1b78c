"""Chunks and postings: what retrieval reads, list-partitioned by tenant.

A tenant's partition is made at its first training (``make_partition``). No foreign key touches
these tables, and every query names the tenant as a literal, so that one partition is planned.
"""

from django.db import connection, models
from pgvector.django import HalfVectorField

from tenants.models.scoped import ScopedManager

DIMENSIONS = 384


class Chunk(models.Model):
    """A passage: its place in the document, its text, and its normalised embedding."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    corpus_id = models.BigIntegerField()
    document_id = models.BigIntegerField()
    ordinal = models.PositiveIntegerField(help_text="Place in the document, from 0.")
    title = models.TextField()
    section = models.TextField(help_text="Headings from the top, joined by ' > '.")
    page = models.PositiveIntegerField(null=True)
    char_start = models.PositiveIntegerField(
        help_text="Span in the document's text, end exclusive."
    )
    char_end = models.PositiveIntegerField()
    text = models.TextField()
    token_count = models.PositiveIntegerField()
    lexeme_count = models.PositiveIntegerField(help_text="BM25's length.")
    content_hash = models.CharField(max_length=64)
    embedding = HalfVectorField(dimensions=DIMENSIONS)

    objects = ScopedManager["Chunk"]()

    class Meta:
        """Made by hand in the migration, since Django knows no partitions."""

        managed = False
        db_table = "ragapp_chunk"
        ordering = ["document_id", "ordinal"]

    def __str__(self) -> str:
        return f"chunk {self.id}"


class Posting(models.Model):
    """One lexeme of one chunk, with what BM25 needs of it."""

    pk = models.CompositePrimaryKey("tenant_id", "corpus_id", "term", "chunk_id")
    tenant_id = models.BigIntegerField()
    corpus_id = models.BigIntegerField()
    term = models.TextField()
    chunk_id = models.BigIntegerField()
    frequency = models.PositiveSmallIntegerField()
    lexeme_count = models.PositiveIntegerField(help_text="The chunk's length.")

    objects = ScopedManager["Posting"]()

    class Meta:
        """Made by hand in the migration, since Django knows no partitions."""

        managed = False
        db_table = "ragapp_posting"

    def __str__(self) -> str:
        return f"{self.term} in {self.chunk_id}"


def make_partition(tenant_id: int) -> None:
    """Make the tenant's partitions of both tables if they are not there; cheap when they are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ragapp_make_partition(%s)", [tenant_id])
