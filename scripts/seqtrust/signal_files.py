"""A signal (conservation, coverage) from a bigWig or a bedGraph: values, means over intervals.

Intervals are 0-based half-open on the forward strand, as in both formats.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines
from seqtrust.genome import aliases

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Interval = tuple[str, int, int]

BIGWIG = (".bw", ".bigwig")
BEDGRAPH = (".bedgraph", ".bdg", ".bg")
_LAST_BASE = 2**63 - 1


def mean_signal(path: str | Path, intervals: Sequence[Interval]) -> Floats:
    """Mean signal over the bases of each interval that have a value.

    Args:
        path: `.bw` or `.bigWig`; `.bedGraph`, `.bdg` or `.bg`, plain or gzipped.
        intervals: contig, start, end; what lies beyond the contig's end has no value.

    Returns:
        Shape (N,); NaN where no base has a value, or the file lacks the contig.

    Raises:
        InputError: the file is missing or of another form, holds no contig of the intervals, or
            an interval is empty.
    """
    with open_signal(path) as signal:
        for contig, start, end in intervals:
            if not 0 <= start < end:
                raise InputError(
                    f"{path}: the interval {contig}:{start}-{end} (0-based) holds no base of a "
                    "contig"
                )
        spelled = spellings(path, signal.contigs, {contig for contig, _, _ in intervals})
        values = np.full(len(intervals), np.nan)
        for index, (contig, start, end) in enumerate(intervals):
            name = spelled[contig]
            if name is not None:
                values[index] = signal.mean(name, start, end)
    return values


class Signal(Protocol):
    """An open signal file; contigs as it spells them."""

    @property
    def contigs(self) -> Sequence[str]:
        """All that have a value or a length."""
        ...

    def mean(self, contig: str, start: int, end: int) -> float:
        """Mean over the bases of [start, end) with a value; NaN without one."""
        ...

    def bases(self, contig: str, start: int, end: int) -> Floats:
        """The value of every base, shape (end - start,); NaN where there is none.

        Args:
            contig: one of `contigs`.
            start: may lie before the contig.
            end: may lie beyond the contig.
        """
        ...


def is_bedgraph(path: str | Path) -> bool:
    """Whether a file's name is that of a bedGraph, plain or gzipped."""
    path = Path(path)
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower() in BEDGRAPH


