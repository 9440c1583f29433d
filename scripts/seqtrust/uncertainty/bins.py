"""Bins of reference windows: where they lie, what TSS they hold, what they are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.genes import Point
from seqtrust.models.facts import Facts
from seqtrust.predictions import OutputSpec
from seqtrust.sequence_set import SequenceSet

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bins:
    """The bins that are judged, in the order of the set's windows.

    Attributes:
        ids: sequence id of every window of the set, W of them.
        window: row of each bin's window, shape (U,).
        column: place of each bin among the kept bins, shape (U,).
        number: number of each bin in its window, as the model counts, shape (U,).
        contigs: contig of every window.
        start: first base of each bin, forward strand, 0-based, shape (U,).
        end: one past its last base, shape (U,).
        strands: strand of every window.
    """

    ids: list[str]
    window: Integers
    column: Integers
    number: Integers
    contigs: list[str]
    start: Integers
    end: Integers
    strands: list[str]

    def __len__(self) -> int:
        return len(self.window)

    def places(self, which: Integers) -> list[tuple[str, int, int]]:
        """Contig, start and end of some bins."""
        return [(self.contigs[self.window[i]], int(self.start[i]), int(self.end[i])) for i in which]


def judged_bins(
    sequences: SequenceSet, output: OutputSpec, facts: Facts, step: int = 1, offset: int = 0
) -> Bins:
    """Every `step`-th of all bins of the set, from the `offset`-th on, window after window.

    Raises:
        InputError: a sequence has edits, the output reduces bins, or no bin is left.
    """
    if output.reduction != "none":
        raise InputError(
            f"output {output.name!r} has reduction {output.reduction!r}: bins are judged one by "
            "one, so name an output without reduction"
        )
    for sequence in sequences.sequences:
        if sequence.edits:
            raise InputError(
                f"sequence {sequence.sequence_id!r} has edits: measured tracks are of the "
                "reference, so name a set of reference windows"
            )
    windows = [sequences.windows[index] for index in sequences.window_indices()]
    kept = np.array(output.bins, dtype=np.int64)
    flat = np.arange(offset, len(windows) * len(kept), step)
    if not flat.size:
        raise InputError(
            f"subsample: no bin is left of {len(windows) * len(kept)} with offset {offset}"
        )
    window, column = flat // len(kept), flat % len(kept)
    number = kept[column]
    plus = np.array([w.strand == "+" for w in windows])
    starts = np.array([w.window.start + facts.crop for w in windows])
    ends = np.array([w.window.end - facts.crop for w in windows])
    width = facts.bin_width
    start = np.where(
        plus[window], starts[window] + number * width, ends[window] - (number + 1) * width
    )
    return Bins(
        sequences.ids(), window, column, number, [w.contig for w in windows],
        start, start + width, [w.strand for w in windows],
    )  # fmt: skip


def points_in_bins(bins: Bins, points: Sequence[Point]) -> list[tuple[int, Point]]:
    """Every bin and point that it holds, bins in order."""
    found: list[tuple[int, Point]] = []
    for contig, mine in _by_contig(points).items():
        positions = np.array([point.position for point in mine])
        here = _bins_on(bins, contig)
        first = np.searchsorted(positions, bins.start[here])
        last = np.searchsorted(positions, bins.end[here])
        for row in np.flatnonzero(last > first):
            found += [(int(here[row]), mine[i]) for i in range(first[row], last[row])]
    return sorted(found, key=lambda item: (item[0], item[1].position, item[1].name))


def distances_to_points(bins: Bins, points: Sequence[Point]) -> Floats:
    """Bases from each bin to the nearest point of its contig: 0 inside, 1 beside it.

    NaN on contigs without a point.
    """
    distances = np.full(len(bins), np.nan)
    for contig, mine in _by_contig(points).items():
        positions = np.array([point.position for point in mine])
        here = _bins_on(bins, contig)
        after = np.searchsorted(positions, bins.start[here])
        padded = np.concatenate([[-np.inf], positions, [np.inf]])
        upstream = bins.start[here] - padded[after]
        downstream = np.maximum(padded[after + 1] - (bins.end[here] - 1), 0)
        distances[here] = np.minimum(upstream, downstream)
    return distances


def gc_contents(bins: Bins, sequences: SequenceSet, facts: Facts) -> Floats:
    """Fraction of G and C among the bases of each bin that are not N; NaN if all are."""
    gc = np.full(len(bins), np.nan)
    # a cumulative count per window, so that memory is that of one window
    row = 0
    for block in sequences.blocks():
        for codes in block:
            mine = slice(*np.searchsorted(bins.window, [row, row + 1]))
            first = facts.crop + bins.number[mine] * facts.bin_width
            strong = np.isin(codes, [bases.LETTERS.index("C"), bases.LETTERS.index("G")])
            counts = [np.concatenate([[0], np.cumsum(of)]) for of in (strong, codes < 4)]
            some = [total[first + facts.bin_width] - total[first] for total in counts]
            with np.errstate(invalid="ignore"):
                gc[mine] = some[0] / some[1]
            row += 1
    return gc


def _by_contig(points: Sequence[Point]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.position):
        found.setdefault(point.contig, []).append(point)
    return found


def _bins_on(bins: Bins, contig: str) -> Integers:
    windows = np.array([name == contig for name in bins.contigs])
    return np.flatnonzero(windows[bins.window])
