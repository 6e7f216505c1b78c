"""Token-exact chunks of a document, cut where its structure and its sentences end.

Each chunk is an exact span of the text. What is embedded and indexed stands in ``indexed_text``:
the document's title and the section's path before the words, which is the cheapest gain in
retrieval there is; and it never exceeds what the embedder reads.

Document -> sections -> blocks -> sentences -> runs of tokens, packed again into spans near the
target, then checked against the tokenizer's own count.
"""

import hashlib
import math
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragapp.domain.document import Document, Heading
from ragapp.domain.engine import Tokenizer
from ragapp.domain.passage import joined_place

# A paragraph, list item, table row or fenced block ends before an empty line or a new item.
_BLOCK_END = re.compile(r"\n[ \t]*\n\s*|\n(?=[ \t]*(?:[-*+|]|\d+[.)])[ \t|])")
_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
# A line that begins or ends a fenced block, and what follows its mark.
_FENCE_LINE = re.compile(r"^(```|~~~)(.*)$", re.MULTILINE)
# Possessive: each blank in a row would else be tried as the table's end, and ``re`` keeps the GIL.
_ROW = re.compile(r"[ \t]*\|[^\n]*+(?:\n[ \t]*\|[^\n]*+)*+\s*\Z")
_LINE_END = re.compile(r"\n")
# Latin and similar scripts end a sentence before a space; Chinese and Japanese need none.
_SENTENCE_END = re.compile(r"(?<=[.!?\u2026])[\"')\]\u201d\u2019]*\s+|(?<=[\u3002\uff01\uff1f])")

# Characters that are tokenised at once; all of a book would take gigabytes.
_PIECE = 200_000
# A token ends here for tokenizers that split at blanks, marks and ideographs first, as BERT's do.
_PIECE_END = re.compile(r"(?<=\S)(?=[\s!-/:-@\[-^`{-~\u4e00-\u9fff])")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document, as stored.

    Attributes:
        text: Exactly ``document.text[start:end]``.
        context: Title and section path as indexed, ``Guide > Egress > SNAT pools``; may be cut.
        section: Headings from the outermost down.
        page: Page of the first character; None without pages.
        tokens: Tokens of ``indexed_text``, special ones not counted.
        content_hash: SHA-256 (hex) of ``indexed_text``: equal hash, equal vector.
    """

    text: str
    start: int
    end: int
    context: str
    section: tuple[str, ...]
    page: int | None
    tokens: int
    content_hash: str

    @property
    def indexed_text(self) -> str:
        """What is embedded and put in the keyword index."""
        return indexed_text(self.context, self.text)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes in tokens of the embedder.

    Attributes:
        limit: What the embedder reads, context included; never exceeded.
        target: Aim of one chunk's own text.
        small: A shorter section is merged with its neighbour.
        overlap: Most of the previous chunk's last sentences that are repeated.
        context: Most of title and section path.
    """

    limit: int = 254
    target: int = 200
    small: int = 60
    overlap: int = 30
    context: int = 48


@dataclass(frozen=True, slots=True)
class Section:
    """A run of text under one path of headings."""

    start: int
    end: int
    path: tuple[str, ...]


def indexed_text(context: str, text: str) -> str:
    """Context and text as the embedder and the keyword index get them."""
    return f"{context}\n{text}" if context else text


def split(
    document: Document, tokenizer: Tokenizer, sizes: Sizes | None = None
) -> tuple[Chunk, ...]:
    """The document's chunks in the order of the text; no word of it is in none of them.

    Raises:
        ValueError: The limit cannot hold even a context and one character.
    """
    splitter = _Splitter(document, tokenizer, sizes or Sizes())
    return tuple(splitter.chunks())


