"""Answers against references, word for word."""

import pytest

from ragapp.domain.match import contains, token_f1


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("It is the source address. [1]", ["source address"], True),
        ("It is a Source-Address", ["the source address"], True),
        ("resource addresses", ["source address"], False),
        ("", ["anything"], False),
        ("anything", [], False),
        ("anything", ["  "], False),
        ("In 1998 [1, 2] it ended.", ["1998 it"], True),
    ],
)
def test_answer_contains_a_reference_as_whole_words(answer, references, expected):
    assert contains(answer, references) is expected


def test_f1_is_that_of_the_nearest_reference():
    assert token_f1("the red fox", ["blue", "red fox jumps"]) == pytest.approx(4 / 5)
    assert token_f1("red", []) == 0
    assert token_f1("", ["red"]) == 0
