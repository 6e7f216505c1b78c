"""The agent on a question set: corpora in a real database, and questions asked of them.

Imported only after Django is set up; ``benchmarks/agent.py`` measures with it.
"""

import asyncio
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, replace

from asgiref.sync import sync_to_async
from django.db import connection

from benchmarks.datasets import Document, QuestionSet
from benchmarks.datasets import Question as Asked
from proxyconfig.facade import EgressEndpoint
from ragapp.domain.agent import Settings
from ragapp.domain.chunk import Sizes, split
from ragapp.domain.document import Document as Text
from ragapp.domain.drive import World
from ragapp.domain.drive import run as drive
from ragapp.domain.ends import Answer
from ragapp.domain.engine import Engine
from ragapp.domain.grade import Calibrations
from ragapp.domain.judged import Judged, Relevant
from ragapp.domain.passage import Passage
from ragapp.domain.reader import EVERYTHING
from ragapp.models import Channel, Corpus, DocumentState, ModelKind, Run, make_partition
from ragapp.models import Document as Row
from ragapp.services import corpora, index, language_models, runs, serving, stream
from ragapp.services.answer import answer
from ragapp.services.calibration import Unheard
from ragapp.services.tools import RunTools
from ragapp.services.web import WayOut
from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Tenant
from tenants.services.tenants import create_tenant

# Threads of the engine worker, as deploy/local starts it.
WORKERS = 16
PASSAGES = 8
DELIMITER = "<<5a1ec0de>>"
_ACTOR = Actor(name="system:benchmark", platform_role=PlatformRole.ADMIN)
# Nothing goes out: the web is off in every run.
_NOWHERE = WayOut("bench", "0" * 32, EgressEndpoint("http://127.0.0.1:9", {}))


@dataclass(frozen=True, slots=True)
class Case:
    """A question asked of one corpus, where it may have no answer."""

    question: Asked
    corpus_id: int
    is_answerable: bool
    group: str

    @property
    def judged(self) -> Judged:
        """As the corpus answers it."""
        if not self.is_answerable:
            return Judged(self.question.text, is_answerable=False)
        relevant = (Relevant(self.question.passage),)
        return Judged(self.question.text, self.question.answers, relevant=relevant)


