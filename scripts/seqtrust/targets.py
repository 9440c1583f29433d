"""Measured tracks: a table of bins of equal width, or a file of measured windows."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.errors import InputError, at_line
from seqtrust.files import read_input_table
from seqtrust.genome import Genome, resolve_contig
from seqtrust.measured import SUFFIX, MeasuredWindows
from seqtrust.models.facts import Facts
from seqtrust.sequence_set import StoredWindow


class MeasuredTracks(Protocol):
    """Measured tracks of whatever source."""

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names, T of them, none twice."""
        ...

    @property
    def partners(self) -> tuple[int | None, ...]:
        """Index of the track of the other strand; None where it is the track itself."""
        ...

    @property
    def bin_width(self) -> int:
        """Of every bin, bp."""
        ...

    def of_window(self, window: StoredWindow, crop: int = 0) -> npt.NDArray[np.float32]:
        """Values of a window's bins in its orientation, shape (bins, T).

        Args:
            window: whose bases but `crop` at each end are whole bins.
            crop: bases at each end that the model does not predict.

        Raises:
            InputError: the source has not these bins.
        """
        ...


@dataclass(frozen=True)
class Targets:
    """Measured tracks in bins of equal width from the start of every contig.

    Attributes:
        tracks: names, T of them.
        bin_width: bp.
        values: per contig float32 of shape (bins, T).
    """

    tracks: tuple[str, ...]
    bin_width: int
    values: dict[str, npt.NDArray[np.float32]]

    @property
    def partners(self) -> tuple[int | None, ...]:
        """None for every track: a table of bins does not tell strands."""
        return (None,) * len(self.tracks)

    def of_window(self, window: StoredWindow, crop: int = 0) -> npt.NDArray[np.float32]:
        """Values of a window's bins in its orientation, shape (bins, T).

        Args:
            window: a window whose start, after `crop`, is a multiple of the bin width.
            crop: bases at each end that the model does not predict.

        Raises:
            InputError: the window does not stand on the grid of bins, or lies outside it.
        """
        contig = resolve_contig(window.contig, self.values, "the table of targets")
        start, end = window.window.start + crop, window.window.end - crop
        first, last = start // self.bin_width, end // self.bin_width
        if start % self.bin_width or end % self.bin_width:
            raise InputError(
                f"window {window.name!r} at {window.contig}:{start}-{end} does not stand on the "
                f"grid of {self.bin_width}-bp bins of the targets; choose tiles whose start and "
                "length are multiples of it"
            )
        if first < 0 or last > len(self.values[contig]):
            raise InputError(
                f"window {window.name!r} at {window.contig}:{start}-{end} reaches beyond the "
                f"targets, which go from 0 to {len(self.values[contig]) * self.bin_width:,}"
            )
        values = self.values[contig][first:last]
        return values if window.strand == "+" else values[::-1]


@dataclass(frozen=True)
class _Stranded:
    """Measured tracks some of which are the strands of one experiment, unknown to their source."""

    source: MeasuredTracks
    partners: tuple[int | None, ...]
    swapped: list[int]

    @property
    def tracks(self) -> tuple[str, ...]:
        return self.source.tracks

    @property
    def bin_width(self) -> int:
        return self.source.bin_width

    def of_window(self, window: StoredWindow, crop: int = 0) -> npt.NDArray[np.float32]:
        values = self.source.of_window(window, crop)
        return values if window.strand == "+" else values[:, self.swapped]


def with_strands(targets: MeasuredTracks, pairs: Iterable[Sequence[str]]) -> MeasuredTracks:
    """The same tracks, those of a window on the minus strand exchanged within every pair.

    Args:
        targets: measured tracks.
        pairs: names of the two strands of one experiment. Those that the source knows already,
            and those that it has not, change nothing.
    """
    names, partners = targets.tracks, list(targets.partners)
    swapped = list(range(len(names)))
    for first, second in pairs:
        if first in names and second in names and partners[names.index(first)] is None:
            one, other = names.index(first), names.index(second)
            swapped[one], swapped[other] = other, one
            partners[one], partners[other] = other, one
    if swapped == list(range(len(names))):
        return targets
    return _Stranded(targets, tuple(partners), swapped)


