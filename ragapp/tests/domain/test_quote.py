"""Quotes are sentences of the passages that touch the question."""

from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.quote import plain, quotes

SNAT = "A SNAT pool is a set of addresses.\nIt belongs to one tenant. Firewalls like it."
OTHER = "Weather is mild.\n\n| SNAT pool | 3 |\n\n# SNAT pool\n\n* **SNAT** has a [pool](x.md)."


def test_the_sentence_that_touches_the_question_comes_alone_and_with_its_next():
    assert quotes(["snat", "pool"], [SNAT]) == (
        "A SNAT pool is a set of addresses.",
        "A SNAT pool is a set of addresses. It belongs to one tenant.",
    )


def test_tables_and_headings_are_no_sentences_and_marks_are_taken_off():
    assert quotes(["snat", "pool"], [OTHER]) == ("SNAT has a pool.",)


def test_a_question_about_something_else_has_no_quote():
    assert quotes(["won", "cup"], [SNAT, OTHER]) == ()


def test_a_stem_of_the_corpora_meets_the_words_of_a_passage():
    assert quotes(["reconcil"], ["Reconciling takes a second."]) == ("Reconciling takes a second.",)


def test_identifiers_keep_their_underscores():
    assert plain("- The `app_role` is **fixed**.") == "The app_role is fixed."


@given(st.text("abc .\n*|", max_size=40), st.lists(st.text("abc .\n*|", max_size=60), max_size=3))
def test_no_quote_is_empty_or_doubled(question, passages):
    found = quotes(question.split(), passages)

    assert all(found)
    assert len(set(found)) == len(found)