@dataclass(slots=True)
class Scene:
    """A tenant with corpora, and a model to ask."""

    tenant: Tenant
    engine: Engine

    def corpus(self, name: str, passages: Sequence[Document]) -> int:
        """A corpus of these passages, each a document; its id."""
        embedder = serving.embedder()
        sizes = Sizes(limit=embedder.max_tokens)
        with tenant_scope(self.tenant.pk):
            make_partition(self.tenant.pk)
            corpus = Corpus.objects.create(tenant=self.tenant, name=name, passages=PASSAGES)
            for passage in passages:
                chunks = split(Text(passage.text, passage.title), embedder, sizes)
                document = Row.objects.create(
                    tenant=self.tenant,
                    corpus=corpus,
                    url=passage.id,
                    title=passage.title,
                    text=passage.text,
                    state=DocumentState.READY,
                    chunk_count=len(chunks),
                )
                vectors = embedder.embed_documents([chunk.indexed_text for chunk in chunks])
                written = index.write(document, chunks, vectors)
                corpora.count(corpus.pk, documents=1, plus=written)
        return corpus.pk

    def tools(self, corpus_id: int) -> RunTools:
        """What a run on the corpus may do."""
        return RunTools(self.tenant.pk, (corpus_id,), _NOWHERE, reader=EVERYTHING)

    def found(self, case: Case) -> list[Passage]:
        """What the search puts first."""
        return list(self.tools(case.corpus_id).search(case.question.text, PASSAGES))

    def answer(self, case: Case, calibrations: Calibrations, *, passages: int = PASSAGES) -> Answer:
        """One run of the agent, from the search to the end."""
        world = World(
            tools=self.tools(case.corpus_id),
            engine=self.engine,
            listener=Unheard(),
            clock=time.monotonic,
            cancel=threading.Event(),
        )
        settings = Settings("bench", passages=passages, web=False, calibrations=calibrations)
        return drive(case.question.text, settings=settings, world=world, delimiter=DELIMITER)

    def first_token_seconds(
        self, cases: Sequence[Case], *, users: int, pause_seconds: float, rounds: int
    ) -> list[float]:
        """From the question to its first token at the reader, by users who also read and think."""
        with ThreadPoolExecutor(WORKERS, "engine") as workers:
            return asyncio.run(self._users(cases, workers, users, pause_seconds, rounds))

    async def _users(
        self,
        cases: Sequence[Case],
        workers: ThreadPoolExecutor,
        users: int,
        pause_seconds: float,
        rounds: int,
    ) -> list[float]:
        taken: list[float] = []
        chance = random.Random(0)

        async def user(number: int) -> None:
            for turn in range(rounds):
                await asyncio.sleep(chance.expovariate(1 / pause_seconds))
                case = cases[(number * rounds + turn) % len(cases)]
                seconds = await self._first_token(case, workers)
                if seconds is not None:
                    taken.append(seconds)

        await asyncio.gather(*(user(number) for number in range(users)))
        return taken

    async def _first_token(self, case: Case, workers: ThreadPoolExecutor) -> float | None:
        """None where the run ended without a token: a refusal before anything was written."""
        begun = time.perf_counter()
        run = await sync_to_async(self._ask, thread_sensitive=False)(case)
        working = asyncio.get_running_loop().run_in_executor(workers, _work, run.pk)
        seconds = None
        async with aclosing(stream.read(self.tenant.pk, run.trace_id)) as events:
            async for event in events:
                if event and seconds is None and (event.name == "token" or event.data.get("text")):
                    seconds = time.perf_counter() - begun
        await working
        return seconds

    def stop_seconds(self, case: Case) -> float:
        """From the wish to stop until the run has ended, while it writes."""
        run = self._ask(case)
        working = threading.Thread(target=_work, args=(run.pk,))
        working.start()
        _wait_for_text(self.tenant.pk, run.pk)
        begun = time.perf_counter()
        with tenant_scope(self.tenant.pk):
            runs.request_stop(Run.objects.get(pk=run.pk), actor=_ACTOR)
        working.join()
        return time.perf_counter() - begun

    def serve(self, base_url: str, name: str) -> None:
        """Have runs on all corpora answered by the model on this server."""
        values = {
            "kind": ModelKind.SERVER,
            "location": self.engine.name,
            "base_url": base_url,
            "context_tokens": self.engine.context_tokens,
        }
        with platform_scope("benchmark"):
            language_models.save(name, values, actor=_ACTOR)
        with tenant_scope(self.tenant.pk):
            Corpus.objects.update(model=name)

    def _ask(self, case: Case) -> Run:
        try:
            with tenant_scope(self.tenant.pk):
                corpus = Corpus.objects.get(pk=case.corpus_id)
                return runs.ask(
                    self.tenant,
                    case.question.text,
                    actor=replace(_ACTOR),
                    channel=Channel.API,
                    corpus=corpus,
                )
        finally:
            connection.close()


def make(engine: Engine) -> Scene:
    """A tenant of its own."""
    with platform_scope("benchmark"):
        return Scene(create_tenant("bench", "Benchmark", actor=_ACTOR), engine)


def cases_of(scene: Scene, key: QuestionSet) -> list[Case]:
    """The set's questions, then further ones that cannot be answered: half the articles left out.

    These are answerable questions of the other half of the articles, so that there are twice as
    many unanswerable ones as the set has.
    """
    article = {passage.id: passage.title for passage in key.passages}
    titles = sorted(set(article.values()))
    half = {title: number % 2 for number, title in enumerate(titles)}
    whole = scene.corpus("whole", key.passages)
    without = [
        scene.corpus(f"half-{side}", [p for p in key.passages if half[p.title] != side])
        for side in (0, 1)
    ]
    cases = [
        Case(question, whole, question.is_answerable, article[question.passage])
        for question in key.questions
    ]
    answerable = [question for question in key.questions if question.is_answerable]
    wanted = sum(not question.is_answerable for question in key.questions)
    step = max(len(answerable) // max(wanted, 1), 1)
    return cases + [
        Case(question, without[half[article[question.passage]]], False, article[question.passage])
        for question in answerable[::step][:wanted]
    ]


def _work(run_id: int) -> None:
    try:
        answer(run_id)
    finally:
        connection.close()


def _wait_for_text(tenant_id: int, run_id: int) -> None:
    for _ in range(600):
        with tenant_scope(tenant_id):
            if Run.objects.get(pk=run_id).answer:
                return
        time.sleep(0.05)
    raise TimeoutError("the run wrote nothing within 30 s")
