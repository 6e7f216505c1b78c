"""Question sets: taken whole or not at all, versioned, frozen, and blind to other tenants."""

import json

import pytest

from ragapp.domain.judged import Judged, Relevant
from ragapp.models import Chunk, Corpus, JudgedQuestion, Origin, QuestionSet
from ragapp.services import corpora, questions
from ragapp.tests.factories import (
    CorpusFactory,
    DocumentFactory,
    EvaluationFactory,
    JudgedQuestionFactory,
    QuestionSetFactory,
    indexed,
)
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models import AuditEntry, tenant_scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def corpus(acme) -> Corpus:
    corpus = CorpusFactory(tenant=acme, name="docs")
    for name in ("snat.md", "vlan.html", "a/same.md", "b/same.md"):
        DocumentFactory(corpus=corpus, url=f"http://docs.example/{name}")
    return corpus


@pytest.fixture
def question_set(alice, corpus) -> QuestionSet:
    with alice.acting() as actor:
        return questions.create_set(alice.tenant, corpus, name="people", actor=actor)


def upload(person, question_set, *rows: object, name: str = "q.jsonl", **options) -> int:
    content = "\n".join(json.dumps(row) for row in rows).encode()
    with person.acting() as actor:
        return questions.upload(question_set, content, name=name, actor=actor, **options)


def stored(question_set) -> list[JudgedQuestion]:
    with tenant_scope(question_set.tenant_id):
        return list(JudgedQuestion.objects.filter(question_set=question_set))


@pytest.mark.parametrize("named", ["http://docs.example/snat.md", "snat.md", "snat"])
def test_document_is_named_by_its_address_or_the_end_of_it(alice, question_set, named):
    upload(alice, question_set, {"question": "Why?", "relevant": [named]})

    (question,) = stored(question_set)
    assert question.judged.relevant == (Relevant("http://docs.example/snat.md"),)
    assert question.origin == Origin.UPLOAD


@pytest.mark.parametrize("named", ["same.md", "gone.md", "", "http://docs.example/"])
def test_document_that_is_not_one_is_refused_with_its_line(alice, question_set, named):
    with pytest.raises(InvalidError) as refused:
        upload(
            alice,
            question_set,
            {"question": "First?", "answers": ["x"]},
            {"question": "Why?", "relevant": [named, "snat.md"]},
        )

    (complaint,) = refused.value.fields["file"]
    assert complaint.startswith("Line 2: the corpus has no document")
    assert stored(question_set) == []


def test_passage_is_named_by_its_content_and_holds_after_training(alice, corpus, question_set):
    document = indexed(corpus, ["A SNAT pool is a set of addresses."])
    with tenant_scope(corpus.tenant_id):
        content_hash = Chunk.objects.get(document_id=document.pk).content_hash

    upload(alice, question_set, {"question": "Why?", "relevant": [{"passage": content_hash}]})

    (question,) = stored(question_set)
    assert question.judged.relevant == (Relevant(document.url, content_hash),)


def test_same_text_takes_the_place_of_the_one_before(alice, question_set):
    upload(alice, question_set, {"question": "Why?", "answers": ["a"]})
    upload(alice, question_set, {"question": "Why?", "answers": ["b"]})

    assert [question.answers for question in stored(question_set)] == [["b"]]
    with alice.acting():
        assert questions.visible_set("people").version == 3


def test_each_change_is_audited(alice, question_set):
    upload(alice, question_set, {"question": "Why?", "answers": ["a"]})

    with alice.acting():
        events = list(AuditEntry.objects.order_by("pk").values_list("event", flat=True))
    assert events == ["question-set.created", "question-set.extended"]


def test_frozen_set_takes_nothing_until_it_is_thawed(alice, question_set):
    question = JudgedQuestionFactory(question_set=question_set)
    with alice.acting() as actor:
        questions.change_set(
            question_set, name="people", description="", is_frozen=True, actor=actor
        )

    with pytest.raises(ConflictError, match="frozen"):
        upload(alice, question_set, {"question": "Why?", "answers": ["a"]})
    with alice.acting() as actor, pytest.raises(ConflictError, match="frozen"):
        questions.delete_question(question, actor=actor)
    with alice.acting() as actor:
        questions.change_set(
            question_set, name="people", description="", is_frozen=False, actor=actor
        )
        questions.delete_question(question, actor=actor)

    assert stored(question_set) == []


def test_question_is_written_and_changed_by_hand(alice, question_set):
    with alice.acting() as actor:
        made = questions.write_question(question_set, Judged("Why?", ("a",)), actor=actor)
        questions.write_question(
            question_set,
            Judged("Why so?", (), True, (Relevant("snat.md", grade=2),)),
            actor=actor,
            question=made,
        )

    (question,) = stored(question_set)
    assert (question.pk, question.text, question.origin) == (made.pk, "Why so?", Origin.WRITTEN)
    assert question.judged.relevant == (Relevant("http://docs.example/snat.md", grade=2),)


@pytest.mark.parametrize(
    ("judged", "field"),
    [
        (Judged(""), "text"),
        (Judged("Why?"), "answers"),
        (Judged("Why?", relevant=(Relevant("gone"),)), "relevant"),
        (Judged("Why?", ("a",), is_answerable=False), "text"),
    ],
)
def test_question_that_measures_nothing_is_refused_at_its_field(alice, question_set, judged, field):
    with alice.acting() as actor, pytest.raises(InvalidError) as refused:
        questions.write_question(question_set, judged, actor=actor)

    assert list(refused.value.fields) == [field]


def test_question_is_in_a_set_once(alice, question_set):
    JudgedQuestionFactory(question_set=question_set, text="Why?")

    with alice.acting() as actor, pytest.raises(ConflictError, match="already"):
        questions.write_question(question_set, Judged("Why?", ("a",)), actor=actor)


@pytest.mark.parametrize("name", ["Not A Label", ""])
def test_name_that_is_no_label_is_refused(alice, corpus, name):
    with alice.acting() as actor, pytest.raises(InvalidError) as refused:
        questions.create_set(alice.tenant, corpus, name=name, actor=actor)

    assert list(refused.value.fields) == ["name"]


def test_name_is_taken_once_in_a_tenant(alice, corpus, question_set, globex):
    QuestionSetFactory(corpus__tenant=globex, name="theirs")

    with alice.acting() as actor:
        questions.create_set(alice.tenant, corpus, name="theirs", actor=actor)
        with pytest.raises(ConflictError, match="already"):
            questions.create_set(alice.tenant, corpus, name="people", actor=actor)


def test_set_of_another_tenant_is_as_one_that_is_not_there(alice, globex):
    QuestionSetFactory(corpus__tenant=globex, name="theirs")

    with alice.acting(), pytest.raises(NotVisibleError):
        questions.visible_set("theirs")


def test_set_and_corpus_are_deleted_with_all_that_rests_on_them(alice, corpus, question_set):
    JudgedQuestionFactory(question_set=question_set)
    EvaluationFactory(question_set=question_set)
    kept = QuestionSetFactory(corpus=corpus)

    with alice.acting() as actor:
        questions.delete_set(question_set, actor=actor)
        assert list(QuestionSet.objects.all()) == [kept]
        corpora.delete_corpus(corpus, actor=actor)
        assert not QuestionSet.objects.exists()
