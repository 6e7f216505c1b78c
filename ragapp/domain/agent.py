"""The agent as a generator: it yields steps and gets their replies, and touches nothing itself.

Whole in one place are the order of its moves, its counters and its ends. Like httpx's
authentication flows it runs without a model and without a network, so every path is tested as
values in, values out; ``drive.py`` runs it against the world.
"""

from dataclasses import dataclass

from ragapp.domain.citation import CitedAnswer
from ragapp.domain.grade import Calibrations, Grade
from ragapp.domain.passage import Passage
from ragapp.domain.steps import Failed, Refused
from tenants.domain.states import AnswerEnd


@dataclass(frozen=True, slots=True)
class Settings:
    """What bounds one run; the counters end every loop.

    Attributes:
        tenant: Slug, for the words of a refusal.
        deadline_seconds: From the run's begin; afterwards it ends with what there is.
        passages: Most passages handed to the model.
        pages: Most pages fetched in the one web round.
        answer_tokens: Most tokens of one answer.
        web: Whether the web may be tried at all.
    """

    tenant: str
    deadline_seconds: float = 120.0
    passages: int = 4
    pages: int = 3
    answer_tokens: int = 128
    generations: int = 2
    rewrites: int = 1
    web: bool = True
    calibrations: Calibrations = Calibrations()


@dataclass(frozen=True, slots=True)
class Answer:
    """How a run ended.

    Attributes:
        text: For people; of a Found answer with its marks ``[n]``, else the honest reason.
        passages: What the model read; ``[n]`` is ``passages[n - 1]``.
        refused: What the egress proxy refused, in order.
        failed: What was allowed and did not work.
        looked_at: Places that were searched or read, for people.
    """

    end: AnswerEnd
    text: str
    reason: str
    cited: CitedAnswer | None = None
    passages: tuple[Passage, ...] = ()
    grades: tuple[Grade, ...] = ()
    refused: tuple[Refused, ...] = ()
    failed: tuple[Failed, ...] = ()
    looked_at: tuple[str, ...] = ()
