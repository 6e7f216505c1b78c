"""Turns to tokens and back: the chat template, yes and no, text in whole characters."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from ragapp.domain.engine import Message
from tenants.errors import PermanentError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

YES = ("Yes", " Yes", "yes", " yes", "YES")
NO = ("No", " No", "no", " no", "NO")

# A single character can span several byte-level tokens; more held back than this is not one.
LONGEST_CHARACTER_TOKENS = 8


class Chat:
    """The model's own way to write a chat."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self.yes = self._single_tokens(YES)
        self.no = self._single_tokens(NO)
        if not self.yes or not self.no:
            raise PermanentError(
                "This model's tokenizer has no single token for Yes and No, so it cannot grade.",
                code="model-unusable",
            )

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of the whole chat with the model's turn opened: ready for its first token."""
        return self._render(messages, add_generation_prompt=True)

    def prefix(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of the chat with the last turn left open, ready to be continued."""
        return self._render(messages, continue_final_message=True)

    def _render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
    ) -> list[int]:
        # Control tokens inside the messages are encoded as plain text: no document opens a turn.
        ids = self._tokenizer.apply_chat_template(
            [{"role": message.role, "content": message.text} for message in messages],
            tokenize=True,
            return_dict=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
            sanitize_control_tokens=True,
        )
        return cast("list[int]", ids)

    def count(self, text: str) -> int:
        """Number of tokens of plain text."""
        return len(self.encode(text))

    def encode(self, text: str) -> list[int]:
        """Tokens of plain text; control tokens in it are read as text."""
        return cast(
            "list[int]",
            self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True),
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Text of tokens without the control tokens."""
        text = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return cast("str", text)

    def _single_tokens(self, words: Iterable[str]) -> list[int]:
        encoded = [self._tokenizer.encode(word, add_special_tokens=False) for word in words]
        return sorted({ids[0] for ids in encoded if len(ids) == 1})


class TextStream:
    """Turns tokens into text that can be shown as it comes.

    Byte-level tokenizers split characters, and some put a space before a word only when another
    precedes it. So each new piece is the difference of two decodings over a short window, and
    a piece that ends within a character waits for the rest.
    """

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._ids: list[int] = []
        self._window = 0
        self._shown = 0

    def push(self, token: int) -> str:
        """The text that ``token`` completes; empty while a character is unfinished."""
        self._ids.append(token)
        unfinished = len(self._ids) - self._shown < LONGEST_CHARACTER_TOKENS
        return self._advance(hold_back=unfinished)

    def flush(self) -> str:
        """What was still held back, once no token follows."""
        return self._advance(hold_back=False)

    def _advance(self, *, hold_back: bool) -> str:
        before = self._chat.decode(self._ids[self._window : self._shown])
        after = self._chat.decode(self._ids[self._window :])
        if hold_back and after.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        self._window, self._shown = self._shown, len(self._ids)
        return after[len(before) :]


class StopText:
    """Cuts a stream of text at a given string, which may arrive in pieces.

    White space before the first visible character is dropped, so an answer never ends before
    it began.
    """

    def __init__(self, stop_at: str) -> None:
        self._stop_at = stop_at
        self._held = ""
        self._begun = False
        self.is_reached = False

    def push(self, piece: str) -> str:
        """What of ``piece``, and of what was held back, is surely before the stop."""
        text = self._held + piece
        text = text if self._begun else text.lstrip()
        self._begun = self._begun or bool(text)
        found = text.find(self._stop_at) if self._stop_at else -1
        if found >= 0:
            self.is_reached, self._held = True, ""
            return text[:found]
        keep = self._overhang(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back in case the stop began there."""
        held, self._held = self._held, ""
        return held

    def _overhang(self, text: str) -> int:
        """Length of the longest end of ``text`` with which the stop could begin."""
        longest = min(len(self._stop_at) - 1, len(text))
        fitting = (n for n in range(longest, 0, -1) if self._stop_at.startswith(text[-n:]))
        return next(fitting, 0)
