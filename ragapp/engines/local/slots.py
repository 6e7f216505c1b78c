"""All sessions' keys and values in one block of memory, so that one forward serves many sessions.

Each session has a row. A row is filled from the left and knows its length; what lies beyond is
masked, so that forgetting is a smaller number and nothing is ever shifted. Rows are dense, and
those that write an answer stand in front: the batch of a step is a view, and rows move only when
a session begins or ends. For models whose layers attend to their past, all of it or the last part:
what a layer with a sliding window may not see is masked, not forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer

from ragapp.engines.local.sequence import Steps, common_prefix

# Memory grows by so many rows, and by so many tokens in each: seldom, for growing moves all rows.
BLOCK_ROWS = 4
BLOCK_TOKENS = 512


@dataclass(slots=True)
class Window:
    """What the next forward reads and writes, for all layers.

    Attributes:
        first: Row of the first sequence of the batch.
        start: Tokens that a single row holds before the forward.
        places: (n, tokens) where each of ``n`` rows writes its new tokens; None for a single row.
        longest: Tokens of the longest row with what is being written.
        rows: Rows that there is memory for.
        capacity: Tokens that there is memory for in each row.
    """

    first: int = 0
    start: int = 0
    places: "torch.Tensor | None" = None
    longest: int = 0
    rows: int = 0
    capacity: int = 0


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]  # Its base registers subclasses.
    """Keys and values of one layer, (rows, heads, capacity, width) each."""

    def __init__(self, window: Window) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._window = window

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Memory as the window says, once the model has shown its heads and widths."""
        self.keys, self.values = self._empty(key_states), self._empty(value_states)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store what is new; returns what the rows of the window hold, new tokens included."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        keys, values = self.held()
        return self._put(keys, key_states), self._put(values, value_states)

    def held(self) -> tuple[torch.Tensor, ...]:
        """Keys and values; nothing before the first forward."""
        return tuple(tensor for tensor in (self.keys, self.values) if tensor is not None)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Keys that a single row shows, and where they begin."""
        return self._window.start + query_length, 0

    def get_seq_length(self) -> int:
        """Tokens of a single row before the forward."""
        return self._window.start

    def get_max_length(self) -> int:
        """No bound."""
        return -1

    def resize(self, lengths: Sequence[int]) -> None:
        """Move the rows, of these lengths, into memory of the window's size."""
        moved = [self._moved(old, lengths) for old in self.held()]
        if moved:
            self.keys, self.values = moved

    def _moved(self, old: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        new = self._empty(old)
        for row, length in enumerate(lengths):
            if length:  # A sequence that has just come has no old row.
                new[row, :, :length] = old[row, :, :length]
        return new

    def swap(self, one: int, other: int, length: int) -> None:
        """Let two rows change places, up to ``length`` tokens."""
        for held in self.held():
            held[[one, other], :, :length] = held[[other, one], :, :length]

    def _empty(self, like: torch.Tensor) -> torch.Tensor:
        window = self._window
        # Zeros, for what is masked is multiplied by nought, which cures all but what is no number.
        return like.new_zeros((window.rows, like.shape[1], window.capacity, like.shape[3]))

    def _put(self, held: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        window = self._window
        batch = slice(window.first, window.first + new.shape[0])
        if window.places is None:
            held[batch, :, window.start : window.start + new.shape[2]] = new
        else:
            rows = torch.arange(batch.start, batch.stop, device=held.device)
            held[rows.unsqueeze(1), :, window.places] = new.transpose(1, 2)
        return held[batch, :, : window.longest]


class SlotSequence:
    """One session's row; belongs to the thread that owns the model."""

    def __init__(self, slots: "Slots") -> None:
        self._slots = slots
        self.tokens: list[int] = []
        self.row: int | None = None
        self.is_released = False

    def aim(self, target: Sequence[int]) -> list[int]:
        """Forget what ``target`` does not begin with; returns what is still to be fed, never none.

        The last token is fed again even if it is known, for its logits were not kept.
        """
        kept = min(common_prefix(self.tokens, target), len(target) - 1)
        del self.tokens[kept:]
        return list(target[kept:])

    def feed(self, tokens: Sequence[int]) -> torch.Tensor:
        """Read ``tokens``; returns the logits after the last one, (vocabulary,), float32."""
        return self._slots.read(self, tokens)

    def branch(self, tails: Sequence[Sequence[int]]) -> torch.Tensor:
        """The logits after each tail as if it alone followed, (tails, vocabulary), float32.

        All tails go through one forward; none of them stays.
        """
        return self._slots.branch(self, tails)

    def release(self) -> None:
        """Give the row up; called from any thread, done by the model's thread."""
        self.is_released = True
        self._slots.has_released = True


class Slots:
    """The rows of all sessions; see the module."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._window = Window()
        layers = DynamicCache(config=model.config).layers
        self._layers = [SlotLayer(self._window) for _ in layers]
        # What each kind of layer sees: that many last tokens, or all where 0.
        self._reach_by_kind = {_kind(layer): _reach(layer) for layer in layers}
        self._cache = Cache(layers=list(self._layers))
        self._sequences: list[SlotSequence] = []
        self.has_released = False

    @staticmethod
    def fit(model: PreTrainedModel) -> bool:
        """Whether all of the model's layers attend to their past."""
        layers = DynamicCache(config=model.config).layers
        kinds = (DynamicLayer, DynamicSlidingWindowLayer)
        return bool(layers) and all(type(layer) in kinds for layer in layers)

    @property
    def held_bytes(self) -> int:
        """Memory that is set aside for all rows."""
        return sum(tensor.nbytes for layer in self._layers for tensor in layer.held())

    def sequence(self) -> SlotSequence:
        """A new session's tokens; it gets its row with the first of them."""
        return SlotSequence(self)

    def sweep(self) -> None:
        """Free the rows that were given up, and memory of which too little is used."""
        if not self.has_released:
            return
        self.has_released = False
        for sequence in [held for held in self._sequences if held.is_released]:
            self._swap(sequence, self._sequences[-1])
            self._sequences.pop().row = None
        if len(self._sequences) * 2 <= self._window.rows - BLOCK_ROWS or not self._sequences:
            self._resize(len(self._sequences), self._longest())

    def step(self, sequences: Sequence[SlotSequence], tokens: Sequence[Sequence[int]]) -> Steps:
        """Read a few tokens more in each of ``sequences``.

        In one forward those with one token, in another those with some: rows are as wide as the
        widest, and one token beside some would cost as much as they.
        """
        order: list[int] = []
        logits: list[torch.Tensor] = []
        first = 0
        for is_one in (True, False):
            numbers = [n for n, few in enumerate(tokens) if (len(few) == 1) is is_one]
            order += numbers
            if len(numbers) == 1:
                logits.append(self.read(sequences[numbers[0]], tokens[numbers[0]]).unsqueeze(0))
            elif numbers:
                group = [sequences[n] for n in numbers]
                logits.append(self._read_together(group, [tokens[n] for n in numbers], first))
                first += len(numbers)
        given = torch.tensor(order, device=self._model.device).argsort()
        return Steps.of(torch.cat(logits)[given])

    def _read_together(
        self, sequences: Sequence[SlotSequence], tokens: Sequence[Sequence[int]], first: int
    ) -> torch.Tensor:
        """Read ``tokens`` in the rows from ``first`` on; the logits after the last of each.

        Rows with fewer than others write nonsense behind their own, where nobody looks and the
        next tokens come to stand.

        Returns:
            (sequences, vocabulary), float32.
        """
        width = max(len(few) for few in tokens)
        longest = max(len(sequence.tokens) for sequence in sequences) + width
        self._enter(sequences, longest)
        self._gather(sequences, first)
        device = self._model.device
        batch = sorted(zip(sequences, tokens, strict=True), key=lambda pair: _row(pair[0]))
        ids = torch.zeros((len(batch), width), dtype=torch.long)
        for row, (_, few) in enumerate(batch):
            ids[row, : len(few)] = torch.tensor(few)
        begins = torch.tensor([len(held.tokens) for held, _ in batch], device=device)
        sizes = torch.tensor([len(few) for _, few in batch], device=device)
        places = begins.unsqueeze(1) + torch.arange(width, device=device)
        distance = places.unsqueeze(2) - torch.arange(longest, device=device)
        window = self._window
        window.first, window.start, window.longest = first, longest - width, longest
        window.places = places
        logits = self._forward(
            ids.to(device),
            attention_mask=self._masks(distance >= 0, distance),
            # What is filled up must not count on beyond what the model has positions for.
            position_ids=torch.minimum(places, (begins + sizes - 1).unsqueeze(1)),
            logits_to_keep=width,
        )
        for held, few in batch:
            held.tokens.extend(few)
        rows = torch.tensor([_row(held) - first for held in sequences], device=device)
        return logits[rows, sizes[rows] - 1].float()

    def read(self, sequence: SlotSequence, tokens: Sequence[int]) -> torch.Tensor:
        """Read ``tokens`` in one sequence; the logits after the last, (vocabulary,), float32."""
        self._show(sequence, len(tokens))
        device, start = self._model.device, len(sequence.tokens)
        ids = torch.tensor([list(tokens)], device=device)
        mask = None
        if any(self._reach_by_kind.values()):
            places = torch.arange(start, start + len(tokens), device=device)
            distance = places.unsqueeze(1) - torch.arange(start + len(tokens), device=device)
            mask = self._masks((distance >= 0)[None], distance[None])
        logits = self._forward(ids, attention_mask=mask)[0, -1].float()
        sequence.tokens.extend(tokens)
        return logits

    def branch(self, sequence: SlotSequence, tails: Sequence[Sequence[int]]) -> torch.Tensor:
        """See ``SlotSequence.branch``: each tail sees the row and itself, not its siblings."""
        device, start = self._model.device, len(sequence.tokens)
        sizes = [len(tail) for tail in tails]
        self._show(sequence, sum(sizes))
        owner = torch.tensor(
            [n for n, size in enumerate(sizes) for _ in range(size)], device=device
        )
        places = torch.tensor([n for size in sizes for n in range(size)], device=device)
        is_own = owner.unsqueeze(1) == owner.unsqueeze(0)
        seen = is_own & (places.unsqueeze(1) >= places.unsqueeze(0))
        mask = torch.cat([seen.new_ones((len(places), start)), seen], dim=1)
        keys = torch.cat([torch.arange(start, device=device), places + start])
        distance = (places + start).unsqueeze(1) - keys
        ids = torch.tensor([[token for tail in tails for token in tail]], device=device)
        last = torch.tensor([end - 1 for end in accumulate(sizes)], device=device)
        return self._forward(
            ids,
            attention_mask=self._masks(mask[None], distance[None]),
            position_ids=(places + start).unsqueeze(0),
            logits_to_keep=last,
        )[0].float()

    def _masks(
        self, seen: torch.Tensor, distance: torch.Tensor
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """What each query sees, for each kind of layer if there are several.

        Args:
            seen: (rows, queries, keys), boolean, for a layer that reaches to the beginning.
            distance: The same shape: how many tokens the key is before the query.
        """
        masks = {
            kind: (seen & (distance < reach) if reach else seen).unsqueeze(1)
            for kind, reach in self._reach_by_kind.items()
        }
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def _forward(
        self,
        ids: torch.Tensor,
        *,
        attention_mask: torch.Tensor | dict[str, torch.Tensor] | None = None,
        position_ids: torch.Tensor | None = None,
        logits_to_keep: "int | torch.Tensor" = 1,
    ) -> torch.Tensor:
        """The model's logits, (rows, kept positions, vocabulary), in its own dtype."""
        with torch.inference_mode():
            output = self._model(
                input_ids=ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=logits_to_keep,
            )
        logits: torch.Tensor = output.logits
        return logits

    def _show(self, sequence: SlotSequence, more: int) -> None:
        """Let the next forward read and write this row alone."""
        start = len(sequence.tokens)
        self._enter([sequence], start + more)
        window = self._window
        window.first, window.start, window.places = _row(sequence), start, None
        window.longest = start + more

    def _enter(self, sequences: Sequence[SlotSequence], tokens: int) -> None:
        """A row for each that has none yet, and memory for rows of so many tokens."""
        new = [sequence for sequence in sequences if sequence.row is None]
        # Memory first: a row that there is none for would be in the way of all others.
        self._reserve(len(self._sequences) + len(new), tokens)
        for sequence in new:
            sequence.row = len(self._sequences)
            self._sequences.append(sequence)

    def _gather(self, sequences: Sequence[SlotSequence], first: int) -> None:
        """Bring the rows of ``sequences`` to the place from ``first`` on, in any order."""
        place = range(first, first + len(sequences))
        here = {id(sequence) for sequence in sequences}
        strangers = (held for held in [self._sequences[n] for n in place] if id(held) not in here)
        for sequence in sequences:
            if _row(sequence) not in place:
                self._swap(sequence, next(strangers))

    def _swap(self, one: SlotSequence, other: SlotSequence) -> None:
        if one is other:
            return
        left, right = _row(one), _row(other)
        length = max(len(one.tokens), len(other.tokens))
        with torch.inference_mode():
            for layer in self._layers:
                layer.swap(left, right, length)
        self._sequences[left], self._sequences[right] = other, one
        one.row, other.row = right, left

    def _reserve(self, rows: int, tokens: int) -> None:
        window = self._window
        if rows > window.rows or tokens > window.capacity:
            self._resize(max(rows, window.rows), max(tokens, self._longest()))

    def _resize(self, rows: int, tokens: int) -> None:
        window = self._window
        # One session alone pays for no empty rows beside it.
        window.rows = rows if rows < BLOCK_ROWS else _rounded(rows, BLOCK_ROWS)
        window.capacity = _rounded(tokens, BLOCK_TOKENS)
        lengths = [len(sequence.tokens) for sequence in self._sequences]
        with torch.inference_mode():
            for layer in self._layers:
                layer.resize(lengths)

    def _longest(self) -> int:
        return max((len(sequence.tokens) for sequence in self._sequences), default=0)


def _kind(layer: object) -> str:
    is_sliding = isinstance(layer, DynamicSlidingWindowLayer)
    return "sliding_attention" if is_sliding else "full_attention"


def _reach(layer: object) -> int:
    return layer.sliding_window if isinstance(layer, DynamicSlidingWindowLayer) else 0


def _rounded(number: int, block: int) -> int:
    return -(-number // block) * block


def _row(sequence: SlotSequence) -> int:
    if sequence.row is None:
        raise TypeError("a sequence that has read nothing has no row")
    return sequence.row
