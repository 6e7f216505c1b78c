"""What is known of each grade, by name: the model's log-odds, the literal checks, the retrieval.

One grade of a middling model decides little. Its errors on different questions are different ones,
though, and so are those of the checks and of the search: together they decide. The names here are
those that a calibration gives its weights to; a later stage takes an earlier one's log-odds.
"""

import math
from collections.abc import Sequence

from ragapp.domain.citation import CitedAnswer, Support, supported_share
from ragapp.domain.engine import Generation
from ragapp.domain.grade import Grade, log_odds, sigmoid
from ragapp.domain.passage import Passage

Features = dict[str, float]


def of_passage(passage: Passage, found: Sequence[Passage], margin: float) -> Features:
    """Whether it helps: what the model says, and where and how clearly the search put it."""
    place = found.index(passage) + 1
    others = [other.score for other in found if other is not passage]
    return {
        "margin": margin,
        "place": 1 / place,
        "score": passage.score,
        "dense": passage.dense or 0.0,
        "lexical_place": 1 / passage.lexical_rank if passage.lexical_rank else 0.0,
        "lead": passage.score - max(others, default=0.0),
    }


def of_passages(found: Sequence[Passage], grades: Sequence[Grade], margin: float) -> Features:
    """Whether the passages together hold the answer, before anything is written."""
    scores = sorted((passage.score for passage in found), reverse=True)
    return {
        "margin": margin,
        "relevant": any_log_odds([grade.logit for grade in grades]),
        "dense": max((passage.dense or 0.0 for passage in found), default=0.0),
        "lead": scores[0] - scores[1] if len(scores) > 1 else 0.0,
    }


def of_answer(
    cited: CitedAnswer,
    generation: Generation,
    margin: float,
    *,
    earlier: Sequence[Grade] = (),
) -> Features:
    """Whether the answer holds: the checks without a model, and the grades before it.

    Args:
        earlier: Each becomes a feature by the name of its question.
    """
    sentences = cited.sentences
    own_marks = sum(sentence.support is Support.CITED for sentence in sentences)
    missing = sum(len(sentence.missing_literals) for sentence in sentences)
    mean = generation.mean_logprob
    return {
        "margin": margin,
        "supported": supported_share(cited),
        "own_marks": own_marks / len(sentences) if sentences else 0.0,
        "missing_literals": float(missing),
        "logprob": max(mean, -10.0) if mean is not None else 0.0,
        "length": math.log1p(generation.tokens),
        **{grade.question.value: grade.logit for grade in earlier},
    }


def any_log_odds(logits: Sequence[float]) -> float:
    """Log-odds that at least one holds, each being independent of the others; very low for none."""
    return log_odds(1 - math.prod(1 - sigmoid(logit) for logit in logits))
