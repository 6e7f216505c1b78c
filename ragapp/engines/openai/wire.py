"""What goes over the wire, and what it means. Pure."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ragapp.domain.defuse import defused
from ragapp.domain.engine import Finish, Generation, Message
from tenants.errors import TransientError

# When to come again where the server does not say.
BUSY_SECONDS = 5.0


class Written:
    """What a stream has brought so far."""

    def __init__(self) -> None:
        self._finish: Finish | None = None
        self._logprobs: list[float] = []
        self._pieces = 0
        self.text = ""
        self.is_begun = False
        self.usage: dict[str, Any] = {}

    @property
    def tokens(self) -> int:
        """As the server counts; until it has told, no fewer than came with their probability."""
        told = int(self.usage.get("completion_tokens") or 0)
        return told or max(self._pieces, len(self._logprobs))

    def add(self, chunk: Mapping[str, Any]) -> str:
        """One chunk of the stream; returns the text that it brought."""
        if "error" in chunk:
            raise TransientError(f"The model server stopped: {chunk['error']}", code="engine-gone")
        self.is_begun = True
        self.usage = chunk.get("usage") or self.usage
        before = len(self.text)
        for choice in chunk.get("choices") or ():
            self._logprobs += [entry["logprob"] for entry in _logprobs(choice)]
            reason = choice.get("finish_reason")
            if reason:
                self._finish = "length" if reason == "length" else "stop"
            piece = (choice.get("delta") or {}).get("content") or ""
            self.text += piece if self.text else piece.lstrip()
            self._pieces += bool(piece)
        return self.text[before:]

    def conclude(self, finish: Finish | None) -> None:
        """Nothing follows.

        Raises:
            TransientError: The server neither finished nor was stopped: it died.
        """
        self._finish = finish or self._finish
        if self._finish is None:
            raise TransientError(
                "The model server broke off within its answer. Try again.", code="engine-gone"
            )

    def generation(self) -> Generation:
        """The answer as far as it came."""
        mean = sum(self._logprobs) / len(self._logprobs) if self._logprobs else None
        return Generation(self.text, self.tokens, self._finish or "stop", mean)


def margin(logprob_by_token: Mapping[str, float]) -> float:
    """Log-odds of the spellings of yes over those of no, from a server's likeliest tokens.

    A side that is not listed counts as the least likely token that is: the margin is then a
    lower bound of its size, never infinite.
    """
    if not logprob_by_token:
        return 0.0
    floor = min(logprob_by_token.values())
    return _mass(logprob_by_token, "yes", floor) - _mass(logprob_by_token, "no", floor)


def _mass(logprob_by_token: Mapping[str, float], word: str, floor: float) -> float:
    spelled = [p for token, p in logprob_by_token.items() if token.strip().lower() == word]
    if not spelled:
        return floor
    top = max(spelled)
    return top + math.log(sum(math.exp(p - top) for p in spelled))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks for; a date, which it may say too, is left alone."""
    said = str(headers.get("retry-after", ""))
    return float(said) if said.isascii() and said.isdigit() else BUSY_SECONDS


def rivals(answer: Mapping[str, Any]) -> dict[str, float]:
    """Log-probability by token at the first position."""
    first = next(iter(_logprobs(answer["choices"][0])), None)
    if first is None:
        return {}
    return {entry["token"]: entry["logprob"] for entry in first.get("top_logprobs") or [first]}


def _logprobs(choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((choice.get("logprobs") or {}).get("content") or ())


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a server-sent event stream, up to its end mark."""
    for line in lines:
        if not line.startswith("data:"):
            continue
        payload = line.removeprefix("data:").strip()
        if payload == "[DONE]":
            return
        yield json.loads(payload)


def choose(choices: Sequence[str]) -> str:
    """No field for it is common to all servers, so it is said in words."""
    if not choices:
        return ""
    return "\nAnswer with one of these, word for word:\n" + "\n".join(choices)


def wire_messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The chat as it is sent: the server's own template meets no control token in any text."""
    return [{"role": message.role, "content": defused(message.text)} for message in messages]
