"""A tenant whose corpora are trained by the product's own services.

Imported only after Django is set up.
"""

import hashlib
from collections.abc import Sequence

from django.conf import settings
from django.db import connection

from proxyconfig.domain.compilers.local.egress import egress_resource
from proxyconfig.domain.fields import PortRange
from proxyconfig.domain.intent import EgressPolicy, EgressRule, Grant, Intent, SnatPool
from proxyconfig.services.environment import egress_password
from proxyconfig.targets.local.admin_client import AdminClient
from ragapp import extract
from ragapp.domain.chunk import Sizes, split
from ragapp.domain.engine import Embedder
from ragapp.models import Corpus
from ragapp.services import corpora, serving
from ragapp.services.training import train
from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole
from tenants.models.operation import Operation
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.services.tenants import create_tenant

SLUG = "bench"
_ACTOR = Actor(name="system:benchmark", platform_role=PlatformRole.ADMIN)


class Scene:
    """One tenant, let out to the benchmark's site and nowhere else."""

    def __init__(self, port: int) -> None:
        with platform_scope("benchmark"):
            self.tenant = create_tenant(SLUG, "Benchmark", actor=_ACTOR)
        rule = EgressRule(
            order=1,
            cidr="127.0.0.1/32",
            ports=(PortRange.single(port),),
            granted=Grant(by=SLUG),
        )
        policy = EgressPolicy(name="bench", rules=(rule,))
        pool = SnatPool(name="bench", cluster="bench", addresses=("127.0.0.1",))
        credential = hashlib.sha256(egress_password(self.tenant.pk).encode()).hexdigest()
        body = egress_resource(
            Intent(tenant=SLUG, snat_pools=(pool,), egress_policies=(policy,)),
            credential_sha256=credential,
        ).body
        admin = AdminClient(settings.EGRESS_ADMIN_SOCKET, name="The egress proxy")
        reply = admin.call("PUT", f"/tenants/{SLUG}", body)
        if not reply.is_ok:
            raise ConnectionError(f"The egress proxy took no rules: {reply.error}")

    def start(self, name: str, urls: Sequence[str]) -> tuple[int, int]:
        """A new corpus of these pages, and its queued training."""
        with tenant_scope(self.tenant.pk):
            corpus = corpora.save_corpus(self.tenant, name=name, urls=urls, actor=_ACTOR)
            return corpus.pk, corpora.start_training(corpus, actor=_ACTOR).pk

    def train(self, operation_id: int) -> dict[str, object]:
        """Run the training to its end; its result."""
        train(operation_id)
        with tenant_scope(self.tenant.pk):
            operation = Operation.objects.get(pk=operation_id)
        if operation.state != "Succeeded" or operation.result["failed"]:
            raise RuntimeError(f"the training ended so: {operation.error or operation.result}")
        return dict(operation.result)

    def done(self, operation_id: int) -> int:
        """Documents that the training has done so far; for a thread of its own."""
        try:
            with tenant_scope(self.tenant.pk):
                return Operation.objects.get(pk=operation_id).done
        finally:
            connection.close()

    def chunk_count(self, corpus_id: int) -> int:
        """What the corpus holds."""
        with tenant_scope(self.tenant.pk):
            return Corpus.objects.get(pk=corpus_id).chunk_count

    @property
    def embedder(self) -> Embedder:
        """The model that trainings use in this process."""
        return serving.embedder()

    def chunk_texts(self, pages: Sequence[str], url: str) -> list[str]:
        """What a training embeds of these pages, in their order."""
        sizes = Sizes(limit=self.embedder.max_tokens)
        texts = []
        for page in pages:
            document = extract.extract(page.encode(), content_type="text/html", url=url)
            texts += [chunk.indexed_text for chunk in split(document, self.embedder, sizes)]
        return texts
