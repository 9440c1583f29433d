"""Signal files as targets: one value per bin and track, from a table as Basenji's targets.txt.

Per bin the statistic of its bases, then `clip`, then `scale`: the order of the data that Basenji2
was trained on. Later versions of Basenji scale first; for those divide `clip` by `scale`.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines
from seqtrust.genome import aliases
from seqtrust.models.facts import Track, refuse_one_sided
from seqtrust.models.track_table import read_tracks
from seqtrust.signal_files import Signal, is_bedgraph, open_signal, spellings

ZERO, NAN = "zero", "nan"
MISSING = (ZERO, NAN)
STATISTICS = ("sum", "mean", "max")
_OTHER_NAMES = {"avg": "mean"}
_REFUSED_COLUMNS = ("clip_soft",)
_OPEN_FILES = 200

Floats = npt.NDArray[np.float64]
Interval = tuple[str, int, int]


@dataclass(frozen=True)
class SignalTrack:
    """One row of the table.

    Attributes:
        track: name, assay and the other strand's track.
        file: bigWig or bedGraph.
        statistic: of the bases of a bin: "sum", "mean" or "max".
        clip: largest distance of a bin's value from 0, before `scale`.
        scale: factor of a bin's value.
    """

    track: Track
    file: Path
    statistic: str = "sum"
    clip: float = np.inf
    scale: float = 1.0


def read_signal_tracks(path: str | Path) -> list[SignalTrack]:
    """Read a table of tracks with the columns `file` and, if any, `clip`, `scale`, `sum_stat`.

    Names and the tracks of the other strand are read as in any table of tracks. Files are
    relative to the folder of the table.

    Raises:
        InputError: the table is no table of tracks, a value is refused (the message names the
            line), or the track of an other strand does not name a track back.
    """
    path = Path(path)
    tracks = read_tracks(path)
    refuse_one_sided(tracks, str(path))
    rows = list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))
    if "file" not in rows[0]:
        raise InputError(
            f"{path}: expected a column file with the bigWig or bedGraph of each track"
        )
    found = []
    for index, (track, row) in enumerate(zip(tracks, rows, strict=True)):
        with at_line(path, index + 2, "numbers for clip and scale"):
            found.append(_signal_track(track, row, path.parent))
    return found


@dataclass(frozen=True)
class Masked:
    """Intervals whose bases count as not measured, by contig; from a BED."""

    intervals: Mapping[str, npt.NDArray[np.int64]]

    @classmethod
    def from_bed(cls, path: str | Path) -> "Masked":
        """Read a BED.

        Raises:
            InputError: there is none, or a row is not contig, start, end; the message names the
                line.
        """
        rows: dict[str, list[tuple[int, int]]] = {}
        for number, line in numbered_lines(path):
            if not line.strip() or line.startswith(("#", "track", "browser")):
                continue
            with at_line(path, number, "contig, start and end, separated by tabs"):
                contig, start, end = line.split("\t")[:3]
                first, last = int(start), int(end)
                if not 0 <= first < last:
                    raise ValueError(f"{first} to {last} (0-based) holds no base")
                rows.setdefault(contig, []).append((first, last))
        if not rows:
            raise InputError(f"{path} holds no interval: name a BED with some, or none")
        return cls({contig: np.array(mine) for contig, mine in rows.items()})

    def bases(self, contig: str, start: int, end: int) -> npt.NDArray[np.bool_]:
        """Which bases of [start, end) are masked."""
        masked = np.zeros(end - start, dtype=bool)
        for name in {contig, *aliases(contig)} & set(self.intervals):
            rows = self.intervals[name]
            for first, last in rows[(rows[:, 0] < end) & (rows[:, 1] > start)]:
                masked[max(first - start, 0) : last - start] = True
        return masked


def binned_tracks(
    tracks: Sequence[SignalTrack],
    intervals: Sequence[Interval],
    bin_width: int,
    *,
    missing: str = ZERO,
    masked: Masked | None = None,
    bytes_at_once: int = 1 << 29,
) -> Iterator[npt.NDArray[np.float32]]:
    """Values of the bins of every interval, in order.

    Args:
        tracks: rows of the table.
        intervals: contig, start and end of whole bins, all of one length.
        bin_width: bp.
        missing: a base without a value, masked, or beyond the contig counts as 0 (`zero`, as in
            Basenji); or it is left out, and a bin without any measured base is NaN (`nan`).
        masked: bases that count as not measured.
        bytes_at_once: of values in memory. Beside them one bedGraph after the other is in memory
            as a whole; the bins of all of them wait in a temporary file.

    Yields:
        float32 (bins, tracks).

    Raises:
        InputError: a file is missing, of another form or of another assembly.
    """
    if not intervals:
        return
    bins = (intervals[0][2] - intervals[0][1]) // bin_width
    block = max(1, bytes_at_once // (4 * bins * len(tracks)))
    contigs = {contig for contig, _, _ in intervals}
    with ExitStack() as kept:
        graphs = _binned_bedgraphs(
            tracks, intervals, bins, missing, masked, kept.enter_context(TemporaryFile())
        )
        signals: dict[int, tuple[Signal, dict[str, str | None]]] = {}
        for first in range(0, len(intervals), block):
            mine = intervals[first : first + block]
            values = np.empty((len(mine), bins, len(tracks)), dtype=np.float32)
            for index, track in enumerate(tracks):
                if index in graphs:
                    values[:, :, index] = graphs[index][first : first + block]
                    continue
                with ExitStack() as passing:
                    if index not in signals:
                        stays = index < _OPEN_FILES
                        signal = (kept if stays else passing).enter_context(open_signal(track.file))
                        signals[index] = signal, spellings(track.file, signal.contigs, contigs)
                    for row, found in enumerate(
                        _bins_of(*signals[index], track, mine, bin_width, missing, masked)
                    ):
                        values[row, :, index] = found
                if index >= _OPEN_FILES:
                    del signals[index]
            yield from values


def _binned_bedgraphs(
    tracks: Sequence[SignalTrack],
    intervals: Sequence[Interval],
    bins: int,
    missing: str,
    masked: Masked | None,
    file: IO[bytes],
) -> dict[int, npt.NDArray[np.float32]]:
    """Bins (N, bins) of the tracks from bedGraphs, by index; each is read once, one at a time.

    Args:
        tracks: all.
        intervals: contig, start and end of whole bins, all of one length.
        bins: of every interval.
        missing: `zero` or `nan`.
        masked: bases that count as not measured.
        file: where the values are, mapped into memory.
    """
    wanted = [index for index, track in enumerate(tracks) if is_bedgraph(track.file)]
    if not wanted:
        return {}
    bin_width = (intervals[0][2] - intervals[0][1]) // bins
    contigs = {contig for contig, _, _ in intervals}
    shape = (len(wanted), len(intervals), bins)
    values = np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
    for place, index in enumerate(wanted):
        track = tracks[index]
        with open_signal(track.file) as signal:
            spelled = spellings(track.file, signal.contigs, contigs)
            found = _bins_of(signal, spelled, track, intervals, bin_width, missing, masked)
            for row, one in enumerate(found):
                values[place, row] = one
        # the next one is read when this one has gone
        del signal, found
    return dict(zip(wanted, values, strict=True))


def _bins_of(
    signal: Signal,
    spelled: Mapping[str, str | None],
    track: SignalTrack,
    intervals: Sequence[Interval],
    bin_width: int,
    missing: str,
    masked: Masked | None,
) -> Iterator[Floats]:
    """The bins of every interval of one track, shape (bins,)."""
    for contig, start, end in intervals:
        name = spelled[contig]
        bases = np.full(end - start, np.nan) if name is None else signal.bases(name, start, end)
        if masked:
            bases[masked.bases(contig, start, end)] = np.nan
        yield bin_values(bases, bin_width, track, missing)


def bin_values(bases: Floats, bin_width: int, track: SignalTrack, missing: str) -> Floats:
    """Values of bins of equal width.

    Args:
        bases: the value of every base, NaN where there is none, shape (bins * bin_width,).
        bin_width: bp.
        track: statistic, clip and scale.
        missing: `zero` or `nan`; see `binned_tracks`.
    """
    there = np.isfinite(bases.reshape(-1, bin_width))
    rows = np.where(there, bases.reshape(-1, bin_width), 0.0)
    measured = there.sum(axis=1) if missing == NAN else np.full(len(rows), bin_width)
    if track.statistic == "max":
        if missing == NAN:
            rows = np.where(there, rows, -np.inf)
        values = rows.max(axis=1)
    else:
        values = rows.sum(axis=1)
        if track.statistic == "mean":
            values = values / np.maximum(measured, 1)
    values = track.scale * np.clip(values, -track.clip, track.clip)
    return np.where(measured > 0, values, np.nan)


def _signal_track(track: Track, row: Mapping[str, str], folder: Path) -> SignalTrack:
    for column in _REFUSED_COLUMNS:
        if row.get(column):
            raise InputError(
                f"{column} is {row[column]}, which is not applied here: leave the column out, or "
                "prepare the files with it"
            )
    if not row["file"]:
        raise InputError(f"track {track.name!r} has no file")
    named = row.get("sum_stat") or "sum"
    statistic = _OTHER_NAMES.get(named, named)
    if statistic not in STATISTICS:
        raise InputError(f"sum_stat is {named!r}, expected one of {', '.join(STATISTICS)}")
    clip, scale = float(row.get("clip") or np.inf), float(row.get("scale") or 1)
    if not (clip > 0 and np.isfinite(scale) and scale != 0):
        raise InputError(f"clip {clip:g} and scale {scale:g}: expected positive, and not 0")
    return SignalTrack(track, folder / row["file"], statistic, clip, scale)
