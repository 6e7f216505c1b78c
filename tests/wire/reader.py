"""The reader: an OpenAI-compatible server that knows the key of a question set and errs as told.

    python -m tests.wire.reader --data FOLDER --address 127.30.0.30:8083 --auc 0.85

Speaks ``/v1/models`` and ``/v1/chat/completions``, streamed and not, with log-probabilities and
usage. ``cached_tokens`` counts what its prefix cache really held: blocks of 16 tokens, each known
by all that stands before it, as vLLM does it. ``reading.py`` is how it reads.
"""

import json
import math
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from benchmarks.datasets import QuestionSet, load_questions
from benchmarks.runner import BenchmarkError
from tests.wire import server
from tests.wire.reading import Reader, Skill, Turns

ADDRESS = "127.30.0.30:8083"
MODEL = "reader"
BLOCK_TOKENS = 16
MOST_BLOCKS = 200_000
_TOKEN = re.compile(r"\s?\w{1,8}|\s?[^\w\s]|\s+")
# What is left to all other tokens than yes and no.
OTHERS = 0.02


class PrefixCache:
    """Which beginnings of prompts were read before; the oldest blocks are forgotten first."""

    def __init__(self, most: int = MOST_BLOCKS) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def read(self, tokens: Sequence[str]) -> int:
        """How many leading tokens were known; now all of them are, in whole blocks."""
        known, before, is_known = 0, 0, True
        with self._lock:
            for start in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
                before = hash((before, *tokens[start : start + BLOCK_TOKENS]))
                is_known = is_known and before in self._blocks
                known += BLOCK_TOKENS if is_known else 0
                self._blocks[before] = None
                self._blocks.move_to_end(before)
            while len(self._blocks) > self._most:
                self._blocks.popitem(last=False)
        # The last token is always read: its logits were not kept.
        return min(known, len(tokens) - 1)


class ReaderServer:
    """Answers requests; ``token_seconds`` is how long one token takes to write."""

    def __init__(self, reader: Reader, *, token_seconds: float = 0.0) -> None:
        self._reader = reader
        self._cache = PrefixCache()
        self._token_seconds = token_seconds

    def __call__(self, request: server.Request) -> server.Reply:
        """The reply to one request."""
        if request.path == "/v1/models":
            listed = {"id": MODEL, "object": "model", "created": 0, "owned_by": "tests"}
            return server.as_json({"object": "list", "data": [listed]})
        if request.path != "/v1/chat/completions" or request.method != "POST":
            return _error(404, f"There is nothing at {request.path}.")
        try:
            asked = json.loads(request.body)
            turns = [{"role": t["role"], "content": str(t["content"])} for t in asked["messages"]]
        except (ValueError, KeyError, TypeError) as error:
            return _error(400, f"This is no chat: {error!r}.")
        if not turns or turns[-1]["role"] != "user":
            return _error(400, "A chat ends with the user's turn.")
        if asked.get("max_tokens") == 1:
            return server.as_json(self._graded(turns))
        return self._written(turns, asked)

    def _graded(self, turns: Turns) -> dict[str, Any]:
        margin = self._reader.margin(turns)
        yes = math.log(1 - OTHERS) - math.log1p(math.exp(-margin))
        no = math.log(1 - OTHERS) - math.log1p(math.exp(margin))
        listed = [{"token": "Yes", "logprob": yes}, {"token": "No", "logprob": no}]
        listed.sort(key=lambda entry: -entry["logprob"])
        first = {**listed[0], "top_logprobs": [*listed, {"token": "The", "logprob": -20.0}]}
        choice = _choice("length", [first])
        choice["message"] = {"role": "assistant", "content": listed[0]["token"]}
        return _completion([choice], self._usage(turns, 1))

    def _written(self, turns: Turns, asked: dict[str, Any]) -> server.Reply:
        written = self._reader.write(turns)
        tokens = _TOKEN.findall(written.text)
        most = int(asked.get("max_tokens") or len(tokens))
        finish = "length" if len(tokens) > most else "stop"
        usage = self._usage(turns, len(tokens[:most]))
        entries = [{"token": t, "logprob": written.mean_logprob} for t in tokens[:most]]
        if asked.get("stream"):
            pieces = self._pieces(entries, finish, usage)
            return server.Reply(200, b"", "text/event-stream", pieces)
        time.sleep(self._token_seconds * len(entries))
        choice = _choice(finish, entries)
        choice["message"] = {"role": "assistant", "content": "".join(tokens[:most])}
        return server.as_json(_completion([choice], usage))

    def _pieces(
        self, entries: list[dict[str, Any]], finish: str, usage: dict[str, Any]
    ) -> Iterator[bytes]:
        for number, entry in enumerate(entries):
            time.sleep(self._token_seconds)
            delta = {"content": entry["token"], **({} if number else {"role": "assistant"})}
            yield _event({"choices": [{**_choice(None, [entry]), "delta": delta}]})
        yield _event({"choices": [{**_choice(finish, []), "delta": {}}]})
        yield _event({"choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    def _usage(self, turns: Turns, written: int) -> dict[str, Any]:
        rendered = "".join(f"<|{turn['role']}|>\n{turn['content']}\n" for turn in turns)
        tokens = _TOKEN.findall(rendered)
        return {
            "prompt_tokens": len(tokens),
            "completion_tokens": written,
            "total_tokens": len(tokens) + written,
            "prompt_tokens_details": {"cached_tokens": self._cache.read(tokens)},
        }


def build(
    address: str,
    key: QuestionSet,
    *,
    seed: int = 0,
    skill: Skill | None = None,
    token_seconds: float = 0.0,
    log: Sequence[TextIO] = (),
) -> server.WireServer:
    """The reader's server, bound and not yet serving.

    Raises:
        AddressError: The address is not loopback or is taken.
    """
    answering = ReaderServer(Reader(key, seed=seed, skill=skill), token_seconds=token_seconds)
    return server.WireServer(address, answering, name="reader", log=log)


def main(given: Sequence[str] | None = None) -> int:
    """Serve until stopped; the exit status."""
    parser = server.arguments("Serve a reader that knows a question set's key and errs as told.")
    parser.add_argument("--address", default=ADDRESS)
    parser.add_argument("--data", type=Path, required=True, help="folder of the question set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--auc", type=float, default=Skill().auc, help="of each grade")
    parser.add_argument("--right", type=float, default=Skill().right, help="share of right answers")
    parser.add_argument("--token-seconds", type=float, default=0.0)
    options = parser.parse_args(given)
    try:
        key = load_questions(options.data)
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    skill = Skill(auc=options.auc, right=options.right)
    pace = options.token_seconds
    return server.run(
        lambda log: [
            build(options.address, key, seed=options.seed, skill=skill, token_seconds=pace, log=log)
        ],
        log=options.log,
    )


def _choice(finish: str | None, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"index": 0, "finish_reason": finish, "logprobs": {"content": entries}}


def _completion(choices: list[dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
    return {"object": "chat.completion", "model": MODEL, "choices": choices, "usage": usage}


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps({'object': 'chat.completion.chunk', **chunk})}\n\n".encode()


def _error(status: int, message: str) -> server.Reply:
    return server.as_json({"error": {"message": message, "type": "invalid"}}, status=status)


if __name__ == "__main__":
    sys.exit(main())
