"""A signal (conservation, coverage) from a bigWig or a bedGraph: values, means over intervals.

Intervals are 0-based half-open on the forward strand, as in both formats.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines
from seqtrust.genome import aliases

Floats = npt.NDArray[np.float64]
Interval = tuple[str, int, int]

BIGWIG = (".bw", ".bigwig")
BEDGRAPH = (".bedgraph", ".bdg", ".bg")


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


@contextmanager
def open_signal(path: str | Path) -> Iterator[Signal]:
    """Open a bigWig, or read a bedGraph.

    Raises:
        InputError: the file is missing or of another form.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no signal file at {path}")
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    if suffix in BIGWIG and path.suffix != ".gz":
        bigwig = _BigWig(path)
        try:
            yield bigwig
        finally:
            bigwig.close()
    elif suffix in BEDGRAPH:
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

    def __init__(self, starts: Floats, ends: Floats, values: Floats) -> None:
        self.starts, self.ends, self.values = starts, ends, values
        self.sums = np.concatenate([[0.0], np.cumsum((ends - starts) * values)])
        self.bases = np.concatenate([[0.0], np.cumsum(ends - starts)])

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


def _read_bedgraph(path: Path) -> dict[str, tuple[Floats, Floats, Floats]]:
    """Starts, ends and values per contig, sorted by start.

    Raises:
        InputError: a row is not `contig, start, end, value`, or two rows overlap; the message
            names the line.
    """
    rows: dict[str, list[tuple[int, int, float, int]]] = {}
    for number, line in numbered_lines(path):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        with at_line(path, number, "contig, start, end and value"):
            contig, start, end, value = line.split()
            first, last, signal = int(start), int(end), float(value)
            if not 0 <= first < last or not np.isfinite(signal):
                raise ValueError("an interval with a finite value is needed")
        rows.setdefault(contig, []).append((first, last, signal, number))
    if not rows:
        raise InputError(f"{path} holds no row of signal")
    found = {}
    for contig, mine in rows.items():
        mine.sort()
        for one, other in pairwise(mine):
            if other[0] < one[1]:
                raise InputError(
                    f"{path}, line {other[3]}: {contig}:{other[0]}-{other[1]} overlaps line "
                    f"{one[3]}; a bedGraph has one value per base"
                )
        table = np.array([row[:3] for row in mine], dtype=np.float64)
        found[contig] = (table[:, 0], table[:, 1], table[:, 2])
    return found
