"""From a file of questions to a promoted setting, as somebody of MLOps does it."""

import json

import pytest
from django.db import connection
from django.utils import timezone
from playwright.sync_api import expect

from ragapp.models import Chunk, Corpus, Document, Purpose
from ragapp.services import evaluations, questions
from ragapp.services.evaluate import evaluate
from ragapp.tests.factories import (
    CalibrationFactory,
    CorpusFactory,
    EvaluationFactory,
    RunFactory,
    indexed,
)
from tenants.domain.roles import Role
from tenants.models import Operation, tenant_scope
from tenants.tests.people import person

pytestmark = [pytest.mark.browser, pytest.mark.model]

TEXTS = {
    "snat": "A SNAT pool holds the source addresses that a tenant goes out with.",
    "vlan": "A VLAN tag keeps the frames of one tenant apart from all others.",
    "deny": "What no rule allows is denied by the rule acme/default-deny.",
    "bgp": "A BGP peer learns the routes to the virtual addresses of a tenant.",
}
QUESTIONS = [
    {"question": "What is a SNAT pool for?", "answers": ["source addresses"], "relevant": ["snat"]},
    {"question": "What keeps frames apart?", "answers": ["VLAN tag"], "relevant": ["vlan"]},
    {"question": "Which rule denies the rest?", "relevant": ["deny"]},
    {"question": "Who learns the routes?", "answers": ["BGP peer"], "relevant": ["bgp"]},
    {"question": "Who won the cup in 1998?", "answerable": False},
]


@pytest.fixture
def corpus(acme, embedder) -> Corpus:
    corpus = CorpusFactory(tenant=acme, name="docs")
    for name, text in TEXTS.items():
        document = indexed(corpus, [text], list(embedder.embed_documents([text])))
        with tenant_scope(acme.pk):
            Document.objects.filter(pk=document.pk).update(
                url=f"http://docs.example/{name}.md", title=name.upper()
            )
    return corpus


def run_open(tenant) -> None:
    """What the engine worker does with whatever is queued."""
    with tenant_scope(tenant.pk):
        queued = list(Operation.objects.filter(state="Queued").values_list("pk", flat=True))
    for operation_id in queued:
        evaluate(operation_id)
    connection.close()


def test_setting_goes_from_a_file_of_questions_to_its_promotion(
    tab, acme, corpus, generator, tmp_path
):
    mlops = tab(person("mira", acme, Role.MLOPS).user)
    page = mlops.page
    mlops.open("/t/acme/evaluation/")
    mlops.look("evaluation-list-empty")
    page.get_by_role("link", name="Go to question sets").click()
    mlops.look("question-set-list-empty")

    page.get_by_role("link", name="New question set").first.click()
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join([json.dumps(QUESTIONS[0]), "nonsense"]))
    page.get_by_label("Name").fill("people")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Line 2: is not JSON")
    mlops.look("question-set-refused")
    file.write_text("\n".join(json.dumps(row) for row in QUESTIONS))
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row")).to_have_count(6)
    mlops.look("question-set-detail")

    page.get_by_role("link", name="Evaluate").click()
    mlops.look("evaluation-form")
    page.get_by_label("What it shall find out").fill("As it is")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("waiting for a worker")).to_be_visible()
    mlops.look("evaluation-waiting")
    run_open(acme)
    page.reload()
    expect(page.get_by_role("heading", name="Figures")).to_be_visible()
    mlops.look("evaluation-detail")

    mlops.open("/t/acme/evaluation/new/?set=people")
    page.get_by_label("What it shall find out").fill("By words alone")
    page.get_by_label("Dense weight").fill("0")
    page.get_by_role("button", name="Start").click()
    run_open(acme)
    mlops.open("/t/acme/evaluation/")
    mlops.look("evaluation-list")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare the two chosen").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    page.get_by_role("link", name="All").click()
    mlops.look("evaluation-compare")
    page.get_by_role("link", name="What is a SNAT pool for?").click()
    expect(page.get_by_text("Before:")).to_be_visible()
    mlops.look("evaluation-answer")

    mlops.open("/t/acme/evaluation/")
    page.get_by_role("link", name="By words alone").click()
    page.get_by_label("Reason").fill("Jargon.")
    page.get_by_role("button", name="Promote this setting").click()
    expect(page.get_by_text("docs is answered so from now on.")).to_be_visible()
    mlops.look("evaluation-promoted")
    with tenant_scope(acme.pk):
        assert Corpus.objects.get(pk=corpus.pk).dense_weight == 0
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("docs is answered as before.")).to_be_visible()


