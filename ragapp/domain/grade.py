"""Grades: the model's own log-odds made into probabilities, and checks that need no model.

A raw margin of a small model says little: its yes-rate hardly moves with the truth. Only a
calibration (fitted by MLOps per model and corpus) may refuse. Without one the grades are shown
and decide nothing. ``features.py`` says what is known of each grade.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Question(StrEnum):
    """What is graded; all but the last are asked of the model in closed questions."""

    RELEVANT = "relevant"
    ANSWERABLE = "answerable"
    GROUNDED = "grounded"
    ANSWERS = "answers"
    # Asked of nobody: what all of the above say together of the answer.
    RIGHT = "right"


class GradeVerdict(StrEnum):
    """What a grade decides; Shown decides nothing, for want of a calibration."""

    ACCEPTED = "Accepted"
    DOUBTFUL = "Doubtful"
    REFUSED = "Refused"
    SHOWN = "Shown"


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic model over what is known of one grade, for one question and one model.

    Attributes:
        weight_by_feature: By the names that ``features.py`` gives; ``margin`` is the model's own
            log-odds.
        intercept: Natural log-odds at all features 0.
        low: Below it the grade refuses.
        high: From it on the grade accepts; between them it is doubtful.
    """

    weight_by_feature: Mapping[str, float]
    intercept: float
    low: float = 0.3
    high: float = 0.6

    def probability(self, feature_by_name: Mapping[str, float]) -> float:
        """Chance of yes, 0 to 1; a feature that was not measured counts as 0."""
        logit = self.intercept + sum(
            weight * feature_by_name.get(name, 0.0)
            for name, weight in self.weight_by_feature.items()
        )
        return sigmoid(logit)


@dataclass(frozen=True, slots=True)
class Grade:
    """One closed question, graded.

    Attributes:
        subject: The passage's number, or 0 for the answer.
        margin: Natural log-odds of yes over no, as the model gave it; the mean over wordings.
        probability: Calibrated, 0 to 1; None without a calibration.
        features: All that was known, by name: what a later calibration is fitted on.
    """

    question: Question
    subject: int
    margin: float
    probability: float | None
    verdict: GradeVerdict
    features: Mapping[str, float] = field(default_factory=dict)

    @property
    def logit(self) -> float:
        """Calibrated log-odds where there are such, else the margin."""
        return self.margin if self.probability is None else log_odds(self.probability)


@dataclass(frozen=True, slots=True)
class Calibrations:
    """The calibration of each question for one model and corpus; a missing one refuses nothing."""

    by_question: Mapping[Question, Calibration] = field(default_factory=dict)

    def grade(
        self, question: Question, subject: int, feature_by_name: Mapping[str, float]
    ) -> Grade:
        """Grade from its features, ``margin`` among them."""
        margin, known = feature_by_name["margin"], dict(feature_by_name)
        calibration = self.by_question.get(question)
        if calibration is None:
            return Grade(question, subject, margin, None, GradeVerdict.SHOWN, known)
        probability = calibration.probability(known)
        verdict = _verdict(probability, calibration)
        return Grade(question, subject, margin, probability, verdict, known)


def sigmoid(logit: float) -> float:
    """1 / (1 + e^-logit), without overflow for any finite logit."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    grown = math.exp(logit)
    return grown / (1 + grown)


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), kept within +-12 so that no single grade outweighs all others."""
    bounded = min(max(probability, 1e-9), 1 - 1e-9)
    return min(max(math.log(bounded / (1 - bounded)), -12.0), 12.0)


def _verdict(probability: float, calibration: Calibration) -> GradeVerdict:
    if probability >= calibration.high:
        return GradeVerdict.ACCEPTED
    if probability < calibration.low:
        return GradeVerdict.REFUSED
    return GradeVerdict.DOUBTFUL


def usable(grades: Sequence[Grade]) -> tuple[int, ...]:
    """Numbers of the passages that no grade refused, in order."""
    return tuple(grade.subject for grade in grades if grade.verdict is not GradeVerdict.REFUSED)
