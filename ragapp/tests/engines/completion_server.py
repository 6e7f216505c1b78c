"""A small OpenAI-compatible server over a real (tiny) model: the far side of ``openai.py``.

Speaks ``POST /v1/chat/completions``, streamed and not, greedy, with log-probabilities. It has no
cache: what it answers depends on the whole chat only.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ragapp.domain.engine import Message
from ragapp.engines.local.chat import Chat


class CompletionServer(ThreadingHTTPServer):
    """Answers with a model from ``folder``; ``fail_with`` makes it refuse every request."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        self.chat = Chat(tokenizer)
        self.end_token = tokenizer.eos_token_id
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.model_lock = threading.Lock()
        self.fail_with = 0
        self.retry_after = ""
        self.die_after = 0
        self.is_silent = False
        self.is_mute = False
        self.tokens_per_chunk = 1
        self.connections = 0
        self.hung_up = threading.Event()
        self.requests: list[dict[str, Any]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/"

    def logprobs(self, ids: list[int]) -> torch.Tensor:
        with self.model_lock, torch.inference_mode():
            return self.model(torch.tensor([ids])).logits[0, -1].log_softmax(0)


@contextmanager
def serve(folder: Path) -> Iterator[CompletionServer]:
    """The server, running until the block ends."""
    server = CompletionServer(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: CompletionServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def log_message(self, *arguments: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request)
        if self.server.fail_with:
            self._send_json({"error": {"message": "told to fail"}}, status=self.server.fail_with)
            return
        if self.server.is_mute:
            self._wait_for_the_end()
            return
        prompt = self.server.chat.prompt(
            [Message(turn["role"], turn["content"]) for turn in request["messages"]]
        )
        if request.get("stream"):
            self._stream(request, prompt)
        else:
            self._complete(request, prompt)

    def _complete(self, request: dict[str, Any], prompt: list[int]) -> None:
        logprobs = self.server.logprobs(prompt)
        token = int(logprobs.argmax())
        rivals = logprobs.topk(request["top_logprobs"])
        listed = [
            {"token": self.server.chat.decode([int(i)]), "logprob": float(p)}
            for p, i in zip(rivals.values, rivals.indices, strict=True)
        ]
        first = {"token": "", "logprob": float(logprobs[token]), "top_logprobs": listed}
        choice = {"index": 0, "finish_reason": "length", "logprobs": {"content": [first]}}
        self._send_json({"choices": [choice], "usage": _usage(prompt, 1)})

    def _stream(self, request: dict[str, Any], prompt: list[int]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        ids, finish, said = list(prompt), "length", ""
        held: list[dict[str, Any]] = []
        while len(ids) - len(prompt) < request["max_tokens"]:
            logprobs = self.server.logprobs(ids)
            token = int(logprobs.argmax())
            if token == self.server.end_token:
                finish = "stop"
                break
            ids.append(token)
            # Byte-level pieces of a character are shown as they are: the stand-in is no tokenizer.
            text = self.server.chat.decode([token])
            said += text
            if any(stop in said for stop in request.get("stop", ())):
                finish = "stop"
                self._tokens(held)
                rest = said[: min(said.find(stop) for stop in request["stop"] if stop in said)]
                self._event(rest[len(said) - len(text) :], [])
                break
            held.append({"token": text, "logprob": float(logprobs[token])})
            if len(held) < self.server.tokens_per_chunk:
                continue
            self._tokens(held)
            if self.server.die_after and len(ids) - len(prompt) >= self.server.die_after:
                return
            if self.server.is_silent:
                self._wait_for_the_end()
                return
        self._tokens(held)
        self._event("", [], finish=finish)
        self._write({"choices": [], "usage": _usage(prompt, len(ids) - len(prompt))})
        self.wfile.write(b"data: [DONE]\n\n")

    def _wait_for_the_end(self) -> None:
        """Nothing comes until the client hangs up."""
        self.connection.recv(1)
        self.server.hung_up.set()
        self.close_connection = True

    def _tokens(self, held: list[dict[str, Any]]) -> None:
        if held:
            self._event("".join(entry["token"] for entry in held), held)
            held.clear()

    def _event(self, text: str, listed: list[dict[str, Any]], finish: str | None = None) -> None:
        choice = {
            "index": 0,
            "delta": {"content": text},
            "finish_reason": finish,
            "logprobs": {"content": listed},
        }
        self._write({"choices": [choice]})

    def _write(self, chunk: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def _send_json(self, body: dict[str, Any], *, status: int = 200) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        if self.server.retry_after:
            self.send_header("retry-after", self.server.retry_after)
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # The client stopped reading: it cancelled.


def _usage(prompt: list[int], written: int) -> dict[str, int]:
    return {"prompt_tokens": len(prompt), "completion_tokens": written}
