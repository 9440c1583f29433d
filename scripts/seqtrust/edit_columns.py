"""The sequences of one window as columns of edits, and their bases, many at a time."""

from collections.abc import Iterator
from collections.abc import Sequence as Sequences
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust import bases
from seqtrust.edits import Edit, edited_anchor, edited_sequence
from seqtrust.genome import Window

Integers = npt.NDArray[np.int64]

# as many sequences of 100 kb as fit into a processor's cache
ROWS_PER_BLOCK = 16


@dataclass(frozen=True)
class EditColumns:
    """The sequences of one window, N of them, with their edits, E in all, as columns.

    Attributes:
        ids: sequence ids, or none where they have not been given yet.
        offsets: first edit of every sequence and the end of the last one, shape (N + 1,).
        starts: first base replaced, 0-based, sorted within a sequence, shape (E,).
        ends: end of what is replaced, half-open, shape (E,).
        words: numbers of the replacements, shape (E,).
        replacements: the distinct replacements.
        hashes: identities of the sequences' bases, where they are known.
    """

    ids: Sequences[str]
    offsets: Integers
    starts: Integers
    ends: Integers
    words: Integers
    replacements: Sequences[str]
    hashes: Sequences[bytes] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def edits(self, number: int) -> tuple[Edit, ...]:
        """The edits of one sequence."""
        span = range(self.offsets[number], self.offsets[number + 1])
        return tuple(
            Edit(int(self.starts[i]), int(self.ends[i]), self.replacements[self.words[i]])
            for i in span
        )

    def part(self, first: int, last: int) -> "EditColumns":
        """The sequences `first` to `last`, half-open."""
        span = slice(self.offsets[first], self.offsets[last])
        words = used = self.words[span]
        if len(words):
            used, words = np.unique(words, return_inverse=True)
        return EditColumns(
            self.ids[first:last],
            self.offsets[first : last + 1] - self.offsets[first],
            self.starts[span],
            self.ends[span],
            words,
            [self.replacements[word] for word in used],
        )


def edit_columns(sequences: Sequences[tuple[str, tuple[Edit, ...]]]) -> EditColumns:
    """Sequences given one by one, (id, sorted disjoint edits), as columns."""
    edits = [edit for _, several in sequences for edit in several]
    return EditColumns(
        [sequence_id for sequence_id, _ in sequences],
        np.cumsum([0, *(len(several) for _, several in sequences)]),
        np.array([edit.start for edit in edits], dtype=np.int64),
        np.array([edit.end for edit in edits], dtype=np.int64),
        np.arange(len(edits)),
        [edit.replacement for edit in edits],
    )


def edited_blocks(
    codes: bases.Codes,
    start: int,
    window: Window,
    columns: EditColumns,
    rows: int = ROWS_PER_BLOCK,
) -> Iterator[bases.Codes]:
    """The model inputs of all sequences of a window, in order, some at a time.

    What `edits.edited_sequence` gives for one sequence, without a step per edit: stretches of
    the reference between insertions and deletions are copied, then replaced bases are written
    over them.

    Args:
        codes: base codes of the stored stretch, window and flank, shape (S,).
        start: position of the first stored base, 0-based.
        window: where the anchor stands, the length and the strand.
        columns: N sequences.
        rows: sequences per block.

    Yields:
        uint8 (up to `rows`, window.length); the next block overwrites it.

    Raises:
        InputError: as `edited_sequence`.
    """
    plan = _Plan(codes, start, window, columns)
    buffer = np.empty((min(rows, len(columns)), window.length), dtype=np.uint8)
    for first in range(0, len(columns), rows):
        block = buffer[: len(columns) - first]
        plan.write(block, first)
        yield block


