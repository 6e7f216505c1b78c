"""A run's trace entries in words: what the live view and the command line show as they happen."""

from dataclasses import dataclass

from ragapp.domain import trace
from ragapp.domain.passage import Source


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step for people; ``duration`` is empty where it took no time of its own."""

    title: str
    detail: str = ""
    duration: str = ""


def describe(entry: trace.Entry) -> StepLine:
    """The entry in one line."""
    match entry:
        case trace.Ingress():
            return StepLine("Asked", " ".join(filter(None, (entry.channel, entry.source))))
        case trace.Route():
            return StepLine(_ways(entry.way), " ".join(entry.reasons))
        case trace.Rewritten():
            return StepLine("Rewrote the question", entry.after)
        case trace.Graded():
            return StepLine(_graded(entry), entry.verdict)
        case trace.Ended():
            return StepLine(f"Ended: {entry.end}", entry.reason)
        case _:
            return _timed(entry)


def _timed(entry: trace.Searched | trace.ModelCall | trace.Outbound) -> StepLine:
    duration = f"{entry.ms} ms" if entry.ms < 1000 else f"{entry.ms / 1000:.1f} s"
    match entry:
        case trace.Searched():
            where = "the corpora" if entry.source == Source.LOCAL else "the fetched pages"
            return StepLine(f"Searched {where}", f"{len(entry.hits)} passages", duration)
        case trace.ModelCall():
            tokens = f"{entry.tokens_in} tokens in, {entry.tokens_out} out"
            return StepLine(f"Model: {entry.purpose}", tokens, duration)
        case trace.Outbound():
            told = " ".join(filter(None, (entry.url, entry.rule, entry.detail)))
            return StepLine(f"{entry.purpose.capitalize()}: {entry.verdict}", told, duration)


def _ways(way: str) -> str:
    return "Goes to the corpora" if way == Source.LOCAL else "Goes to the web"


def _graded(entry: trace.Graded) -> str:
    subject = f"passage {entry.subject}" if entry.subject else "the answer"
    return f"Graded {subject}: {entry.question}?"