def strand_pairs(facts: Facts) -> list[tuple[str, str]]:
    """Names of a model's tracks that are the two strands of one experiment, each pair once."""
    names = facts.labels()
    return [
        (names[index], names[partner])
        for index, partner in enumerate(facts.swapped_tracks())
        if index < partner
    ]


def open_targets(
    path: str | Path, genome: Genome | None = None, missing: bool = False
) -> MeasuredTracks:
    """Measured tracks of a file: a TSV as `read_targets` reads it, or measured windows (.arrow).

    Args:
        path: the file.
        genome: gives contigs of a TSV their spelling.
        missing: allow what was not measured, which is NaN.

    Raises:
        InputError: the file is missing or of another form.
    """
    if Path(path).suffix == SUFFIX:
        return MeasuredWindows(path, missing)
    return read_targets(path, genome, missing)


def read_targets(path: str | Path, genome: Genome | None = None, missing: bool = False) -> Targets:
    """Read a TSV of contig, start, end (0-based) and one column per track.

    Args:
        path: the table.
        genome: gives contigs their spelling.
        missing: allow empty fields and NA, which become NaN.

    Raises:
        InputError: the file is missing or empty, bins differ in width or leave gaps, or a value
            is not a finite number; the message names the line.
    """
    if not Path(path).exists():
        raise InputError(f"there is no table of targets at {path}")
    table = read_input_table(path, {"contig": str})
    if list(table.columns[:3]) != ["contig", "start", "end"] or len(table.columns) < 4:
        raise InputError(
            f"{path}: expected the columns contig, start, end and at least one track; "
            f"found: {', '.join(table.columns)}"
        )
    if table.empty:
        raise InputError(f"{path} holds no bin")
    numbers = list(table.columns[1:])
    left_out = table.isna() & missing
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    width = table["end"].iloc[0] - table["start"].iloc[0]
    if not width > 0:
        raise InputError(f"{path}, line 2: expected a bin from 0 to its width")
    starts, ends = (table[name].to_numpy() for name in ("start", "end"))
    width, tracks = int(width), tuple(table.columns[3:])
    block = table[list(tracks)].to_numpy(dtype=np.float32)
    usable = (np.isfinite(block) | left_out[list(tracks)].to_numpy()).all(axis=1)
    values: dict[str, npt.NDArray[np.float32]] = {}
    for contig, rows in _rows_by_contig(table["contig"]):
        expected = np.arange(len(rows)) * width
        line = int(rows[0]) + 2
        wrong = np.flatnonzero((starts[rows] != expected) | (ends[rows] != expected + width))
        if wrong.size:
            raise InputError(
                f"{path}, line {int(rows[wrong[0]]) + 2}: bins of {contig!r} must follow each "
                f"other from 0, {width} bp each"
            )
        bad = rows[~usable[rows]]
        if bad.size:
            raise InputError(f"{path}, line {int(bad[0]) + 2}: a track has no finite value")
        with at_line(path, line, "a bin"):
            name = genome.resolve(str(contig)) if genome else str(contig)
            if name in values:
                raise InputError(f"contig {name!r} is in the table under two names")
        values[name] = block[rows]
    return Targets(tracks, width, values)


def _rows_by_contig(contigs: pd.Series) -> Iterator[tuple[Hashable, npt.NDArray[np.intp]]]:
    """The rows of every contig, contigs in the order of their first row."""
    numbers, names = pd.factorize(contigs, use_na_sentinel=False)
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(len(names) + 1))
    for name, first, last in zip(names, bounds[:-1], bounds[1:], strict=True):
        yield name, order[first:last]
