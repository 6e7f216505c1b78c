"""Calibrations: asked, fitted, stored as a version, and used by the next run."""

import json

import pytest
from django.core.management import CommandError, call_command

from ragapp.domain.agent import Settings
from ragapp.domain.grade import Calibrations, Question
from ragapp.domain.judged import Judged
from ragapp.engines.openai import OpenAIEngine
from ragapp.models import Calibration
from ragapp.services import calibration
from ragapp.services.calibration import Asking
from ragapp.tests.factories import CalibrationFactory, CorpusFactory, indexed
from tenants.errors import InvalidError
from tenants.models import tenant_scope
from tests.wire import reader, server
from tests.wire.test_reader import key_of

KEY = key_of(60)


@pytest.fixture
def asking():
    with server.serving(reader.build("127.0.0.1:0", KEY)) as wire:
        engine = OpenAIEngine(f"{wire.url}/v1/", reader.MODEL)
        yield Asking(engine, Settings("acme", passages=3))
        engine.close()


def judged(count: int = 60) -> list[Judged]:
    return [
        Judged(question.text, question.answers, question.is_answerable)
        for question in KEY.questions[:count]
    ]


@pytest.mark.model
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "embedder")
def test_judged_questions_make_a_version_that_runs_use(alice, asking):
    corpus = CorpusFactory(tenant=alice.tenant)
    indexed(corpus, [f"{passage.title}: {passage.text}" for passage in KEY.passages])

    with alice.acting() as actor:
        for version in (1, 2):
            rows = calibration.calibrate(
                corpus, judged(), asking=asking, actor=actor, source="questions.jsonl"
            )
            assert {row.version for row in rows} == {version}

    with tenant_scope(corpus.tenant_id):
        used = calibration.in_use([corpus.pk], "reader")
        stored = Calibration.objects.filter(version=2, question="right").get()
    assert Question.RIGHT in used.by_question
    assert used.by_question[Question.RIGHT] == stored.fit
    assert (stored.samples, stored.source, stored.created_by) == (60, "questions.jsonl", "alice")
    assert stored.auc > 0.8


@pytest.mark.model
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "embedder")
def test_too_few_questions_store_nothing(alice, asking):
    corpus = CorpusFactory(tenant=alice.tenant)
    indexed(corpus, [passage.text for passage in KEY.passages[:4]])

    with alice.acting() as actor, pytest.raises(InvalidError, match="do not suffice"):
        calibration.calibrate(corpus, judged(4), asking=asking, actor=actor, source="x")

    with tenant_scope(corpus.tenant_id):
        assert not Calibration.objects.exists()


@pytest.mark.django_db
def test_a_calibration_is_for_one_corpus_and_one_model(alice, charlie):
    row = CalibrationFactory(corpus__tenant=alice.tenant)
    other = CorpusFactory(tenant=alice.tenant)

    with alice.acting():
        assert list(calibration.in_use([row.corpus_id], "reader").by_question) == ["relevant"]
        for corpora, model in (
            ([row.corpus_id], "another"),
            ([other.pk], "reader"),
            ([row.corpus_id, other.pk], "reader"),
            ([], "reader"),
        ):
            assert calibration.in_use(corpora, model) == Calibrations()
    with charlie.acting():
        assert calibration.in_use([row.corpus_id], "reader") == Calibrations()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"tenant": "nobody", "corpus": "docs"}, "no tenant named"),
        ({"tenant": "acme", "corpus": "none"}, "No corpus named"),
        ({"tenant": "acme", "corpus": "docs", "questions": "/nowhere"}, "no file"),
    ],
)
def test_the_command_says_what_is_wrong(alice, words, complaint):
    CorpusFactory(tenant=alice.tenant, name="docs")

    given = [f"--{name}={value}" for name, value in words.items()]

    with pytest.raises(CommandError, match=complaint):
        call_command("calibrate", *given)


@pytest.mark.model
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "embedder", "generator")
def test_the_command_refuses_a_file_with_a_broken_line(alice, tmp_path):
    CorpusFactory(tenant=alice.tenant, name="docs")
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"question": "Why?", "answers": ["x"]}) + "\n{broken\n")

    with pytest.raises(CommandError, match="Line 2"):
        call_command("calibrate", "--tenant=acme", "--corpus=docs", f"--questions={file}")
