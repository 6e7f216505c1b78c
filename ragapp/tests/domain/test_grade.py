"""Calibrated grades decide; raw ones are only shown."""

import math

from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.grade import (
    Calibration,
    Calibrations,
    GradeVerdict,
    Question,
    sigmoid,
    usable,
)

STEEP = Calibrations({Question.RELEVANT: Calibration({"margin": 2.0, "score": 1.0}, -1.0)})


def test_without_calibration_a_grade_is_shown_and_refuses_nothing():
    grades = [
        Calibrations().grade(Question.RELEVANT, n, {"margin": margin})
        for n, margin in enumerate((-50.0, 50.0), start=1)
    ]

    assert [grade.verdict for grade in grades] == [GradeVerdict.SHOWN, GradeVerdict.SHOWN]
    assert [grade.probability for grade in grades] == [None, None]
    assert usable(grades) == (1, 2)


def test_a_calibrated_grade_accepts_doubts_and_refuses():
    margins = (2.0, 0.4, -3.0)

    grades = [STEEP.grade(Question.RELEVANT, n, {"margin": m}) for n, m in enumerate(margins, 1)]

    assert [grade.verdict.value for grade in grades] == ["Accepted", "Doubtful", "Refused"]
    assert usable(grades) == (1, 2)


def test_only_the_calibrated_question_decides():
    assert STEEP.grade(Question.GROUNDED, 0, {"margin": -9.0}).verdict is GradeVerdict.SHOWN


@given(st.floats(-20, 20), st.floats(0, 20), st.floats(0, 1))
def test_a_higher_margin_is_never_less_likely(margin, more, score):
    low, high = (
        STEEP.grade(Question.RELEVANT, 1, {"margin": m, "score": score}).probability
        for m in (margin, margin + more)
    )

    assert 0 <= low <= high <= 1


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_sigmoid_is_bounded_and_symmetric(logit):
    assert 0 <= sigmoid(logit) <= 1
    assert math.isclose(sigmoid(logit) + sigmoid(-logit), 1)