class _Plan:
    """What is copied and what is written over it, as places in rows of `length` one by one."""

    def __init__(
        self, codes: bases.Codes, start: int, window: Window, columns: EditColumns
    ) -> None:
        self._length = window.length
        self._columns = columns
        self._owner = np.repeat(np.arange(len(columns)), np.diff(columns.offsets))
        widths = np.array([len(word) for word in columns.replacements], dtype=np.int64)
        self._width = widths[columns.words]
        self._growth = self._width - (columns.ends - columns.starts)
        running = np.concatenate([[0], np.cumsum(self._growth)])
        at_row = running[columns.offsets]
        self._refuse_outside(codes, start, window)
        first = self._first_base(window, len(columns)) - start
        too_short = (first < 0) | (first + window.length > len(codes) + np.diff(at_row))
        for row in np.flatnonzero(too_short)[:1]:
            edited_sequence(codes, start, window, columns.edits(int(row)))
        before = running[:-1] - at_row[self._owner]
        self._place = columns.starts - start + before - first[self._owner]
        self._plan_pieces(first, start)
        self._plan_bases(widths)
        self._reference = codes
        if window.strand == "-":
            self._turn(len(codes))

    def _refuse_outside(self, codes: bases.Codes, start: int, window: Window) -> None:
        columns = self._columns
        outside = (columns.starts < start) | (columns.ends > start + len(codes))
        for row in self._owner[outside][:1]:
            edited_sequence(codes, start, window, columns.edits(int(row)))

    def _first_base(self, window: Window, count: int) -> Integers:
        """Position of every row's first base, counted in edited bases."""
        columns, anchor = self._columns, window.anchor
        left = columns.ends <= anchor
        shift = np.bincount(self._owner[left], self._growth[left], minlength=count)
        edited = anchor + shift.astype(np.int64)
        deletes = (columns.starts <= anchor) & (anchor < columns.ends)
        deletes &= anchor - columns.starts >= self._width
        for row in self._owner[deletes]:
            edited[row], _ = edited_anchor(anchor, columns.edits(int(row)), window.strand)
        return edited - window.anchor_index

    def _plan_pieces(self, first: Integers, start: int) -> None:
        """Every row begins with a piece of the reference, and after every indel comes another."""
        indel = np.flatnonzero(self._growth)
        owner = np.concatenate([np.arange(len(first)), self._owner[indel]])
        order = np.argsort(owner, kind="stable")
        owner = owner[order]
        nothing = np.zeros(len(first), dtype=np.int64)
        begin = np.concatenate([nothing, (self._place + self._width)[indel]])[order]
        source = np.concatenate([first, self._columns.ends[indel] - start])[order]
        end = np.concatenate([nothing, self._place[indel]])[order]
        end = np.append(end[1:], 0)
        last = np.append(owner[1:] != owner[:-1], True)[: len(owner)]
        end[last] = self._length
        low, high = np.maximum(begin, 0), np.minimum(end, self._length)
        kept = low < high
        self._piece_owner = owner[kept]
        self._low, self._high = low[kept], high[kept]
        self._source = (source + low - begin)[kept]

    def _plan_bases(self, widths: Integers) -> None:
        """The replaced bases that lie in the window."""
        columns = self._columns
        offset = np.cumsum(widths) - widths
        edit = np.repeat(np.arange(len(self._width)), self._width)
        within = np.arange(len(edit)) - np.repeat(np.cumsum(self._width) - self._width, self._width)
        index = self._place[edit] + within
        kept = (index >= 0) & (index < self._length)
        edit, within = edit[kept], within[kept]
        self._base_owner, self._index = self._owner[edit], index[kept]
        codes = bases.encode("".join(columns.replacements))
        self._codes = codes[offset[columns.words[edit]] + within]

    def _turn(self, stored: int) -> None:
        """The same places on the other strand."""
        self._reference = bases.reverse_complement(self._reference)
        self._source = stored - self._source - (self._high - self._low)
        self._low, self._high = self._length - self._high, self._length - self._low
        self._index = self._length - 1 - self._index
        self._codes = bases.reverse_complement(self._codes)[::-1]

    def write(self, block: bases.Codes, first: int) -> None:
        """Write rows `first` and following; block is contiguous, shape (rows, length)."""
        flat = block.reshape(-1)
        rows = [first, first + len(block)]
        pieces = slice(*np.searchsorted(self._piece_owner, rows))
        to = (self._piece_owner[pieces] - first) * self._length + self._low[pieces]
        sizes = self._high[pieces] - self._low[pieces]
        for place, size, source in zip(
            to.tolist(), sizes.tolist(), self._source[pieces].tolist(), strict=True
        ):
            flat[place : place + size] = self._reference[source : source + size]
        written = slice(*np.searchsorted(self._base_owner, rows))
        places = (self._base_owner[written] - first) * self._length + self._index[written]
        flat[places] = self._codes[written]