def test_sweep_shows_its_weights_and_what_the_best_is_worth(tab, acme, corpus, alice):
    with alice.acting() as actor:
        question_set = questions.create_set(acme, corpus, name="people", actor=actor)
        content = "\n".join(json.dumps(row) for row in QUESTIONS).encode()
        questions.upload(question_set, content, name="q.jsonl", actor=actor)
        corpus.refresh_from_db()
        question_set.corpus = corpus
        corpus.tenant = acme
        evaluations.start(
            question_set,
            corpus.answering,
            purpose=Purpose.WEIGHT,
            note="Which weight?",
            actor=actor,
        )
    run_open(acme)

    mlops = tab(alice.user)
    mlops.open("/t/acme/evaluation/")
    mlops.page.get_by_role("link", name="Which weight?").first.click()
    expect(mlops.page.get_by_role("img", name="nDCG@10 by dense weight")).to_be_visible()
    mlops.look("evaluation-sweep")


def test_thumb_becomes_a_judged_question_after_review(tab, acme, alice, bob):
    document = indexed(CorpusFactory(tenant=acme, name="docs"), [TEXTS["snat"]])
    corpus = document.corpus
    with tenant_scope(acme.pk):
        chunk = Chunk.objects.get(document_id=document.pk)
    run = RunFactory(
        tenant=acme,
        corpus=corpus,
        question="What is a SNAT pool for?",
        state="Succeeded",
        end="Found",
        answer=f"{TEXTS['snat']} [1]",
        sentences=[{"text": TEXTS["snat"], "support": "Cited", "passages": [1]}],
        citations=[
            {
                "number": 1,
                "is_cited": True,
                "source": "local",
                "title": "SNAT pools",
                "section": [],
                "page": None,
                "url": document.url,
                "chunk_id": chunk.id,
                "document_id": document.pk,
                "start": 0,
                "end": len(chunk.text),
                "score": 0.9,
                "text": "",
            }
        ],
    )
    reader = tab(bob.user)
    reader.open(f"/t/acme/ask/{run.trace_id}/")
    reader.page.get_by_role("button", name="Good").click()
    reader.page.get_by_label("In your words").fill("Just right.")
    reader.page.get_by_role("button", name="Send").click()
    expect(reader.page.get_by_label("In your words")).to_have_value("Just right.")
    reader.look("feedback-given")

    mlops = tab(alice.user)
    mlops.open("/t/acme/evaluation/new/set/")
    mlops.page.get_by_label("Name").fill("people")
    mlops.page.get_by_role("button", name="Save").click()
    mlops.open("/t/acme/evaluation/review/")
    mlops.look("feedback-list")
    mlops.page.get_by_role("link", name="What is a SNAT pool for?").click()
    mlops.look("feedback-review")
    expect(mlops.page.get_by_label("Relevant documents")).to_have_value(document.url)
    mlops.page.get_by_label("Reference answers").fill("source addresses")
    mlops.page.get_by_role("button", name="Put it into the set").click()
    expect(mlops.page.get_by_text("The question is in the set.")).to_be_visible()

    mlops.open("/t/acme/evaluation/sets/people/")
    expect(mlops.page.get_by_role("link", name="What is a SNAT pool for?")).to_be_visible()


def test_calibration_shows_what_the_grades_are_worth_and_is_deleted(tab, alice, acme):
    evaluation = EvaluationFactory(
        question_set__corpus__tenant=acme,
        purpose=Purpose.CALIBRATION,
        note="Are the grades right?",
        ended_at=timezone.now(),
    )
    for question in ("relevant", "answerable"):
        CalibrationFactory(
            corpus=evaluation.corpus, question=question, source=evaluation.calibration_source
        )
    keeper = tab(alice.user)

    keeper.open(f"/t/acme/evaluation/{evaluation.pk}/")

    expect(keeper.page.get_by_role("heading", name="What the grades are worth")).to_be_visible()
    expect(keeper.page.locator("svg.reliability")).to_have_count(2)
    keeper.look("evaluation-calibration")
    keeper.page.get_by_role("button", name="Delete").click()
    expect(keeper.page.get_by_role("heading", name="Delete this evaluation?")).to_be_visible()
    keeper.look("evaluation-delete")
    keeper.page.get_by_role("button", name="Delete").click()
    expect(keeper.page.get_by_text("The evaluation is deleted.")).to_be_visible()
