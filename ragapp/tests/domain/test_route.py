"""The keyword gate."""

from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.passage import Source
from ragapp.domain.route import Lexicon, coverage, decide

LEXICONS = st.integers(0, 1000).flatmap(
    lambda chunks: st.builds(
        Lexicon,
        st.just(chunks),
        st.dictionaries(st.text("abc", min_size=1), st.integers(0, chunks), max_size=6),
    )
)


def test_untrained_goes_to_the_web_and_says_so():
    decision = decide(Lexicon(0, {"snat": 0}))

    assert decision.way is Source.WEB
    assert decision.reasons == ("No corpus has been trained yet.",)


def test_known_words_stay_local():
    decision = decide(Lexicon(50, {"snat": 4, "pool": 9}))

    assert decision.way is Source.LOCAL
    assert decision.reasons == (
        "The corpora cover 100% of what the question's words tell.",
        "Known: pool, snat.",
    )


def test_a_stray_common_word_is_no_knowledge():
    decision = decide(Lexicon(500, {"world": 60, "cup": 0, "1998": 0}))

    assert decision.way is Source.WEB
    assert decision.reasons[-1] == "Not found in any chunk: 1998, cup."


def test_one_unknown_word_beside_a_telling_one_stays_local():
    assert decide(Lexicon(100, {"snat": 3, "heal": 0})).way is Source.LOCAL


def test_a_question_of_stop_words_is_searched_by_meaning():
    assert decide(Lexicon(10, {})).way is Source.LOCAL


@given(LEXICONS)
def test_coverage_is_a_share_and_grows_with_what_is_known(lexicon):
    share = coverage(lexicon)

    assert 0 <= share <= 1
    if lexicon.chunks and lexicon.frequency_by_term:
        known = {term: max(found, 1) for term, found in lexicon.frequency_by_term.items()}
        assert coverage(Lexicon(lexicon.chunks, known)) == 1
