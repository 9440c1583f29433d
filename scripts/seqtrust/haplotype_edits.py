"""Haplotypes of a stretch as edits by carriers: overlaps, distinct columns, lengths and bases."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from seqtrust import bases
from seqtrust.edits import Edit, edited_anchor
from seqtrust.genome import Window

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

# odd, so that it has an inverse modulo 2**64
_RADIX = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Edits:
    """Edits of a stretch, A of them, and the haplotypes, H, that carry them.

    Attributes:
        record: row of the edit's record among the calls, shape (A,).
        number: number of the ALT allele, from 1, shape (A,).
        start: first base replaced, 0-based, shape (A,).
        end: end of what is replaced, half-open, shape (A,).
        words: replacements, shape (A,).
        carried: shape (A, H).
    """

    record: Integers
    number: Integers
    start: Integers
    end: Integers
    words: npt.NDArray[np.object_]
    carried: Mask

    def __len__(self) -> int:
        return len(self.start)

    @property
    def growth(self) -> Integers:
        """Bases gained (positive) or lost by every edit."""
        lengths = np.array([len(word) for word in self.words], dtype=np.int64)
        return lengths - (self.end - self.start)

    def select(self, rows: Mask | Integers) -> Self:
        """The edits of a mask or in an order."""
        return type(self)(
            self.record[rows],
            self.number[rows],
            self.start[rows],
            self.end[rows],
            self.words[rows],
            self.carried[rows],
        )

    def carried_by(self, carried: Mask) -> Self:
        """The same edits with other haplotypes, shape (A, H)."""
        return type(self)(self.record, self.number, self.start, self.end, self.words, carried)

    def edit(self, row: int) -> Edit:
        """One edit."""
        return Edit(int(self.start[row]), int(self.end[row]), self.words[row])


def overlapping_earlier(start: Integers, end: Integers) -> dict[int, Integers]:
    """For every edit that overlaps earlier ones, the rows of those.

    Args:
        start: first base replaced, in the order of the file, shape (A,).
        end: end of what is replaced, half-open, shape (A,).
    """
    # bases are even slots and the gaps before them odd ones, so that an insertion has a place
    insertion = start == end
    first = 2 * start - insertion
    last = np.where(insertion, 2 * start, 2 * end - 1)
    order = np.argsort(first, kind="stable")
    reached = np.searchsorted(first[order], last[order], side="left")
    counts = reached - np.arange(len(order)) - 1
    left = np.repeat(np.arange(len(order)), counts)
    offsets = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    pairs = np.stack([order[left], order[left + 1 + offsets]])
    earlier, later = pairs.min(axis=0), pairs.max(axis=0)
    return {int(row): earlier[later == row] for row in np.unique(later)}


def without_overlaps(edits: Edits) -> tuple[Edits, Mask]:
    """Let the first of overlapping edits win on every haplotype.

    Args:
        edits: in the order of the file.

    Returns:
        The edits that are kept, and which were lost, shape (A, H).
    """
    carried = edits.carried.copy()
    for row, earlier in overlapping_earlier(edits.start, edits.end).items():
        carried[row] &= ~carried[earlier].any(axis=0)
    return edits.carried_by(carried), edits.carried & ~carried


def distinct_columns(carried: Mask) -> tuple[Integers, Integers]:
    """Distinct columns of a matrix of shape (A, H), numbered by first appearance.

    Returns:
        The first column of each kind, shape (D,), and the kind of every column, shape (H,).
    """
    packed = np.ascontiguousarray(_packed(carried).T)
    width = packed.shape[1]
    raw = packed.tobytes()
    kinds: dict[bytes, int] = {}
    kind_of = np.empty(carried.shape[1], dtype=np.int64)
    first: list[int] = []
    for column in range(carried.shape[1]):
        key = raw[column * width : (column + 1) * width]
        kind_of[column] = kind = kinds.setdefault(key, len(kinds))
        if kind == len(first):
            first.append(column)
    return np.array(first, dtype=np.int64), kind_of


def _packed(carried: Mask) -> npt.NDArray[np.uint8]:
    """Eight rows as the bits of one; whole rows at a time, unlike `np.packbits` on this axis."""
    packed = np.zeros((-(-len(carried) // 8), carried.shape[1]), dtype=np.uint8)
    for bit in range(8):
        rows = carried[bit::8].view(np.uint8)
        packed[: len(rows)] |= rows << np.uint8(bit)
    return packed


@dataclass(frozen=True)
class Layout:
    """Where the window lies on every edited haplotype of a stretch.

    Attributes:
        first: index of the window's first base on the edited stretch, shape (D,).
        available: bases of the edited stretch, shape (D,).
        deleted: whether the anchor is deleted, shape (D,).
        deletes_anchor: edits that delete the anchor, shape (A,).
    """

    first: Integers
    available: Integers
    deleted: Mask
    deletes_anchor: Mask

    def lacking(self, length: int) -> tuple[int, int]:
        """Bases of flank that some haplotype lacks on the left and on the right."""
        left = max(0, -int(self.first.min(initial=0)))
        right = max(0, int((self.first + length - self.available).max(initial=0)))
        return left, right


def layout(edits: Edits, window: Window, start: int, end: int) -> Layout:
    """Find the window on haplotypes with sorted disjoint edits of [start, end)."""
    growth = edits.growth
    shift = _weighted(np.where(edits.end <= window.anchor, growth, 0), edits.carried)
    total = _weighted(growth, edits.carried)
    replaced = np.array([len(word) for word in edits.words], dtype=np.int64)
    deletes = (edits.start <= window.anchor) & (window.anchor < edits.end)
    deletes &= window.anchor - edits.start >= replaced
    deleted = np.asarray(edits.carried[deletes].any(axis=0))
    for column in np.flatnonzero(deleted):
        own = [edits.edit(int(row)) for row in np.flatnonzero(edits.carried[:, column])]
        anchor, _ = edited_anchor(window.anchor, own, window.strand)
        shift[column] = anchor - window.anchor
    first = window.start + shift - start
    return Layout(first, end - start + total, deleted, deletes)


def _weighted(weights: Integers, carried: Mask) -> Integers:
    """Sum of the weights of the edits that every haplotype carries, shape (H,)."""
    rows = np.flatnonzero(weights)
    return weights[rows] @ carried[rows].astype(np.int64)


class Scribe:
    """Writes the bases of haplotypes of one stretch.

    Substitutions are scattered into a copy of the reference, then insertions and deletions are
    spliced. Everything is complemented beforehand on the minus strand.
    """

    def __init__(self, reference: bases.Codes, start: int, window: Window, edits: Edits) -> None:
        """Prepare the edits.

        Args:
            reference: codes of the stretch, forward strand.
            start: first position of the stretch, 0-based.
            window: strand and length.
            edits: sorted, disjoint on every haplotype, inside the stretch.
        """
        self.window = window
        self.edits = edits
        self._first = edits.start - start
        self._last = edits.end - start
        self._reference = self._oriented(reference)
        same_length = edits.growth == 0
        rows = np.flatnonzero(same_length)
        width = edits.end[rows] - edits.start[rows]
        offset = np.cumsum(width) - width
        self._codes = self._oriented(bases.encode("".join(edits.words[rows])))
        self._places = np.repeat(self._first[rows] - offset, width) + np.arange(len(self._codes))
        self._scattered = np.ascontiguousarray(edits.carried[np.repeat(rows, width)].T)
        self._indels = np.flatnonzero(~same_length)
        self._spliced = np.ascontiguousarray(edits.carried[self._indels].T)
        self._words = {
            int(row): self._oriented(bases.encode(edits.words[row])) for row in self._indels
        }

    def _oriented(self, codes: bases.Codes) -> bases.Codes:
        if self.window.strand == "+":
            return codes
        return np.ascontiguousarray(bases.reverse_complement(codes)[::-1])

    def write(self, column: int, first: int) -> bases.Codes:
        """The model input of one haplotype, whose window begins at `first` of its bases."""
        codes = self._reference.copy()
        atoms = self._scattered[column]
        codes[self._places[atoms]] = self._codes[atoms]
        indels = self._indels[self._spliced[column]]
        if indels.size:
            pieces: list[bases.Codes] = []
            done = 0
            for row in indels:
                pieces += [codes[done : self._first[row]], self._words[int(row)]]
                done = int(self._last[row])
            codes = np.concatenate([*pieces, codes[done:]])
        codes = codes[first : first + self.window.length]
        return codes if self.window.strand == "+" else np.ascontiguousarray(codes[::-1])


@dataclass(frozen=True)
class Reaching:
    """The edits of D haplotypes that change the bases of the window, E in all.

    An edit whose bases all lie before the window's first base, or behind its last, moves nothing
    inside it, unless it deletes the anchor.

    Attributes:
        owner: haplotype of every edit, ascending, shape (E,).
        rows: row of the edit, ascending within a haplotype, shape (E,).
        before: growth of the edits of the haplotype before this one, shape (E,).
        bounds: first edit of every haplotype and the end of the last, shape (D + 1,).
        first: index of the window's first base on the stretch with these edits, shape (D,).
    """

    owner: Integers
    rows: Integers
    before: Integers
    bounds: Integers
    first: Integers


def reaching(edits: Edits, found: Layout, start: int, length: int) -> Reaching:
    """Leave out the edits of every haplotype that do not reach its window.

    Args:
        edits: sorted, disjoint on every haplotype, D of them.
        found: where the window lies on every haplotype.
        start: first position of the stretch, 0-based.
        length: bases of the window.
    """
    owner, rows = np.nonzero(np.ascontiguousarray(edits.carried.T))
    growth = edits.growth[rows]
    count = edits.carried.shape[1]
    place = edits.start[rows] - start + _before(owner, growth, count)
    behind = place + growth + edits.end[rows] - edits.start[rows]
    kept = found.deletes_anchor[rows]
    left = ~kept & (behind <= found.first[owner])
    right = ~kept & (place >= found.first[owner] + length)
    moved = np.bincount(owner[left], growth[left], minlength=count).astype(np.int64)
    kept = ~(left | right)
    owner, rows, growth = owner[kept], rows[kept], growth[kept]
    bounds = np.searchsorted(owner, np.arange(count + 1))
    return Reaching(owner, rows, _before(owner, growth, count), bounds, found.first - moved)


def _before(owner: Integers, growth: Integers, count: int) -> Integers:
    """Running sum of what stands before, from zero for every owner."""
    running = np.concatenate([[0], np.cumsum(growth)])
    first = np.searchsorted(owner, np.arange(count))
    return running[:-1] - running[first][owner]


def fingerprints(
    reference: bases.Codes, start: int, edits: Edits, reach: Reaching, scribe: Scribe, found: Layout
) -> Words:
    """A number per haplotype that depends on the bases of its window alone.

    The sum of code times r**index modulo 2**64 (Karp and Rabin 1987), from running sums over
    the reference and from the edits, without writing the bases: haplotypes with different
    numbers have different bases. Equal numbers prove nothing.

    Args:
        reference: codes of the stretch, shape (L,).
        start: first position of the stretch, 0-based.
        edits: sorted, disjoint on every haplotype.
        reach: which of them each haplotype has.
        scribe: writes the few haplotypes whose edits stick out of the window.
        found: where the window lies on every haplotype.

    Returns:
        Shape (D,).
    """
    length = scribe.window.length
    most = len(reference) + int(np.maximum(edits.growth, 0).sum())
    powers = _powers(-(-most // 65536) * 65536)
    middle = len(powers) // 2
    sums = np.zeros(len(reference) + 1, dtype=np.uint64)
    np.cumsum(reference * powers[middle : middle + len(reference)], out=sums[1:])
    width = np.array([len(word) for word in edits.words], dtype=np.int64)
    values = _values(edits, width, powers[middle:])
    rows, owner, first = reach.rows, reach.owner, reach.first
    begin, end = edits.start[rows] - start, edits.end[rows] - start
    place = begin + reach.before
    sticking = (place < first[owner]) | (place + width[rows] > first[owner] + length)
    awkward = np.unique(owner[sticking])
    some = np.flatnonzero(np.diff(reach.bounds))
    previous = np.concatenate([[0], end[:-1]])[: len(end)]
    previous[reach.bounds[some]] = first[some]
    parts = (sums[begin] - sums[previous.clip(0, len(reference))]) * powers[middle + reach.before]
    parts += values[rows] * powers[middle + place]
    running = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(parts)])
    total = running[reach.bounds[1:]] - running[reach.bounds[:-1]]
    behind, growth = first.copy(), np.zeros(len(first), dtype=np.int64)
    final = reach.bounds[some + 1] - 1
    behind[some] = end[final]
    growth[some] = reach.before[final] + edits.growth[rows[final]]
    last = (first + length - growth).clip(0, len(reference))
    tail = (sums[last] - sums[behind.clip(0, len(reference))]) * powers[middle + growth]
    total = (total + tail) * powers[middle - first.clip(0, middle)]
    for haplotype in awkward.tolist():
        codes = scribe.write(haplotype, int(found.first[haplotype]))
        codes = codes if scribe.window.strand == "+" else bases.reverse_complement(codes)
        total[haplotype] = np.sum(codes * powers[middle : middle + length], dtype=np.uint64)
    return total


@lru_cache(maxsize=4)
def _powers(count: int) -> Words:
    """r**-count .. r**count modulo 2**64."""
    radix = np.full(count, _RADIX, dtype=np.uint64)
    inverse = np.full(count, pow(_RADIX, -1, 1 << 64), dtype=np.uint64)
    one = np.ones(1, dtype=np.uint64)
    return np.concatenate([np.cumprod(inverse)[::-1], one, np.cumprod(radix)])


def _values(edits: Edits, width: Integers, powers: Words) -> Words:
    """The fingerprint of every replacement by itself, shape (A,)."""
    codes = bases.encode("".join(edits.words))
    offset = np.cumsum(width) - width
    within = np.arange(len(codes)) - np.repeat(offset, width)
    running = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(codes * powers[within])])
    return running[offset + width] - running[offset]
