"""Fixtures of the portal's tests: the people, and a tenant that has one of everything."""

from dataclasses import dataclass

import pytest

from proxyconfig.domain import edits
from proxyconfig.domain.edits import IngressDraft
from proxyconfig.domain.intent import (
    AddressList,
    EgressPolicy,
    EgressRule,
    Namespace,
    PortRange,
    Segment,
    SnatPool,
    Subnet,
    VirtualAddress,
    VlanLink,
)
from proxyconfig.models import Plan
from proxyconfig.services import plans
from proxyconfig.tests.holding import publish
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
from tenants.tests.factories import ApiTokenFactory, OperationFactory
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
    where = cluster.name
    publish(
        acme,
        Segment(
            name="front",
            cluster=where,
            vlan=VlanLink(interface="1.1", tag=101),
            subnets=(Subnet(cidr="10.101.0.0/24", gateway="10.101.0.1"),),
        ),
        Namespace(name="acme-rag", cluster=where),
        VirtualAddress(address="127.10.1.1", cluster=where),
        SnatPool(name="out", cluster=where, addresses=("127.20.1.1",)),
        AddressList(name="offices", addresses=("192.0.2.0/24",)),
    )
    draft = IngressDraft(
        name="web",
        virtual_address="127.10.1.1",
        port=8080,
        namespace="acme-rag",
        allowed_sources=("10.0.0.0/8",),
    )
    rule = EgressRule(order=10, host="docs.example.org", ports=(PortRange.single(443),))
    docs = EgressPolicy(name="docs", rules=(rule,))
    with alice.acting() as actor:
        plans.propose(acme, edits.save_ingress(draft), actor=actor, reason="open the door")
        plan = plans.propose(acme, edits.create(docs), actor=actor, reason="read the docs")
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
