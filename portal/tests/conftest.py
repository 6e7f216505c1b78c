"""Fixtures of the portal's tests: the people, and a tenant that has one of everything."""

from dataclasses import dataclass

import pytest

from proxyconfig.models import Plan
from proxyconfig.services import policies
from proxyconfig.services.policies import EgressDraft, IngressDraft, RuleDraft
from ragapp.models import Corpus, Document, EvaluationAnswer, Feedback, JudgedQuestion, Run
from ragapp.tests.factories import (
    CorpusFactory,
    EvaluationAnswerFactory,
    FeedbackFactory,
    JudgedQuestionFactory,
    RunFactory,
    SourceFactory,
    indexed,
)
from tenants.models import ApiToken, Operation
from tenants.tests.broker import broker
from tenants.tests.factories import (
    ApiTokenFactory,
    NamespaceFactory,
    OperationFactory,
    SegmentFactory,
    SnatAddressFactory,
    SubnetFactory,
    VirtualAddressFactory,
)
from tenants.tests.people import Person, acme, ada, alice, bob, charlie, cluster, globex

__all__ = ["acme", "ada", "alice", "bob", "broker", "charlie", "cluster", "globex"]


@dataclass(frozen=True)
class Furnished:
    """acme with one of everything."""

    plan: Plan
    corpus: Corpus
    document: Document
    run: Run
    question: JudgedQuestion
    measured: EvaluationAnswer
    feedback: Feedback
    operation: Operation
    token: ApiToken


@pytest.fixture
def furnished(alice: Person, cluster) -> Furnished:
    """acme with a network, policies of both ways, a corpus, a run, an operation and a token."""
    acme = alice.tenant
    SubnetFactory(segment=SegmentFactory(tenant=acme, cluster=cluster))
    NamespaceFactory(tenant=acme, cluster=cluster, name="acme-rag")
    VirtualAddressFactory(tenant=acme, cluster=cluster, address="127.10.1.1")
    SnatAddressFactory(tenant=acme, cluster=cluster)
    with alice.acting() as actor:
        policies.save_ingress(
            acme,
            IngressDraft(name="web", virtual_address="127.10.1.1", port=8080, namespace="acme-rag"),
            actor=actor,
            reason="open the door",
        )
        plan = policies.save_egress(
            acme,
            EgressDraft(name="docs", rules=(RuleDraft(host="docs.example.org"),)),
            actor=actor,
            reason="read the docs",
        )
    corpus = CorpusFactory(tenant=acme, name="product")
    SourceFactory(corpus=corpus)
    question = JudgedQuestionFactory(question_set__corpus=corpus, question_set__name="people")
    run = RunFactory(tenant=acme)
    return Furnished(
        plan=plan,
        corpus=corpus,
        document=indexed(corpus, ["A SNAT pool is a set of addresses.", "It has an owner."]),
        run=run,
        question=question,
        measured=EvaluationAnswerFactory(
            evaluation__question_set=question.question_set, position=1
        ),
        feedback=FeedbackFactory(run=run),
        operation=OperationFactory(tenant=acme),
        token=ApiTokenFactory(tenant=acme, user=alice.user),
    )
