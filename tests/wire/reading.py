"""How the stand-in reader reads: it finds question and passages in a chat, and errs as told.

It knows the key of a question set, and nothing of how the product asks beyond the words that it is
sent. Each closed question has a truth; the reader's log-odds for it follow the binormal model of
signal detection: unit variance, and means apart by sqrt(2) * the inverse normal of the AUC. All
draws come from hashes of the seed and of what was asked: the same request gets the same answer.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeVar

from benchmarks.datasets import Question, QuestionSet

T = TypeVar("T")
Turns = Sequence[Mapping[str, str]]

_PASSAGE = re.compile(r"^\[(\d{1,3})\] ", re.MULTILINE)
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"\u201c(])")
_ONLY = re.compile(r"[Uu]se only ((?:\[\d+\](?:, )?)+)")
_CHOICES = "word for word:\n"
_NEGATED = re.compile(r"\b(missing|absent|without|fail|wrong|irrelevant|not|unsupported)\b")
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Skill:
    """How well it reads.

    Attributes:
        auc: Of each grade.
        shared: Share of a grade's error that all wordings of the same question have in common.
        bias: Log-odds by which it prefers yes, whatever is asked.
        scale: Log-odds of one standard deviation.
        right: Share of its answers that are right where the passage is there and may be used.
        mislabels: Share of its citations that name another passage.
        confidence_auc: Of its mean token log-probability, as a sign of a right answer.
    """

    auc: float = 0.85
    shared: float = 0.25
    bias: float = 0.7
    scale: float = 1.5
    right: float = 0.9
    mislabels: float = 0.1
    confidence_auc: float = 0.65


@dataclass(frozen=True, slots=True)
class Shown:
    """What a chat shows: the passages by number, and the question that the key knows, if any."""

    passages: Mapping[int, str]
    question: Question | None


@dataclass(frozen=True, slots=True)
class Written:
    """An answer and the mean log-probability of its tokens."""

    text: str
    mean_logprob: float


class Reader:
    """Reads chats about one question set."""

    def __init__(self, key: QuestionSet, *, seed: int = 0, skill: Skill | None = None) -> None:
        self._skill = skill or Skill()
        self._seed = seed
        self._texts = {passage.id: _folded(passage.text) for passage in key.passages}
        # A question that contains another one is tried first.
        self._questions = sorted(key.questions, key=lambda question: -len(question.text))

    def margin(self, turns: Turns) -> float:
        """Log-odds of yes over no for the closed question at the chat's end."""
        shown = self.shown(turns)
        asked = turns[-1]["content"].rstrip().rpartition("\n")[2]
        if shown.question is None:
            return self._skill.bias
        answer = next((turn["content"] for turn in turns[::-1] if turn["role"] == "assistant"), "")
        subject, truth = self._truth(asked, shown, answer)
        what = (shown.question.id, subject, answer, _folded(" ".join(shown.passages.values())))
        if subject.startswith("passage"):
            what = (shown.question.id, subject, shown.passages.get(_number(asked), ""))
        shared = self._skill.shared
        error = math.sqrt(shared) * self._normal(*what)
        error += math.sqrt(1 - shared) * self._normal(*what, asked)
        drawn = _apart(self._skill.auc) * (0.5 if truth else -0.5) + error
        sign = -1.0 if _NEGATED.search(asked.lower()) else 1.0
        return self._skill.bias + sign * self._skill.scale * drawn

    def write(self, turns: Turns) -> Written:
        """Its answer to the question of the chat."""
        shown = self.shown(turns)
        told = turns[-1]["content"]
        if shown.question is None:
            return Written("I do not know.", -1.0)
        if not shown.passages:
            words = re.findall(r"[\w'-]{4,}", shown.question.text)
            return Written(" ".join(words), -0.5)
        allowed = self._allowed(told, shown)
        gold = [number for number in allowed if self._holds(shown, number)]
        what = (shown.question.id, told[-2000:])
        is_right = bool(gold) and self._uniform("right", *what) < self._skill.right
        number = gold[0] if is_right else self._pick(sorted(allowed), "from", *what)
        text, is_right = self._sentence(shown, number, told, what, is_right=is_right)
        cited = number
        if self._uniform("mislabel", *what) < self._skill.mislabels:
            cited = self._pick(sorted(shown.passages), "mark", *what)
        apart = _apart(self._skill.confidence_auc) * (0.5 if is_right else -0.5)
        mean = -0.6 + 0.15 * (apart + self._normal("confidence", *what))
        return Written(f"{text} [{cited}]", min(mean, -0.001))

    def shown(self, turns: Turns) -> Shown:
        """Passages are what stands behind ``[n]`` at the beginning of a line."""
        text = next((turn["content"] for turn in turns if turn["role"] == "user"), "")
        found = list(_PASSAGE.finditer(text))
        ends = [*(match.start() for match in found[1:]), len(text)][: len(found)]
        tail = text[found[-1].end() :] if found else text
        question = next((q for q in self._questions if q.text in tail), None)
        passages = {
            int(match[1]): text[match.end() : end] for match, end in zip(found, ends, strict=True)
        }
        if found and question is not None:
            # Between the last passage and the question stands the mark that ends the data.
            last = tail.partition(question.text)[0]
            passages[int(found[-1][1])] = re.sub(r"\n\S+\s*$", "", last)
        return Shown(passages, question)

    def _truth(self, asked: str, shown: Shown, answer: str) -> tuple[str, bool]:
        """What a closed question is about, and whether it is so."""
        number = _number(asked)
        if number:
            return f"passage {number}", self._holds(shown, number)
        if not answer:
            return "passages", any(self._holds(shown, number) for number in shown.passages)
        is_right = self._is_right(shown, answer)
        about_passages = re.search(r"\b(passages?|text|stated|support)", asked)
        return ("grounded" if about_passages else "answers"), is_right

    def _is_right(self, shown: Shown, answer: str) -> bool:
        question = shown.question
        assert question is not None
        said = _folded(answer)
        return any(self._holds(shown, n) for n in shown.passages) and any(
            _folded(accepted) in said for accepted in question.answers
        )

    def _holds(self, shown: Shown, number: int) -> bool:
        """Whether a shown passage is the one that answers the question."""
        question = shown.question
        assert question is not None
        if not question.is_answerable or number not in shown.passages:
            return False
        said, gold = _folded(shown.passages[number]), self._texts[question.passage]
        body = said.partition(": ")[2].strip()
        is_part = gold in said or body in gold or _overlap(body, gold)
        return is_part and any(_folded(accepted) in body for accepted in question.answers)

    def _allowed(self, told: str, shown: Shown) -> set[int]:
        match = _ONLY.search(told)
        named = {int(n) for n in re.findall(r"\d+", match[1])} if match else set(shown.passages)
        return named & set(shown.passages) or set(shown.passages)

    def _sentence(
        self, shown: Shown, number: int, told: str, what: tuple[str, ...], *, is_right: bool
    ) -> tuple[str, bool]:
        """A sentence of the passage, or one of the choices that it was bound to."""
        question = shown.question
        assert question is not None
        accepted = [_folded(answer) for answer in question.answers]
        body = shown.passages[number].partition(": ")[2]
        choices = told.partition(_CHOICES)[2].splitlines() or _SENTENCES.split(
            " ".join(body.split())
        )
        right = [text for text in choices if any(answer in _folded(text) for answer in accepted)]
        wrong = [text for text in choices if text not in right]
        pool = (right if is_right else wrong) or choices
        text = self._pick(pool, "sentence", *what)
        return text, text in right and self._is_right(shown, text)

    def _pick(self, among: Sequence[T], *what: str) -> T:
        return among[int(self._uniform("pick", *what) * len(among))]

    def _normal(self, *what: str) -> float:
        return _NORMAL.inv_cdf(self._uniform(*what))

    def _uniform(self, *what: str) -> float:
        """Between 0 and 1, neither included; the same for the same words."""
        said = "\0".join((str(self._seed), *what))
        number = int.from_bytes(hashlib.sha256(said.encode()).digest()[:6])
        return (number + 0.5) / 2**48


def _apart(auc: float) -> float:
    """Distance of the two means of a binormal model with this AUC."""
    return math.sqrt(2) * _NORMAL.inv_cdf(auc)


def _number(asked: str) -> int:
    match = re.search(r"passage \[(\d+)\]", asked)
    return int(match[1]) if match else 0


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _overlap(body: str, gold: str) -> bool:
    """Whether nearly all of a shown passage's sentences are the gold one's."""
    parts = [part for part in re.split(r"[.!?]\s", body) if len(part) > 20]
    return bool(parts) and sum(part in gold for part in parts) / len(parts) > 0.7
