"""What a tenant's agent has read: corpora, where their documents come from, and the documents."""

from django.core.validators import MaxValueValidator, MinValueValidator, URLValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from ragapp.domain.answering import PASSAGES, Answering
from ragapp.domain.source_lines import MOST_PAGES, Wanted
from tenants.models.scoped import TenantScoped
from tenants.models.tenant import DNS_LABEL

MOST_PASSAGES = 8


class Schedule(models.TextChoices):
    """How often a corpus is trained anew by itself."""

    NEVER = "never", "Never"
    HOURLY = "hourly", "Hourly"
    DAILY = "daily", "Daily"
    WEEKLY = "weekly", "Weekly"


class Corpus(TenantScoped):
    """A set of documents that one tenant's questions can be answered from."""

    name = models.CharField(max_length=63, validators=[DNS_LABEL])
    description = models.CharField(max_length=300, blank=True)
    dense_weight = models.FloatField(
        default=0.6,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Share of the dense score in the fused one; the rest is BM25.",
    )
    passages = models.PositiveSmallIntegerField(
        default=PASSAGES,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_PASSAGES)],
        help_text="Most passages handed to the model.",
    )
    instructions = models.TextField(
        blank=True, help_text="To the model, before the general ones: the corpus's own prompt."
    )
    model = models.CharField(
        max_length=200,
        blank=True,
        help_text="Name on the allow-list of models; empty: the default.",
    )
    rerank = models.BooleanField(default=False, help_text="Order candidates by a cross-encoder.")
    web = models.BooleanField(default=True, help_text="Whether the web may be tried.")
    embedder = models.CharField(max_length=200, blank=True, help_text="What its vectors are from.")
    document_count = models.PositiveIntegerField(default=0)
    chunk_count = models.PositiveIntegerField(default=0)
    lexeme_count = models.BigIntegerField(default=0, help_text="Sum over chunks, for BM25.")
    schedule = models.CharField(
        max_length=8, choices=Schedule.choices, default=Schedule.NEVER, db_default="never"
    )
    train_at = models.DateTimeField(null=True, help_text="When the schedule trains it next.")
    trained_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Named once in each tenant."""

        ordering = ["name"]
        verbose_name_plural = "corpora"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="corpus_name"),
            models.UniqueConstraint(fields=["tenant", "id"], name="corpus_tenant_id"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The corpus's page."""
        return reverse("ragapp:corpus-detail", args=[self.tenant.slug, self.name])

    @property
    def answering(self) -> Answering:
        """How questions on it are answered now."""
        return Answering(
            dense_weight=self.dense_weight,
            passages=self.passages,
            instructions=self.instructions,
            model=self.model,
            rerank=self.rerank,
            web=self.web,
        )


class SourceKind(models.TextChoices):
    """How a source leads to documents."""

    PAGE = "page", "Page"
    SITEMAP = "sitemap", "Sitemap"
    CRAWL = "crawl", "Crawl"


class Source(TenantScoped):
    """A URL that training fetches through the tenant's egress: a page, or what lists pages."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="sources")
    url = models.CharField(max_length=2000, validators=[URLValidator(schemes=["http", "https"])])
    kind = models.CharField(
        max_length=8, choices=SourceKind.choices, default=SourceKind.PAGE, db_default="page"
    )
    prefix = models.CharField(
        max_length=2000, blank=True, help_text="A crawl stays below it; empty: below its own URL."
    )
    most_pages = models.PositiveIntegerField(
        default=MOST_PAGES,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_PAGES)],
        help_text="Most pages that a sitemap or a crawl adds.",
    )
    found_count = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Documents that a sitemap or a crawl led to last."
    )
    error = models.TextField(
        blank=True, db_default="", help_text="Why it was not read to its end the last time."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Each URL once in a corpus."""

        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["corpus", "url"], name="source_once"),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def wanted(self) -> Wanted:
        """The source as it was asked for."""
        return Wanted(self.url, self.kind, self.prefix, self.most_pages)


class Upload(TenantScoped):
    """A file that somebody handed over, whole: web and workers need no shared disk."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=255, help_text="The file's own name, without a folder.")
    content_type = models.CharField(max_length=100, blank=True)
    content = models.BinaryField()
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of the content.")
    size_bytes = models.BigIntegerField()
    uploaded_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Each name once in a corpus; the same name again replaces the file."""

        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["corpus", "name"], name="upload_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        """What stands for an address in its document's row."""
        return f"upload:{self.name}"


class DocumentState(models.TextChoices):
    """How far a document has come."""

    QUEUED = "Queued", "Queued"
    READING = "Reading", "Reading"
    READY = "Ready", "Ready"
    DUPLICATE = "Duplicate", "Duplicate"
    FAILED = "Failed", "Failed"


class Document(TenantScoped):
    """One fetched or uploaded and extracted file; its chunks carry what is searched."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="documents")
    url = models.CharField(max_length=2000, help_text="Or upload:<name> of a file handed over.")
    title = models.CharField(max_length=500, blank=True)
    text = models.TextField(blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    content_hash = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of what was fetched."
    )
    text_hash = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the text: equal ones are duplicates."
    )
    etag = models.CharField(max_length=300, blank=True)
    last_modified = models.CharField(max_length=100, blank=True, help_text="As the server said it.")
    stripped = models.TextField(
        blank=True, help_text="Text that was hidden from readers and is not searched."
    )
    page_count = models.PositiveIntegerField(null=True, help_text="Of formats with pages.")
    size_bytes = models.BigIntegerField(default=0)
    state = models.CharField(max_length=16, choices=DocumentState.choices)
    error = models.TextField(blank=True, help_text="Why it failed and what to do next.")
    chunk_count = models.PositiveIntegerField(default=0)
    fetched_at = models.DateTimeField(null=True)
    trace_id = models.CharField(max_length=32, blank=True)
    readers = models.JSONField(
        default=list,
        blank=True,
        help_text="Who may read it: role:<role> and user:<name>; empty: all of the tenant.",
    )
    labels = models.JSONField(
        default=dict, blank=True, help_text="Words of your own that searches can be narrowed to."
    )

    class Meta:
        """Each URL once in a corpus."""

        ordering = ["url"]
        constraints = [
            models.UniqueConstraint(fields=["corpus", "url"], name="document_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="document_tenant_id"),
        ]
        indexes = [
            models.Index(fields=["corpus", "content_hash"], name="document_hash"),
            models.Index(fields=["corpus", "text_hash"], name="document_text_hash"),
            # Mostly empty: whether a search must look at rights at all.
            models.Index(fields=["corpus"], name="document_limited", condition=~Q(readers=[])),
        ]

    def __str__(self) -> str:
        return self.title or self.url

    @property
    def audit_name(self) -> str:
        """Of a limited one not even the title is for everybody who reads the log."""
        return f"document {self.pk}" if self.readers else str(self)
