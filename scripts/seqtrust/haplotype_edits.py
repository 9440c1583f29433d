"""Haplotypes of a stretch as edits by carriers: overlaps, distinct columns, places."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from seqtrust.edits import Edit, edited_anchor
from seqtrust.genome import Window

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


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


def reaching(edits: Edits, found: Layout, start: int, length: int) -> tuple[Integers, Integers]:
    """The edits of every haplotype that change the bases of its window.

    An edit whose bases all lie before the window's first base, or behind its last, moves nothing
    inside it, unless it deletes the anchor.

    Args:
        edits: sorted, disjoint on every haplotype, D of them.
        found: where the window lies on every haplotype.
        start: first position of the stretch, 0-based.
        length: bases of the window.

    Returns:
        The haplotype of every edit, ascending, and the edit's row, ascending within a
        haplotype; both of shape (E,).
    """
    owner, rows = np.nonzero(np.ascontiguousarray(edits.carried.T))
    growth = edits.growth[rows]
    running = np.concatenate([[0], np.cumsum(growth)])
    first_edit = np.searchsorted(owner, np.arange(edits.carried.shape[1]))
    place = edits.start[rows] - start + running[:-1] - running[first_edit][owner]
    behind = place + growth + edits.end[rows] - edits.start[rows]
    reaches = (behind > found.first[owner]) & (place < found.first[owner] + length)
    reaches |= found.deletes_anchor[rows]
    return owner[reaches], rows[reaches]
