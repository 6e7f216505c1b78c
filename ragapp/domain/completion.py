"""OpenAI's chat completions in terms of questions and answers. Pure.

Field names and shapes are those of OpenAI's API reference. What this does not know it ignores, as
that API's clients expect; what it knows and cannot take is an error that names the parameter.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ragapp.domain.followup import MOST_CHARACTERS, MOST_EXCHANGES, Exchange
from ragapp.domain.storable import is_storable, storable
from tenants.errors import InvalidError

ALL_CORPORA = "sluice"
_PREFIX = f"{ALL_CORPORA}/"
# Front ends ask the chat's own model for a title, tags and so on, with such a beginning.
_TASK = "### Task:"
_MARK = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
# About a word; what a client shows at once.
_PIECE = re.compile(r"\S+\s*|\s+")
_TITLE_WORDS = 6
MOST_MESSAGES = 200

Json = dict[str, Any]  # Any: as nested as JSON is.


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the conversation, its text alone."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Chat:
    """A request for a completion.

    Attributes:
        question: the last turn of the user.
        earlier: what was said before it, oldest first; the last exchanges alone, cut to length.
        with_sources: append the list of sources to the text, for clients without annotations.
    """

    model: str
    question: str
    earlier: tuple[Exchange, ...]
    is_streamed: bool
    with_usage: bool
    with_sources: bool

    @property
    def is_task(self) -> bool:
        """True for a front end's own errand, which no corpus answers."""
        return self.question.startswith(_TASK)


@dataclass(frozen=True, slots=True)
class Link:
    """Where a citation's passage can be read.

    Attributes:
        page: From 1; None for formats without pages.
        start: The passage's first character in its document's text.
        end: The offset after its last one.
    """

    url: str
    title: str
    page: int | None = None
    start: int = 0
    end: int = 0


def read_chat(body: object) -> Chat:
    """The request in ``body``, as parsed from JSON.

    Raises:
        InvalidError: with the parameter as the only key of ``fields``.
    """
    if not isinstance(body, dict):
        raise _wrong("messages", "The body must be a JSON object.")
    turns = _turns(body.get("messages"))
    last = max((n for n, turn in enumerate(turns) if turn.role == "user"), default=None)
    if last is None or not turns[last].text.strip():
        raise _wrong("messages", "There is no message of the user with text in it.")
    if body.get("n") not in (None, 1):
        raise _wrong("n", "One completion is given for each request; leave n out.")
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise _wrong("stream_options", "This must be an object.")
    return Chat(
        model=read_model(body),
        question=turns[last].text.strip(),
        earlier=_exchanges(turns[:last]),
        is_streamed=_flag(body, "stream"),
        with_usage=_flag(options or {}, "include_usage"),
        with_sources=_flag(body, "sources"),
    )


def read_model(body: Mapping[str, Any]) -> str:
    """The name under ``model``.

    Raises:
        InvalidError: there is none.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model or not is_storable(model):
        raise _wrong("model", "Name a model; GET /v1/models lists them.")
    return model


def model_name(corpus: str) -> str:
    """The model that stands for a corpus."""
    return f"{_PREFIX}{corpus}"


def corpus_name(model: str) -> str | None:
    """The corpus that a model stands for; "" for all of them, None where it is no model of ours."""
    if model == ALL_CORPORA:
        return ""
    return model.removeprefix(_PREFIX) or None if model.startswith(_PREFIX) else None


def annotations(text: str, links: Mapping[int, Link]) -> list[Json]:
    """A ``url_citation`` for each number in ``text`` that has a link; indices count characters.

    ``[1, 2]`` gives one for each of its numbers, both with the place of the whole mark. Beside
    OpenAI's fields each has its number, and the passage's page and place in its document.
    """
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": mark.start(),
                "end_index": mark.end(),
                "url": links[number].url,
                "title": links[number].title,
                "number": number,
                "page": links[number].page,
                "start": links[number].start,
                "end": links[number].end,
            },
        }
        for mark in _MARK.finditer(text)
        for number in dict.fromkeys(int(digits) for digits in re.split(r"\D+", mark[1]))
        if number in links
    ]


def with_sources(text: str, links: Mapping[int, Link]) -> str:
    """``text`` and under it each of its sources by number; only it where it has none."""
    if not links:
        return text
    lines = [f"[{number}] {link.title}: {link.url}" for number, link in sorted(links.items())]
    return "\n".join([text, "", "Sources:", *lines])


def pieces(text: str) -> list[str]:
    """``text`` in deltas; joined they are ``text``."""
    return _PIECE.findall(text)


def task_reply(chat: Chat) -> str:
    """A front end's errand done without any model: a title from the first question, or nothing.

    The reply is the JSON that these templates ask for.
    """
    head, _, rest = chat.question.partition("### Chat History:")
    wanted = head.lower()
    if "follow_up" in wanted or "follow-up" in wanted:
        return json.dumps({"follow_ups": []})
    if "tags" in wanted:
        return json.dumps({"tags": []})
    if "queries" in wanted:
        return json.dumps({"queries": []})
    if "title" in wanted:
        return json.dumps({"title": _title(rest)}, ensure_ascii=False)
    return ""


def _title(history: str) -> str:
    asked = re.search(r"USER:\s*(.+)", history, re.IGNORECASE)
    words = (asked[1] if asked else "").split()
    return " ".join(words[:_TITLE_WORDS]) or "Question"


def _exchanges(turns: Sequence[Turn]) -> tuple[Exchange, ...]:
    """Each question with the reply to it; marks ``[n]`` go: they name passages of another run."""
    pairs = [
        Exchange(asked.text[:MOST_CHARACTERS], _MARK.sub("", said.text)[:MOST_CHARACTERS])
        for asked, said in pairwise(turns)
        if (asked.role, said.role) == ("user", "assistant")
    ]
    return tuple(pairs[-MOST_EXCHANGES:])


def _turns(messages: object) -> list[Turn]:
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "Give a list with at least one message.")
    if len(messages) > MOST_MESSAGES:
        raise _wrong("messages", f"At most {MOST_MESSAGES} messages are taken.")
    return [_turn(number, message) for number, message in enumerate(messages)]


def _turn(number: int, message: object) -> Turn:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise _wrong(f"messages[{number}]", "A message is an object with role and content.")
    return Turn(message["role"], _text(number, message.get("content")))


def _text(number: int, content: object) -> str:
    """Plain text, or the text parts of a list; nothing else can be read."""
    if content is None or isinstance(content, str):
        return storable(content or "")
    if not isinstance(content, Sequence):
        raise _wrong(f"messages[{number}].content", "Write text, or a list of text parts.")
    texts = []
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise _wrong(f"messages[{number}].content", "Only text parts can be read here.")
        texts.append(storable(part["text"]))
    return "\n".join(texts)


def _flag(options: Mapping[str, Any], name: str) -> bool:
    value = options.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong(name, "Write true or false.")
    return bool(value)


def _wrong(parameter: str, message: str) -> InvalidError:
    return InvalidError(message, fields={parameter: [message]})
