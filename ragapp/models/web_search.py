"""Which web search service a tenant's agent asks."""

from django.db import models

from tenants.models.scoped import TenantScoped


class SearchProvider(models.TextChoices):
    """Services that there is a module for, and none."""

    SEARXNG = "searxng", "SearXNG"
    BRAVE = "brave", "Brave Search"
    TAVILY = "tavily", "Tavily"
    DDGS = "ddgs", "DuckDuckGo, without a key"
    NONE = "none", "None: the web is never searched"


class WebSearch(TenantScoped):
    """A tenant's choice; where there is no row, the platform's service is asked.

    The key is not here: the operator names it in the environment, for a tenant or for all.
    """

    provider = models.CharField(max_length=8, choices=SearchProvider.choices)
    address = models.URLField(
        max_length=500, blank=True, help_text="Base URL; the provider's own when empty."
    )
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        """One for each tenant."""

        verbose_name_plural = "web searches"
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="websearch_once"),
        ]

    def __str__(self) -> str:
        return self.get_provider_display()
