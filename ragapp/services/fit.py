"""Fits calibrations: from judged runs to weights and thresholds, by logistic regression.

Each stage may use what the one before it says, so they are fitted in their order. All that is told
of a calibration (reliability, Brier score, thresholds) comes from cross-validation: each question
is judged by a fit that has not seen it. ``ragapp.domain.grade`` only evaluates the outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ragapp.domain.features import any_log_odds
from ragapp.domain.grade import Calibration, Calibrations, Question, log_odds, sigmoid
from ragapp.domain.labels import JudgedRun, Sample
from tenants.errors import InvalidError

FEWEST = 40
FEWEST_OF_EACH = 8
FOLDS = 5
BINS = 10
# What is accepted shall be so as often as this.
PRECISION = 0.9
# Of the questions that can be answered, the share that may be refused; of those that cannot, the
# share that may be answered. The threshold of whole answers is as far from the one as the other.
MOST_REFUSED = 0.05
MOST_ANSWERED = 0.1
# Grades that miss both aims by more than this factor would let far too much through: they are held
# to ``PRECISION`` instead, and a model that grades at chance answers next to nothing.
FARTHEST = 2.0
# How many of the passages, and of the sets of passages, that do hold the answer may be dropped
# before anything is written. The whole answer's grade comes after them and decides.
DROPPED = {Question.RELEVANT: 0.01, Question.ANSWERABLE: 0.005}
# And so far in log-odds below those: such shares are of the few lowest, which vary most.
DROPPED_MARGIN = 1.0
# These alone refuse nothing: they speak through the grade of the whole answer.
PARTS = frozenset({Question.GROUNDED, Question.ANSWERS})

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bin:
    """Grades of about the same probability: how many, their mean, and how many were so."""

    count: int
    probability: float
    share: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration with what cross-validation says of it.

    Attributes:
        count: Judged grades.
        positive: How many of them were so.
        brier: Mean squared error of the probability; 0 is perfect.
        ece: Mean distance of a bin's probability from its share, weighted.
        auc: Chance that one that is so stands above one that is not.
    """

    calibration: Calibration
    count: int
    positive: int
    brier: float
    ece: float
    auc: float
    bins: tuple[Bin, ...] = field(repr=False)


def fit(runs: Sequence[JudgedRun], *, precision: float | None = None) -> dict[Question, Fitted]:
    """The calibration of each question that the runs say enough of.

    Args:
        precision: Share of the answers given that shall be right. None weighs what is refused
            wrongly against what is answered wrongly, where questions of both kinds were judged.

    Raises:
        InvalidError: too few judged questions, or all of one kind.
    """
    fitted: dict[Question, Fitted] = {}
    for question in Question:
        samples = [
            (group, sample)
            for group, run in enumerate(runs)
            for sample in samples_of(question, run, fitted)
        ]
        if _is_enough(samples):
            can_be = None
            if question is Question.RIGHT:
                holds = [one.is_so for group, _ in samples if (one := runs[group].answerable)]
                can_be = np.array(holds)
            fitted[question] = _fit(question, samples, precision, can_be)
    if Question.RIGHT not in fitted:
        raise InvalidError(
            f"These {len(runs)} judged questions do not suffice: {FEWEST} answers are needed, at"
            f" least {FEWEST_OF_EACH} of them right and {FEWEST_OF_EACH} wrong. Add questions that"
            " the corpus answers, and some that it cannot answer.",
            code="calibration-too-few",
        )
    return fitted


def calibrations(fitted: Mapping[Question, Fitted]) -> Calibrations:
    """What a run is given."""
    return Calibrations({question: one.calibration for question, one in fitted.items()})


def samples_of(
    question: Question, run: JudgedRun, fitted: Mapping[Question, Fitted]
) -> Sequence[Sample]:
    """The run's samples of one question, where they use earlier grades as calibrated by now."""
    match question:
        case Question.RELEVANT:
            return run.relevant
        case Question.ANSWERABLE if run.answerable:
            logits = [_logit(Question.RELEVANT, sample, fitted) for sample in run.relevant]
            known = {**run.answerable.features, "relevant": any_log_odds(logits)}
            return [Sample(known, run.answerable.is_so)]
        case Question.GROUNDED if run.grounded:
            return [run.grounded]
        case Question.ANSWERS if run.answers:
            return [run.answers]
        case Question.RIGHT if run.right and run.answerable and run.grounded and run.answers:
            (answerable,) = samples_of(Question.ANSWERABLE, run, fitted)
            earlier = {
                Question.ANSWERABLE: answerable,
                Question.GROUNDED: run.grounded,
                Question.ANSWERS: run.answers,
            }
            logits_by_name = {
                part.value: _logit(part, sample, fitted) for part, sample in earlier.items()
            }
            return [Sample({**run.right.features, **logits_by_name}, run.right.is_so)]
    return ()


def _logit(question: Question, sample: Sample, fitted: Mapping[Question, Fitted]) -> float:
    one = fitted.get(question)
    if one is None:
        return sample.features["margin"]
    return log_odds(one.calibration.probability(sample.features))


