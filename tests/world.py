"""One row in each table that a tenant owns, for tests that must hold for all of them."""

from dataclasses import dataclass

from django.apps import apps
from django.db import models

from proxyconfig.tests.factories import ConnectionFactory, PlanFactory
from proxyconfig.tests.holding import publish
from proxyconfig.tests.samples import one_of_each
from ragapp.models import Document, Evaluation, Feedback, JudgedQuestion, Run
from ragapp.tests.factories import (
    CalibrationFactory,
    ConversationFactory,
    CorpusFactory,
    EmbeddingCallFactory,
    EvaluationAnswerFactory,
    FeedbackFactory,
    JudgedQuestionFactory,
    RunFactory,
    SourceFactory,
    UploadFactory,
    UsageDayFactory,
    UsageEntryFactory,
    WebSearchFactory,
    indexed,
)
from tenants.models import ApiToken, Operation, Tenant, User, platform_scope
from tenants.tests.factories import (
    ApiTokenFactory,
    AuditEntryFactory,
    ClusterFactory,
    MembershipFactory,
    OperationFactory,
    QuotaFactory,
    QuotaUseFactory,
)


@dataclass(frozen=True)
class World:
    """A tenant that has one of everything; names are the same in each."""

    tenant: Tenant
    member_id: int
    token: ApiToken
    key: str
    operation: Operation
    plan_id: int
    upload_id: int
    document: Document
    chunk_id: int
    run: Run
    question: JudgedQuestion
    evaluation: Evaluation
    feedback: Feedback


def world(tenant: Tenant, user: User) -> World:
    """Fill every table for ``tenant``; ``user`` made its token."""
    ClusterFactory()
    publish(tenant, *one_of_each(tenant.pk % 250))
    ConnectionFactory(tenant=tenant)
    corpus = CorpusFactory(tenant=tenant, name="docs")
    SourceFactory(corpus=corpus)
    upload = UploadFactory(corpus=corpus)
    document = indexed(corpus, ["A SNAT pool is a set of addresses."])
    CalibrationFactory(corpus=corpus)
    WebSearchFactory(tenant=tenant)
    AuditEntryFactory(tenant=tenant)
    question = JudgedQuestionFactory(question_set__corpus=corpus, question_set__name="people")
    answer = EvaluationAnswerFactory(evaluation__question_set=question.question_set, position=1)
    QuotaFactory(tenant=tenant)
    thread = ConversationFactory(tenant=tenant, corpus=corpus)
    key = f"slc_{tenant.slug}"
    token = ApiTokenFactory(tenant=tenant, user=user, key=key)
    QuotaUseFactory(tenant=tenant, token=token)
    run = RunFactory(tenant=tenant, corpus=corpus, conversation=thread, token=token)
    run = RunFactory(tenant=tenant, corpus=corpus, token=token)
    UsageEntryFactory(tenant=tenant)
    UsageDayFactory(tenant=tenant)
    EmbeddingCallFactory(tenant=tenant)
    return World(
        tenant=tenant,
        member_id=MembershipFactory(tenant=tenant, role="devops").pk,
        token=token,
        key=key,
        operation=OperationFactory(tenant=tenant),
        plan_id=PlanFactory(tenant=tenant).pk,
        upload_id=upload.pk,
        document=document,
        chunk_id=_chunk_id(document),
        run=run,
        question=question,
        evaluation=answer.evaluation,
        feedback=FeedbackFactory(run=run, user=user),
    )


def tenant_tables() -> dict[str, type[models.Model]]:
    """The models whose rows have a tenant, by table; found in the registry."""
    return {
        model._meta.db_table: model
        for model in apps.get_models()
        if any(field.attname == "tenant_id" for field in model._meta.local_concrete_fields)
    }


def _chunk_id(document: Document) -> int:
    chunk = apps.get_model("ragapp", "Chunk")
    with platform_scope("test"):
        return chunk.objects.get(tenant_id=document.tenant_id, document_id=document.pk).id
