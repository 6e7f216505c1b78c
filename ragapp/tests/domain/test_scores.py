"""Each metric of an evaluation, by its definition."""

from dataclasses import dataclass

import pytest

from ragapp.domain import scores
from ragapp.domain.judged import Judged, Relevant, ranking
from ragapp.domain.scores import Answered

HASH = "a" * 64


@dataclass(frozen=True)
class Hit:
    url: str
    content_hash: str = ""


DOCS = [Hit("/a"), Hit("/a"), Hit("/b"), Hit("/c", HASH)]


def test_passages_of_one_document_are_one_place():
    assert ranking(Judged("?", relevant=(Relevant("/b"),)), DOCS) == ["/a", "/b", "/c"]


def test_judged_passage_is_a_place_of_its_own():
    judged = Judged("?", relevant=(Relevant("/c", HASH),))

    assert ranking(judged, DOCS) == ["/a", "/b", HASH]
    assert scores.retrieval(judged, DOCS)["mrr_at_10"] == pytest.approx(1 / 3)


def test_retrieval_is_measured_by_document():
    found = scores.retrieval(Judged("?", relevant=(Relevant("/b"), Relevant("/z"))), DOCS)

    assert (found["mrr_at_10"], found["recall_at_5"], found["recall_at_100"]) == (0.5, 0.5, 0.5)


def test_without_a_judgement_retrieval_has_no_metric():
    assert scores.retrieval(Judged("?", answers=("yes",)), DOCS) == {}


SENTENCES = [
    {"text": "Red.", "support": "Cited", "passages": (1,), "claimed": (1, 2)},
    {"text": "Blue.", "support": "Unsupported", "passages": (), "claimed": ()},
]


def test_answer_is_measured_by_its_sentences_marks_and_references():
    judged = Judged("?", answers=("red",), relevant=(Relevant("/a"),))
    answered = Answered("Found", "Red. [1] Blue.", SENTENCES, [Hit("/a"), Hit("/b")])

    assert scores.answer(judged, answered) == {
        "refused_wrongly": 0.0,
        "match": 1.0,
        "token_f1": pytest.approx(2 / 3),
        "context_precision": 0.5,
        "groundedness": 0.5,
        "citation_precision": 0.5,
        "citation_relevance": 1.0,
    }


@pytest.mark.parametrize("end", ["NotFound", "Blocked"])
def test_refusal_is_right_or_wrong_and_says_nothing(end):
    words = Answered(end, "No answer was found. Looked at: red.")

    assert scores.answer(Judged("?", is_answerable=False), words) == {"refused_rightly": 1.0}
    assert scores.answer(Judged("?", answers=("red",)), words) == {
        "refused_wrongly": 1.0,
        "match": 0.0,
        "token_f1": 0.0,
    }


def test_answer_where_there_is_none_is_a_refusal_missed():
    found = scores.answer(Judged("?", is_answerable=False), Answered("Found", "Red."))

    assert found == {"refused_rightly": 0.0}


def test_sums_are_over_the_questions_that_have_the_metric():
    total = scores.summed([{"match": 1.0, "seconds": 2.0}, {"match": 0.0}, {"seconds": 4.0}])

    assert (total["match"]["mean"], total["match"]["n"]) == (0.5, 2)
    assert (total["seconds"]["mean"], total["seconds"]["n"]) == (3.0, 2)
    assert list(total) == ["match", "seconds"]


def test_differences_are_over_the_questions_that_both_have():
    before = {str(n): {"match": 0.0, "seconds": 1.0} for n in range(20)}
    after = {str(n): {"match": 1.0, "seconds": 2.0} for n in range(10, 40)}

    found = scores.differences(before, after)

    assert found["match"].n == 10
    assert (found["match"].change, found["seconds"].change) == ("Better", "Worse")


def test_each_metric_is_named_once():
    assert len(scores.METRIC_BY_NAME) == len(scores.METRICS)