def _is_enough(samples: Sequence[tuple[int, Sample]]) -> bool:
    positive = sum(sample.is_so for _, sample in samples)
    rarer = min(positive, len(samples) - positive)
    return len(samples) >= FEWEST and rarer >= FEWEST_OF_EACH


def _fit(
    question: Question,
    samples: Sequence[tuple[int, Sample]],
    precision: float | None,
    can_be: Booleans | None,
) -> Fitted:
    """Fit one question.

    Args:
        can_be: Of whole answers, whether the passages held one; None of parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict  # noqa: PLC0415 - slow import

    names = sorted({name for _, sample in samples for name in sample.features})
    rows = np.array([[s.features.get(name, 0.0) for name in names] for _, s in samples])
    is_so = np.array([sample.is_so for _, sample in samples])
    groups = np.array([group for group, _ in samples])
    folds = StratifiedGroupKFold(FOLDS)
    held_out = cross_val_predict(
        _model(), rows, is_so, groups=groups, cv=folds, method="predict_proba"
    )[:, 1]
    weights, intercept = _folded(_model().fit(rows, is_so))
    if can_be is None:
        low, high = _thresholds(question, held_out, is_so)
    else:
        low = _least_to_give(held_out, is_so, can_be, precision)
        high = max(low, _second_bar(held_out, is_so, can_be, low))
    known = {name: float(weight) for name, weight in zip(names, weights, strict=True)}
    bins = _bins(held_out, is_so)
    return Fitted(
        calibration=Calibration(known, intercept, low=low, high=high),
        count=len(samples),
        positive=int(is_so.sum()),
        brier=float(np.mean((held_out - is_so) ** 2)),
        ece=sum(b.count * abs(b.probability - b.share) for b in bins) / len(samples),
        auc=_auc(held_out, is_so),
        bins=bins,
    )


def _model() -> Any:  # Any: scikit-learn has no types.
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow import
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - slow import
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 - slow import

    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))


def _folded(model: Any) -> tuple[Floats, float]:  # Any: scikit-learn has no types.
    """Weights and intercept on the features as they are, the scaling folded in."""
    scaler, regression = model[0], model[1]
    weights = regression.coef_[0] / scaler.scale_
    return weights, float(regression.intercept_[0] - (weights * scaler.mean_).sum())


def _thresholds(question: Question, held_out: Floats, is_so: Booleans) -> tuple[float, float]:
    """Of a part: below the first it refuses, from the second on it accepts."""
    reached = _precise_from(held_out, is_so, PRECISION)
    if question in PARTS:
        return 0.0, reached
    kept = log_odds(float(np.quantile(held_out[is_so], DROPPED[question])))
    return min(sigmoid(kept - DROPPED_MARGIN), reached), reached


def _least_to_give(
    held_out: Floats, is_so: Booleans, can_be: Booleans, precision: float | None
) -> float:
    """The grade from which on an answer is given."""
    precise = _precise_from(held_out, is_so, PRECISION if precision is None else precision)
    rarer = min(can_be.sum(), (~can_be).sum())
    if precision is not None or rarer < FEWEST_OF_EACH:
        return precise
    grades = np.unique(held_out)
    refused = np.searchsorted(np.sort(held_out[can_be]), grades) / can_be.sum()
    answered = 1 - np.searchsorted(np.sort(held_out[~can_be]), grades) / (~can_be).sum()
    worse = np.maximum(refused / MOST_REFUSED, answered / MOST_ANSWERED)
    return float(grades[worse.argmin()]) if worse.min() <= FARTHEST else precise


def _second_bar(held_out: Floats, is_so: Booleans, can_be: Booleans, low: float) -> float:
    """What a second answer's grade must reach, to be as likely right as a first one's at ``low``.

    Second answers are written where the first was refused: mostly where there is none to find, so
    far fewer of them are right, and the same grade says less. How many is reckoned: of the refused
    those that can be answered, times the share of those whose first answer is right.
    """
    is_refused = held_out < low
    if not is_refused.any() or not can_be.any():
        return low
    share = (is_refused & can_be).sum() * is_so[can_be].mean() / is_refused.sum()
    return sigmoid(log_odds(low) + log_odds(float(is_so.mean())) - log_odds(float(share)))


def _precise_from(held_out: Floats, is_so: Booleans, precision: float) -> float:
    """The lowest probability from which on the wanted share is so; 1 where none is."""
    order = np.argsort(-held_out, kind="stable")
    shares = np.cumsum(is_so[order]) / np.arange(1, len(order) + 1)
    reached = np.flatnonzero(shares >= precision)
    return float(held_out[order[reached[-1]]]) if len(reached) else 1.0


def _bins(held_out: Floats, is_so: Booleans) -> tuple[Bin, ...]:
    """Bins of equal width that hold anything, lowest first."""
    number = np.minimum((held_out * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(
            int((number == n).sum()),
            float(held_out[number == n].mean()),
            float(is_so[number == n].mean()),
        )
        for n in range(BINS)
        if (number == n).any()
    )


def _auc(held_out: Floats, is_so: Booleans) -> float:
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - slow import

    return float(roc_auc_score(is_so, held_out))
