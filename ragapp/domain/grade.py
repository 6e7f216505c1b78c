"""Grades: the model's own log-odds made into probabilities, and checks that need no model.

A raw margin of a small model says little: its yes-rate hardly moves with the truth. Only a
calibration (fitted by MLOps per model and corpus) may refuse. Without one the grades are shown
and decide nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Question(StrEnum):
    """What is asked of the model in one closed question."""

    RELEVANT = "relevant"
    GROUNDED = "grounded"
    ANSWERS = "answers"


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
        weight_by_feature: ``margin`` (the model's log-odds) and, where fitted, ``literal`` (share
            of literals found) and ``score`` (fused retrieval score).
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
        margin: Natural log-odds of yes over no, as the model gave it.
        probability: Calibrated, 0 to 1; None without a calibration.
    """

    question: Question
    subject: int
    margin: float
    probability: float | None
    verdict: GradeVerdict


@dataclass(frozen=True, slots=True)
class Calibrations:
    """The calibration of each question for one model and corpus; a missing one refuses nothing."""

    by_question: Mapping[Question, Calibration] = field(default_factory=dict)

    def grade(
        self, question: Question, subject: int, feature_by_name: Mapping[str, float]
    ) -> Grade:
        """Grade from its features, ``margin`` among them."""
        margin = feature_by_name["margin"]
        calibration = self.by_question.get(question)
        if calibration is None:
            return Grade(question, subject, margin, None, GradeVerdict.SHOWN)
        probability = calibration.probability(feature_by_name)
        return Grade(question, subject, margin, probability, _verdict(probability, calibration))


def sigmoid(logit: float) -> float:
    """1 / (1 + e^-logit), without overflow for any finite logit."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    grown = math.exp(logit)
    return grown / (1 + grown)


def _verdict(probability: float, calibration: Calibration) -> GradeVerdict:
    if probability >= calibration.high:
        return GradeVerdict.ACCEPTED
    if probability < calibration.low:
        return GradeVerdict.REFUSED
    return GradeVerdict.DOUBTFUL


def usable(grades: Sequence[Grade]) -> tuple[int, ...]:
    """Numbers of the passages that no grade refused, in order."""
    return tuple(grade.subject for grade in grades if grade.verdict is not GradeVerdict.REFUSED)
