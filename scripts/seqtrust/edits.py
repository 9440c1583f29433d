"""Edits: stretches of the forward strand replaced by other bases.

A sequence is a window plus sorted disjoint edits in the assembly's 0-based forward
coordinates. Edits come first, then flank restores the length with the anchor at its index,
then the reverse complement on the minus strand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.genome import Window

INSERTED = -1


@dataclass(frozen=True, order=True)
class Edit:
    """The bases [start, end) of the forward strand, replaced by `replacement`.

    An insertion has start == end and stands before the base at `start`; a deletion has an
    empty replacement. Where both lengths are positive and differ, the first bases of the
    replacement stand for the first bases replaced, and the rest is inserted or deleted at
    the right end.
    """

    start: int
    end: int
    replacement: str

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end or (self.start == self.end and not self.replacement):
            raise ValueError(f"{self} replaces nothing or runs backwards")

    @property
    def growth(self) -> int:
        """Bases gained (positive) or lost (negative)."""
        return len(self.replacement) - (self.end - self.start)


def sorted_disjoint(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """Sort edits and check that none overlaps another.

    Raises:
        InputError: two edits replace a common base, or insert at one position.
    """
    ordered = tuple(sorted(edits))
    for first, second in pairwise(ordered):
        same_place = first.start == first.end == second.start == second.end
        if second.start < first.end or same_place:
            raise InputError(f"{first} and {second} overlap: a sequence needs disjoint edits")
    return ordered


def apply_edits(codes: bases.Codes, start: int, edits: Sequence[Edit]) -> bases.Codes:
    """Apply sorted disjoint edits to a stretch of the forward strand.

    Args:
        codes: base codes of [start, start + L), shape (L,).
        start: position of the first base, 0-based.
        edits: sorted disjoint edits inside that stretch.

    Returns:
        The edited codes, shape (L + total growth,).

    Raises:
        InputError: an edit lies outside the stretch.
    """
    _refuse_outside(edits, start, start + len(codes))
    pieces: list[bases.Codes] = []
    done = 0
    for edit in edits:
        pieces += [codes[done : edit.start - start], bases.encode(edit.replacement)]
        done = edit.end - start
    pieces.append(codes[done:])
    return np.concatenate(pieces)


def _refuse_outside(edits: Sequence[Edit], start: int, end: int) -> None:
    for edit in edits:
        if edit.start < start or edit.end > end:
            raise InputError(
                f"{edit} lies outside the stored bases {start}-{end}: store more flank"
            )


def edited_anchor(anchor: int, edits: Sequence[Edit], strand: str) -> tuple[int, bool]:
    """Where the anchor stands after the edits, in edited coordinates.

    An insertion at the anchor goes to its left on the forward strand. A deleted anchor
    becomes the next retained base in transcription order.

    Args:
        anchor: position, 0-based, forward strand.
        edits: sorted disjoint edits.
        strand: `+` or `-`; the direction in which a deleted anchor moves.

    Returns:
        The anchor plus the growth of all that stands before it, and whether it was deleted.
    """
    growth = 0
    deleted = False
    for edit in edits:
        if edit.end <= anchor:
            growth += edit.growth
            continue
        if edit.start > anchor or anchor - edit.start < len(edit.replacement):
            break
        deleted = True
        if strand == "+":
            anchor = edit.end
            growth += edit.growth
        elif edit.replacement:
            return edit.start + growth + len(edit.replacement) - 1, True
        else:
            return edited_anchor(edit.start - 1, edits, strand)[0], True
    return anchor + growth, deleted


def edited_sequence(
    codes: bases.Codes, start: int, window: Window, edits: Sequence[Edit]
) -> bases.Codes:
    """The model input of a window with edits.

    Args:
        codes: base codes of the stored stretch [start, start + L), window and flank.
        start: position of the first stored base, 0-based.
        window: where the anchor stands, the length and the strand.
        edits: sorted disjoint edits inside the stored stretch.

    Returns:
        Base codes in the orientation of the window, shape (window.length,).

    Raises:
        InputError: the stored flank is too short to restore the length, or an edit lies
            outside the stored stretch.
    """
    edited = apply_edits(codes, start, edits)
    first, last = _span(start, window, edits, len(edited))
    sequence = edited[first:last]
    return sequence if window.strand == "+" else bases.reverse_complement(sequence)


def reference_positions(
    start: int, stored: int, window: Window, edits: Sequence[Edit]
) -> npt.NDArray[np.int64]:
    """The position on the assembly of every base of the model input.

    Args:
        start: position of the first stored base, 0-based.
        stored: number of stored bases.
        window: where the anchor stands, the length and the strand.
        edits: sorted disjoint edits inside the stored stretch.

    Returns:
        0-based forward positions in the orientation of the window, shape (window.length,);
        `INSERTED` where a base has none.

    Raises:
        InputError: as `edited_sequence`.
    """
    _refuse_outside(edits, start, start + stored)
    pieces = []
    done = start
    for edit in edits:
        replaced = np.full(len(edit.replacement), INSERTED, dtype=np.int64)
        kept = min(len(replaced), edit.end - edit.start)
        replaced[:kept] = np.arange(edit.start, edit.start + kept)
        pieces += [np.arange(done, edit.start), replaced]
        done = edit.end
    pieces.append(np.arange(done, start + stored))
    positions = np.concatenate(pieces)
    first, last = _span(start, window, edits, len(positions))
    return positions[first:last] if window.strand == "+" else positions[first:last][::-1]


def _span(start: int, window: Window, edits: Sequence[Edit], available: int) -> tuple[int, int]:
    anchor, _ = edited_anchor(window.anchor, edits, window.strand)
    first = anchor - start - window.anchor_index
    last = first + window.length
    if first < 0 or last > available:
        raise InputError(
            f"window {window}: its edits need {max(-first, 0)} more bases of flank on the left "
            f"and {max(last - available, 0)} on the right than are stored"
        )
    return first, last