class _Splitter:
    def __init__(self, document: Document, tokenizer: Tokenizer, sizes: Sizes) -> None:
        self._document = document
        self._text = document.text
        self._tokenizer = tokenizer
        self._sizes = sizes
        self._starts, self._ends = array("I"), array("I")
        for begin, end in _tokenised(document.text):
            for start, after in tokenizer.offsets(document.text[begin:end]):
                self._starts.append(begin + start)
                self._ends.append(begin + after)

    def chunks(self) -> Iterator[Chunk]:
        """Every chunk, checked against the tokenizer's own count."""
        for section in self._merged(sections(self._document)):
            context = self._context(section.path)
            target = self._target(section, context)
            pieces = list(self._pieces(section.start, section.end, target))
            for start, end in self._packed(pieces, target):
                yield from self._fitted(start, end, context, section.path)

    def _target(self, section: Section, context: str) -> int:
        """The size that makes this section's chunks equal, so that none is a mere tail."""
        room = self._sizes.limit - self._tokenizer.count(context)
        most = max(1, min(self._sizes.target, room))
        total = self._tokens(section.start, section.end)
        if total <= most:
            return most
        overlap = min(self._sizes.overlap, most - 1)
        number = math.ceil((total - overlap) / (most - overlap))
        even = math.ceil((total + (number - 1) * overlap) / number)
        # Sentences do not end where the numbers say: half an overlap of slack.
        return min(most, even + overlap // 2)

    def _tokens(self, start: int, end: int) -> int:
        """Tokens that touch the span."""
        return max(0, bisect_left(self._starts, end) - bisect_right(self._ends, start))

    def _context(self, path: Sequence[str]) -> str:
        """Title and path in one line, cut at the front: the innermost heading tells most."""
        context = joined_place(self._document.title, path)
        while context and self._tokenizer.count(context) > self._sizes.context:
            offsets = self._tokenizer.offsets(context)
            cut = offsets[max(1, len(offsets) - self._sizes.context)][0] if len(offsets) > 1 else 0
            context = context[cut:].strip(" >") if cut else ""
        return context

    def _merged(self, found: Sequence[Section]) -> list[Section]:
        """Sections with small ones joined to their neighbour, under the path that both share."""
        merged: list[Section] = []
        for section in found:
            last = merged[-1] if merged else None
            if last is not None and self._joins(last, section):
                path = _shared(last.path, section.path)
                merged[-1] = Section(last.start, section.end, path)
            else:
                merged.append(section)
        return merged

    def _joins(self, last: Section, section: Section) -> bool:
        one = self._tokens(last.start, last.end)
        other = self._tokens(section.start, section.end)
        return min(one, other) < self._sizes.small and one + other <= self._sizes.target

    def _pieces(self, start: int, end: int, target: int) -> Iterator[tuple[int, int]]:
        """Fenced blocks, rows and sentences; of those above the target runs of tokens."""
        for block in _blocks(self._text, start, end):
            for piece in self._parts(block, target):
                if self._tokens(*piece) <= target:
                    yield piece
                else:
                    yield from self._runs(*piece, target)

    def _parts(self, block: tuple[int, int], target: int) -> Iterable[tuple[int, int]]:
        """The block whole where it is code or a row and fits; else code's lines, or sentences."""
        is_fence = _FENCE.fullmatch(self._text, *block) is not None
        is_row = _ROW.match(self._text, *block) is not None
        if (is_fence or is_row) and self._tokens(*block) <= target:
            return [block]
        return _cut(self._text, *block, _LINE_END if is_fence else _SENTENCE_END)

    def _runs(self, start: int, end: int, target: int) -> Iterator[tuple[int, int]]:
        """Runs of at most ``target`` tokens; each begins where a token begins."""
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        bounds = [start, *(self._starts[i] for i in range(first + target, last, target)), end]
        yield from (span for span in pairwise(sorted(set(bounds))) if span[0] < span[1])

    def _packed(self, pieces: Sequence[tuple[int, int]], target: int) -> Iterator[tuple[int, int]]:
        """Spans of pieces up to the target; each repeats the last sentences of the one before."""
        packed: list[tuple[int, int]] = []
        begin = 0
        while begin < len(pieces):
            end = begin + 1
            while end < len(pieces) and self._tokens(pieces[begin][0], pieces[end][1]) <= target:
                end += 1
            packed.append((begin, end))
            begin = self._resume(pieces, (begin, end), target) if end < len(pieces) else end
        for first, after in self._evened(pieces, packed, target):
            yield pieces[first][0], pieces[after - 1][1]

    def _evened(
        self, pieces: Sequence[tuple[int, int]], packed: list[tuple[int, int]], target: int
    ) -> list[tuple[int, int]]:
        """The same runs, the last two cut in equal halves where the last is a mere tail."""
        if len(packed) < 2:
            return packed
        (begin, _), (tail, end) = packed[-2:]
        if self._tokens(pieces[tail][0], pieces[end - 1][1]) >= self._sizes.small:
            return packed
        half = self._tokens(pieces[begin][0], pieces[end - 1][1]) / 2
        middle = begin + 1
        while middle < tail and self._tokens(pieces[begin][0], pieces[middle - 1][1]) < half:
            middle += 1
        return [
            *packed[:-2],
            (begin, middle),
            (self._resume(pieces, (begin, middle), target), end),
        ]

    def _resume(
        self, pieces: Sequence[tuple[int, int]], packed: tuple[int, int], target: int
    ) -> int:
        """Where the next span begins: some pieces back if they fit the overlap, else at ``end``."""
        begin, end = packed
        back = end
        while back - 1 > begin and (
            self._tokens(pieces[back - 1][0], pieces[end - 1][1]) <= self._sizes.overlap
        ):
            back -= 1
        # The overlap must leave room for the next piece, or the walk would stand still.
        fits = self._tokens(pieces[back][0], pieces[end][1]) <= target
        return back if fits else end

    def _fitted(self, start: int, end: int, context: str, path: tuple[str, ...]) -> Iterator[Chunk]:
        """The span as one chunk, or halved until the tokenizer's own count is within the limit."""
        start, end = _stripped(self._text, start, end)
        if start == end:
            return
        text = self._text[start:end]
        whole = indexed_text(context, text)
        tokens = self._tokenizer.count(whole)
        if tokens > self._sizes.limit:
            if end - start == 1:
                raise ValueError(f"a limit of {self._sizes.limit} tokens holds no character")
            middle = self._middle(start, end)
            yield from self._fitted(start, middle, context, path)
            yield from self._fitted(middle, end, context, path)
            return
        yield Chunk(
            text=text,
            start=start,
            end=end,
            context=context,
            section=path,
            page=self._document.page_at(start),
            tokens=tokens,
            content_hash=hashlib.sha256(whole.encode()).hexdigest(),
        )

    def _middle(self, start: int, end: int) -> int:
        """The token boundary nearest to the middle, strictly inside the span."""
        half = (start + end) // 2
        after = bisect_left(self._starts, half)
        if after < len(self._starts) and start < self._starts[after] < end:
            return self._starts[after]
        return max(half, start + 1)


def sections(document: Document) -> list[Section]:
    """The text cut at its headings; a section runs up to the next heading of any level."""
    starts = [heading.start for heading in document.headings]
    bounds = [*starts, len(document.text)]
    found = [Section(0, bounds[0], ())]
    open_headings: list[Heading] = []
    for heading, end in zip(document.headings, bounds[1:], strict=True):
        open_headings = [outer for outer in open_headings if outer.level < heading.level]
        open_headings.append(heading)
        found.append(Section(heading.start, end, tuple(h.title for h in open_headings)))
    return [section for section in found if document.text[section.start : section.end].strip()]


def sentences(text: str) -> list[str]:
    """The sentences of ``text``, stripped, none empty."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where each sentence of ``text`` begins and ends, white space around it left out."""
    spans = (_stripped(text, *span) for span in _cut(text, 0, len(text), _SENTENCE_END))
    return [(start, end) for start, end in spans if start < end]


def _tokenised(text: str) -> Iterator[tuple[int, int]]:
    """Spans to tokenise one by one; together they have the tokens of the whole."""
    begin = 0
    while begin < len(text):
        found = _PIECE_END.search(text, begin + _PIECE)
        end = found.start() if found else len(text)
        yield begin, end
        begin = end


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The outer headings that both paths have."""
    differing = (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return one[: next(differing, min(len(one), len(other)))]


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Paragraphs, list items and rows; a fenced block stays whole."""
    position = start
    for begin, after in _fences(text, start, end):
        yield from _cut(text, position, begin, _BLOCK_END)
        yield begin, after
        position = after
    yield from _cut(text, position, end, _BLOCK_END)


def _fences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Fenced blocks, as ``_FENCE`` would find them, in one pass.

    Of many marks that nothing closes, the expression would read the rest of the text for each.
    """
    lines = list(_FENCE_LINE.finditer(text, start, end))
    closing = {
        mark: [line for line in lines if line[1] == mark and not line[2].strip(" \t")]
        for mark in ("```", "~~~")
    }
    starts = {mark: [line.start() for line in found] for mark, found in closing.items()}
    position = start
    for line in lines:
        if line.start() < position:
            continue
        at = bisect_right(starts[line[1]], line.start())
        if at < len(starts[line[1]]):
            position = closing[line[1]][at].end()
            yield line.start(), position


def _cut(text: str, start: int, end: int, boundary: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Spans that end after each boundary; together they cover ``start`` to ``end``."""
    position = start
    for match in boundary.finditer(text, start, end):
        if match.end() > position:
            yield position, match.end()
            position = match.end()
    if position < end:
        yield position, end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