@contextmanager
def open_signal(path: str | Path) -> Iterator[Signal]:
    """Open a bigWig, or read a bedGraph.

    Raises:
        InputError: the file is missing or of another form.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no signal file at {path}")
    if path.suffix.lower() in BIGWIG:
        bigwig = _BigWig(path)
        try:
            yield bigwig
        finally:
            bigwig.close()
    elif is_bedgraph(path):
        yield _BedGraph(path)
    else:
        raise InputError(
            f"{path}: expected a signal file whose name ends in "
            f"{', '.join((*BIGWIG, *BEDGRAPH))} (the last three also with .gz)"
        )


def spellings(
    path: str | Path, known: Sequence[str], contigs: Iterable[str]
) -> dict[str, str | None]:
    """How a file spells contigs; None where it lacks one.

    Raises:
        InputError: it lacks all of them.
    """
    there = set(known)
    spelled: dict[str, str | None] = {
        contig: next((name for name in (contig, *aliases(contig)) if name in there), None)
        for contig in contigs
    }
    if spelled and not any(spelled.values()):
        raise InputError(
            f"{path} has no contig of the intervals ({', '.join(sorted(spelled)[:4])}); it has: "
            f"{', '.join(sorted(known)[:8])}. Is it of another assembly?"
        )
    return spelled


class _BigWig:
    def __init__(self, path: Path) -> None:
        import pyBigWig

        try:
            self._file = pyBigWig.open(str(path))
        except RuntimeError as error:
            raise InputError(f"{path} cannot be read as a bigWig: {error}") from error
        if not self._file.isBigWig():
            self._file.close()
            raise InputError(f"{path} is a bigBed, not a bigWig: it holds no signal")
        self._lengths: dict[str, int] = self._file.chroms()
        self.contigs = list(self._lengths)

    def mean(self, contig: str, start: int, end: int) -> float:
        end = min(end, self._lengths[contig])
        # exact: from the values, not from the file's zoom levels
        found = self._file.stats(contig, start, end, exact=True)[0] if start < end else None
        return float("nan") if found is None else float(found)

    def bases(self, contig: str, start: int, end: int) -> Floats:
        values = np.full(end - start, np.nan)
        first, last = max(start, 0), min(end, self._lengths[contig])
        if first < last:
            values[first - start : last - start] = self._file.values(
                contig, first, last, numpy=True
            )
        return values

    def close(self) -> None:
        self._file.close()


class _BedGraph:
    def __init__(self, path: Path) -> None:
        self._sums = {
            contig: _CumulativeSignal(*arrays) for contig, arrays in _read_bedgraph(path).items()
        }
        self.contigs = list(self._sums)

    def mean(self, contig: str, start: int, end: int) -> float:
        return self._sums[contig].mean(start, end)

    def bases(self, contig: str, start: int, end: int) -> Floats:
        return self._sums[contig].values_of(start, end)


class _CumulativeSignal:
    """Sums over intervals of one contig, from sums and bases up to each run."""

    def __init__(self, starts: Places, ends: Places, values: Floats) -> None:
        self.starts, self.ends, self.values = starts, ends, values

    @cached_property
    def sums(self) -> Floats:
        """Of the values of all bases before each run."""
        return np.concatenate([[0.0], np.cumsum((self.ends - self.starts) * self.values)])

    @cached_property
    def bases(self) -> Floats:
        """With a value before each run."""
        return np.concatenate([[0.0], np.cumsum(self.ends - self.starts, dtype=np.float64)])

    def mean(self, start: int, end: int) -> float:
        """Mean over the bases of [start, end) with a value."""
        last = int(np.searchsorted(self.starts, end))
        first = int(np.searchsorted(self.ends, start, side="right"))
        if last <= first:
            return float("nan")
        total = self.sums[last] - self.sums[first]
        bases = self.bases[last] - self.bases[first]
        before, after = max(start - self.starts[first], 0), max(self.ends[last - 1] - end, 0)
        total -= before * self.values[first] + after * self.values[last - 1]
        return float(total / (bases - before - after))

    def values_of(self, start: int, end: int) -> Floats:
        """The value of every base of [start, end); NaN where there is none."""
        found = np.full(end - start, np.nan)
        last = int(np.searchsorted(self.starts, end))
        for run in range(int(np.searchsorted(self.ends, start, side="right")), last):
            first = max(int(self.starts[run]) - start, 0)
            found[first : int(self.ends[run]) - start] = self.values[run]
        return found


def _read_bedgraph(path: Path) -> dict[str, tuple[Places, Places, Floats]]:
    """Starts, ends and values per contig, sorted by start.

    Raises:
        InputError: a row is not `contig, start, end, value`, or two rows overlap; the message
            names the line.
    """
    columns: dict[str, _Columns] = {}
    for number, line in numbered_lines(path):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        with at_line(path, number, "contig, start, end and value"):
            contig, start, end, value = line.split()
            first, last, signal = int(start), int(end), float(value)
            if not 0 <= first < last <= _LAST_BASE or not isfinite(signal):
                raise ValueError("an interval with a finite value is needed")
        if contig not in columns:
            columns[contig] = _Columns()
        columns[contig].add(first, last, signal, number)
    if not columns:
        raise InputError(f"{path} holds no row of signal")
    # taken out one by one, so that the unsorted rows of few contigs are there beside the sorted
    return {contig: columns.pop(contig).sorted(path, contig) for contig in list(columns)}


class _Columns:
    """Rows of one contig while they are read: 32 bytes each."""

    def __init__(self) -> None:
        self._starts, self._ends, self._numbers = array("q"), array("q"), array("q")
        self._values = array("d")

    def add(self, start: int, end: int, value: float, number: int) -> None:
        """One row and the number of its line."""
        self._starts.append(start)
        self._ends.append(end)
        self._values.append(value)
        self._numbers.append(number)

    def sorted(self, path: Path, contig: str) -> tuple[Places, Places, Floats]:
        """Starts, ends and values, sorted by start.

        Raises:
            InputError: two rows overlap; the message names their lines.
        """
        starts, ends, numbers = (
            np.frombuffer(one, dtype=np.int64) for one in (self._starts, self._ends, self._numbers)
        )
        values = np.frombuffer(self._values, dtype=np.float64)
        if (starts[1:] < starts[:-1]).any():
            order = np.argsort(starts, kind="stable")
            starts, ends, values = starts[order], ends[order], values[order]
            numbers = numbers[order]
        overlapping = np.flatnonzero(starts[1:] < ends[:-1])
        if overlapping.size:
            one = int(overlapping[0])
            raise InputError(
                f"{path}, line {numbers[one + 1]}: {contig}:{starts[one + 1]}-{ends[one + 1]} "
                f"overlaps line {numbers[one]}; a bedGraph has one value per base"
            )
        return starts, ends, values
