"""Fitting: what is known of the grades becomes probabilities that hold on other questions."""

import numpy as np
import pytest

from ragapp.domain.grade import GradeVerdict, Question, log_odds
from ragapp.domain.labels import JudgedRun, Sample
from ragapp.services import fit
from tenants.errors import InvalidError

APART = 1.47  # Distance of the means of a grade with AUC 0.85.


def judged_runs(
    count: int, *, seed: int = 0, bias: float = 2.0, apart: float = APART
) -> list[JudgedRun]:
    """Every second question can be answered; each grade errs by itself and leans to yes."""
    generator = np.random.default_rng(seed)

    def sample(*, is_so: bool) -> Sample:
        margin = (apart / 2 if is_so else -apart / 2) + generator.normal()
        return Sample({"margin": bias + 3 * float(margin)}, is_so)

    def run(number: int) -> JudgedRun:
        is_so = number % 2 == 0
        return JudgedRun(
            relevant=(sample(is_so=is_so), sample(is_so=False)),
            answerable=sample(is_so=is_so),
            grounded=sample(is_so=is_so),
            answers=sample(is_so=is_so),
            right=Sample({"margin": bias, "supported": 1.0}, is_so),
        )

    return [run(number) for number in range(count)]


def test_grades_that_err_by_themselves_are_worth_more_together_than_each():
    fitted = fit.fit(judged_runs(600))

    assert fitted[Question.ANSWERS].auc == pytest.approx(0.85, abs=0.04)
    assert fitted[Question.RIGHT].auc > 0.95
    assert fitted[Question.RIGHT].ece < 0.06
    assert fitted[Question.RIGHT].brier < fitted[Question.ANSWERS].brier


def test_a_leaning_to_yes_is_taken_out():
    calibrations = fit.calibrations(fit.fit(judged_runs(400, bias=9.0)))

    grade = calibrations.grade(Question.GROUNDED, 0, {"margin": 9.0})

    assert grade.probability == pytest.approx(0.5, abs=0.1)


def test_the_answers_given_are_right_as_often_as_was_wanted():
    fitted = fit.fit(judged_runs(800), precision=0.95)
    low = fitted[Question.RIGHT].calibration.low

    given = [
        run
        for run in judged_runs(800, seed=1)
        if fitted[Question.RIGHT].calibration.probability(_together(run, fitted)) >= low
    ]

    assert np.mean([run.right.is_so for run in given]) > 0.92
    assert len(given) > 250


def test_wrong_refusals_are_weighed_against_wrong_answers():
    fitted = fit.fit(judged_runs(800))
    right = fitted[Question.RIGHT].calibration
    others = judged_runs(800, seed=1)
    given = np.array([right.probability(_together(run, fitted)) >= right.low for run in others])
    can_be = np.array([run.answerable.is_so for run in others])

    refused, answered = np.mean(~given[can_be]), np.mean(given[~can_be])
    assert refused < 0.12
    assert answered == pytest.approx(2 * refused, abs=0.06)


def test_a_model_that_grades_at_chance_answers_next_to_nothing():
    fitted = fit.fit(judged_runs(600, apart=0.0))
    right = fitted[Question.RIGHT].calibration
    others = judged_runs(600, seed=1, apart=0.0)
    given = [right.probability(_together(run, fitted)) >= right.low for run in others]

    assert np.mean(given) < 0.05


def test_a_second_answer_has_a_higher_bar_the_fewer_of_them_can_be_right():
    bars = [fit.fit(judged_runs(400), precision=p)[Question.RIGHT].calibration for p in (0.8, 0.99)]

    assert all(bar.high > bar.low for bar in bars)
    # The stricter the first, the more of what it refuses can be answered.
    gaps = [log_odds(bar.high) - log_odds(bar.low) for bar in bars]
    assert gaps[1] < gaps[0]


def test_passages_are_hardly_ever_dropped_where_they_help():
    calibrations = fit.calibrations(fit.fit(judged_runs(600)))

    verdicts = [
        calibrations.grade(Question.RELEVANT, 1, sample.features).verdict
        for run in judged_runs(600, seed=1)
        for sample in run.relevant
        if sample.is_so
    ]

    assert verdicts.count(GradeVerdict.REFUSED) / len(verdicts) < 0.05


def test_parts_alone_refuse_nothing():
    fitted = fit.fit(judged_runs(200))

    assert [fitted[part].calibration.low for part in (Question.GROUNDED, Question.ANSWERS)] == [
        0,
        0,
    ]


@pytest.mark.parametrize("runs", [judged_runs(20), judged_runs(200)[::2], []])
def test_too_few_or_all_of_one_kind_is_refused_in_words(runs):
    with pytest.raises(InvalidError, match="do not suffice"):
        fit.fit(runs)


def test_bins_hold_every_grade_once():
    one = fit.fit(judged_runs(300))[Question.RELEVANT]

    assert sum(entry.count for entry in one.bins) == one.count == 600
    assert [entry.probability for entry in one.bins] == sorted(b.probability for b in one.bins)


def _together(run: JudgedRun, fitted: dict[Question, fit.Fitted]) -> dict[str, float]:
    (sample,) = fit.samples_of(Question.RIGHT, run, fitted)
    return sample.features
