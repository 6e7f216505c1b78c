"""The three honest ends of a run, in words.

Found; not found, with what was looked at; blocked, by which rule and who can change it.
What a run looked at is gathered in ``Looked``, so that each end can name it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ragapp.domain.citation import CitedAnswer
from ragapp.domain.grade import Grade, GradeVerdict, Question
from ragapp.domain.passage import Passage, Source
from ragapp.domain.steps import Failed, Refused, WebPage
from tenants.domain.states import AnswerEnd

WHY_WEB = ("The corpora hold no passage that answers the question.",)
DEFAULT_DENY = "/default-deny"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a run ended.

    Attributes:
        text: For people; of a Found answer with its marks ``[n]``, else the honest reason.
        reason: One line for the trace.
        passages: What the model read; ``[n]`` is ``passages[n - 1]``.
        refused: What the egress proxy refused, in order.
        failed: What was allowed and did not work.
        looked_at: Places that were searched or read, for people.
        confidence: Calibrated chance that the best answer written is right; None without one.
        draft: The best answer written, also where it was not given: for evaluations.
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
    confidence: float | None = None
    draft: str = ""


@dataclass(slots=True)
class Looked:
    """What a run has looked at so far; the agent's one mutable record."""

    passages: tuple[Passage, ...] = ()
    grades: tuple[Grade, ...] = ()
    refused: tuple[Refused, ...] = ()
    failed: tuple[Failed, ...] = ()
    places: tuple[str, ...] = ()
    web_tried: bool = field(default=False)
    confidence: float | None = None
    draft: str = ""

    @property
    def source(self) -> Source:
        """Where the passages at hand come from."""
        return Source.WEB if self.web_tried else Source.LOCAL

    def searched_corpora(self, found: Sequence[Passage]) -> None:
        """A search of the corpora came back."""
        titles = ", ".join(dict.fromkeys(passage.title for passage in found if passage.title))
        self._add_place(f"the corpora ({titles})" if titles else "the corpora (nothing found)")

    def searched_web(self, results: int) -> None:
        """A search of the web came back."""
        self.web_tried = True
        self._add_place(f"a web search ({results} results)")

    def add(self, reply: WebPage | Refused | Failed) -> None:
        """The web, or its search, answered, was refused or failed."""
        self.web_tried = True
        if isinstance(reply, Refused):
            self.refused += (reply,)
        elif isinstance(reply, Failed):
            self.failed += (reply,)
        else:
            self._add_place(reply.url)

    def wrote(self, text: str, confidence: float | None) -> None:
        """An answer was written and graded; the likeliest one is kept."""
        if not self.draft or (confidence or 0.0) > (self.confidence or 0.0):
            self.draft, self.confidence = text, confidence

    def _add_place(self, place: str) -> None:
        if place not in self.places:
            self.places += (place,)


def found(cited: CitedAnswer, looked: Looked) -> Answer:
    """An answer that rests on passages."""
    where = "the tenant's corpora" if looked.source is Source.LOCAL else "the web"
    return _end(AnswerEnd.FOUND, cited.text, f"Answered from {where}.", looked, cited)


def without_answer(tenant: str, looked: Looked, *, late: bool) -> Answer:
    """Blocked where the proxy refused something, else not found."""
    if looked.refused:
        text = " ".join([*dict.fromkeys(blocked_text(r, tenant) for r in looked.refused)])
        rules = ", ".join(dict.fromkeys(refusal.rule for refusal in looked.refused))
        return _end(AnswerEnd.BLOCKED, _with_places(text, looked), f"Refused by {rules}.", looked)
    why = "The time for this question ran out." if late else _why(looked)
    failures = [
        f"{failed.destination} did not work: {failed.message.rstrip('.')}."
        for failed in looked.failed
    ]
    text = " ".join([why, *dict.fromkeys(failures)])
    return _end(AnswerEnd.NOT_FOUND, _with_places(text, looked), why, looked)


def _why(looked: Looked) -> str:
    """Whether nothing was there, or what was written was too doubtful to be given."""
    refused = [grade for grade in looked.grades if grade.verdict is GradeVerdict.REFUSED]
    if looked.draft and any(grade.question is Question.RIGHT for grade in refused):
        return (
            "No answer was found that is sure enough to be given: the best one is right with a"
            f" chance of {looked.confidence or 0.0:.0%}."
        )
    return "No answer was found."


def blocked_text(refusal: Refused, tenant: str) -> str:
    """What was refused, by which rule, and who can change it."""
    purpose = f" ({refusal.purpose})" if refusal.purpose else ""
    target = f"{refusal.destination}{purpose}"
    if refusal.rule.endswith(DEFAULT_DENY):
        why = f"No egress policy of the tenant {tenant} allows {target}."
        why += f" Rule {refusal.rule} decided."
        who = f"NetOps of {tenant} can add an egress policy for it."
    else:
        why = f"Rule {refusal.rule} of the tenant {tenant} does not allow {target}."
        who = f"NetOps of {tenant} can change that egress policy."
    if refusal.private:
        who += " It is a private address, so a platform administrator must grant it as well."
    return f"{why} {who}"


def _with_places(text: str, looked: Looked) -> str:
    return f"{text} Looked at: {'; '.join(looked.places)}." if looked.places else text


def _end(
    end: AnswerEnd, text: str, reason: str, looked: Looked, cited: CitedAnswer | None = None
) -> Answer:
    return Answer(
        end=end,
        text=text,
        reason=reason,
        cited=cited,
        passages=looked.passages,
        grades=looked.grades,
        refused=looked.refused,
        failed=looked.failed,
        looked_at=looked.places,
        confidence=looked.confidence,
        draft=looked.draft,
    )
