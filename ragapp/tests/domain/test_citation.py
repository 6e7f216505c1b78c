"""Only citations that hold are shown."""

from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.citation import Support, cite, marks, supported_share

SNAT = (
    "A SNAT pool is a set of source addresses for connections that leave the cluster. "
    "Each address offers about 64,000 source ports."
)
DRIFT = "Drift means that the proxy holds something else. It is healed within five seconds."
WEATHER = "The weather in spring is mild, and rivers are high."


def test_a_sentence_without_marks_gets_the_passage_that_supports_it():
    cited = cite("A SNAT pool is a set of source addresses.", [WEATHER, SNAT])

    assert cited.text == "A SNAT pool is a set of source addresses. [2]"
    assert cited.sentences[0].support is Support.SUPPORTED
    assert cited.sentences[0].claimed == ()


def test_a_right_mark_of_the_model_is_kept():
    cited = cite("Drift is healed within five seconds [2].", [SNAT, DRIFT])

    assert cited.text == "Drift is healed within five seconds. [2]"
    assert cited.sentences[0].support is Support.CITED


def test_a_mark_after_the_full_stop_belongs_to_its_sentence():
    cited = cite(
        "Drift is healed within five seconds. [2] Rivers are high. [3]", [SNAT, DRIFT, WEATHER]
    )

    assert [sentence.claimed for sentence in cited.sentences] == [(2,), (3,)]
    assert cited.text == "Drift is healed within five seconds. [2] Rivers are high. [3]"


def test_a_mark_that_does_not_support_its_sentence_is_not_shown_but_remembered():
    (sentence,) = cite("Drift is healed within five seconds [1].", [SNAT, DRIFT]).sentences

    assert (sentence.support, sentence.passages, sentence.claimed) == (
        Support.SUPPORTED,
        (2,),
        (1,),
    )


def test_numbers_that_do_not_exist_are_dropped():
    cited = cite("Rivers are high in spring [7] [0].", [WEATHER])

    assert cited.text == "Rivers are high in spring. [1]"
    assert cited.sentences[0].claimed == ()


def test_an_invented_number_makes_the_sentence_unsupported():
    (sentence,) = cite("Each address offers about 99,000 source ports.", [SNAT]).sentences

    assert sentence.support is Support.UNSUPPORTED
    assert sentence.passages == ()
    assert sentence.missing_literals == ("99,000",)


def test_an_invented_sentence_is_unsupported():
    cited = cite(
        "The speed of drift is a share of the speed of light. Rivers are high.", [DRIFT, WEATHER]
    )

    assert [s.support for s in cited.sentences] == [Support.UNSUPPORTED, Support.SUPPORTED]
    assert supported_share(cited) == 0.5


def test_repeated_and_cut_off_sentences_are_left_out():
    cited = cite("Rivers are high. Rivers are high. Rivers are", [WEATHER], is_cut=True)

    assert cited.text == "Rivers are high. [1]"


def test_an_empty_answer_has_no_support():
    assert supported_share(cite("  \n", [SNAT])) == 0


@given(st.text("ab. [1239],\n", max_size=80), st.lists(st.text("ab ", max_size=20), max_size=3))
def test_no_shown_mark_is_unverified(answer, passages):
    cited = cite(answer, passages)

    for sentence in cited.sentences:
        assert all(1 <= number <= len(passages) for number in sentence.passages)
        assert bool(sentence.passages) == (sentence.support is not Support.UNSUPPORTED)
    shown = {number for sentence in cited.sentences for number in sentence.passages}
    assert set(marks(cited.text)) == shown


def test_each_claim_names_its_exact_place_in_the_passage():
    passage = "Drift is healed. A SNAT pool holds the source addresses. Nothing else is here."

    (sentence,) = cite("A SNAT pool holds the source addresses.", [passage]).sentences

    (span,) = sentence.spans
    assert passage[span.start : span.end] == "A SNAT pool holds the source addresses."
    assert span.passage == 1
