"""Words and BM25 without a language."""

from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.lexical import bm25, stems, telling_words, words


def test_joined_words_are_one_word_and_their_parts():
    assert words("SNAT-pools v1.2") == ["snat-pools", "snat", "pools", "v1.2", "v1", "2"]


def test_plurals_meet_their_singular():
    assert stems("pools pool") == ["pool", "pool"]


def test_grammar_tells_nothing():
    assert telling_words("Why is the SNAT of an IP v4 pool up?") == ("SNAT", "IP", "v4", "pool")


def test_rare_words_rank_higher_than_common_ones():
    texts = ["the proxy and the pool", "the proxy and the wall", "the proxy and the door"]

    scores = bm25("the proxy pool", texts)

    assert scores[0] > scores[1] == scores[2] > 0


@given(st.text("abc ", max_size=20), st.lists(st.text("abc ", max_size=30), max_size=5))
def test_scores_are_never_negative_and_one_per_text(query, texts):
    scores = bm25(query, texts)

    assert len(scores) == len(texts)
    assert all(score >= 0 for score in scores)
