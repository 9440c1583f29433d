"""What files of measured windows are made of: signal files over a set, or a split of Basenji."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from seqtrust.basenji_data import (
    BasenjiFolder,
    Interval,
    natural_records,
    read_basenji,
)
from seqtrust.binned_signal import Masked, SignalTrack, binned_tracks, read_signal_tracks
from seqtrust.errors import InputError
from seqtrust.files import sha256, write_text
from seqtrust.measured import Values, write_measured
from seqtrust.sequence_set import SequenceSet
from seqtrust.signal_files import spellings


def measure_signals(
    path: str | Path,
    table: str | Path,
    sequences: SequenceSet,
    settings: Mapping[str, Any],
    blacklist: str | Path | None = None,
) -> int:
    """Write the values of signal files over the windows of a set.

    Args:
        path: of the file of measured windows.
        table: tracks; see `read_signal_tracks`.
        sequences: their windows are measured.
        settings: `bin_width`, `crop` and `missing` of the config.
        blacklist: BED of what counts as not measured.

    Returns:
        Number of intervals.

    Raises:
        InputError: windows do not hold whole bins, or a file cannot be read or has none of their
            contigs.
    """
    tracks = read_signal_tracks(table)
    width, crop = settings["bin_width"], settings["crop"]
    intervals = measured_intervals(sequences, width, crop)
    masked = None
    if blacklist is not None:
        masked = Masked.from_bed(blacklist)
        spellings(blacklist, list(masked.intervals), {contig for contig, _, _ in intervals})
    values = binned_tracks(
        tracks,
        intervals,
        width,
        missing=settings["missing"],
        masked=masked,
    )
    about = {"source": str(table), "missing": settings["missing"], "crop": str(crop)}
    return write_measured(
        path,
        zip(intervals, values, strict=True),
        [track.track for track in tracks],
        width,
        (intervals[0][2] - intervals[0][1]) // width,
        about | {"source_sha256": _signals_digest(table, tracks)},
    )


def measured_intervals(sequences: SequenceSet, bin_width: int, crop: int) -> list[Interval]:
    """The distinct intervals of whole bins of a set's windows, in order.

    Raises:
        InputError: the set is empty, or what is left of a window does not hold whole bins.
    """
    intervals = list(
        dict.fromkeys(
            (window.contig, window.window.start + crop, window.window.end - crop)
            for window in sequences.windows
        )
    )
    if not intervals:
        raise InputError("the set has no window to measure")
    lengths = {end - start for _, start, end in intervals}
    length = min(lengths)
    if len(lengths) > 1 or length < bin_width or length % bin_width:
        raise InputError(
            f"windows of {', '.join(str(one + 2 * crop) for one in sorted(lengths))} bp, {crop} bp "
            f"at each end left out, do not hold whole bins of {bin_width} bp: change the set's "
            "length, crop or bin_width"
        )
    return intervals


def measure_basenji(
    path: str | Path,
    bed: str | Path,
    folder: str | Path,
    split: str,
    folds: Mapping[str, list[str]] | None = None,
    progress: Callable[[str], None] | None = None,
) -> int:
    """Write the targets of one split, and its inputs as a BED.

    Args:
        path: of the file of measured windows.
        bed: contig, start and end of every input.
        folder: of Basenji's layout.
        split: train, validation or test.
        folds: see `read_basenji`.
        progress: see `write_measured`.

    Returns:
        Number of intervals.

    Raises:
        InputError: the folder is damaged, has no such split, or windows of other targets at one
            place.
    """
    data = read_basenji(folder, folds)
    count = write_measured(
        path,
        _basenji_rows(data, split),
        data.tracks,
        data.bin_width,
        data.bins,
        {"source": f"{folder}, {split}", "source_sha256": data.digest(split)},
        half=True,
        progress=progress,
    )
    write_text(bed, "".join(f"{c}\t{start}\t{end}\n" for c, start, end in data.inputs(split)))
    return count


def _basenji_rows(data: BasenjiFolder, split: str) -> Iterator[tuple[Interval, Values]]:
    inputs = data.inputs(split)
    for row, record in natural_records(data, split):
        contig, start, end = inputs[row]
        yield (contig, start + data.crop, end - data.crop), record.targets


def _signals_digest(table: str | Path, tracks: list[SignalTrack]) -> str:
    """SHA-256 of the table's SHA-256 and, for every track, of its file's name and SHA-256."""
    digest = hashlib.sha256(sha256(table).encode())
    of_files = {file: sha256(file) for file in {track.file for track in tracks}}
    for track in tracks:
        digest.update(f"{track.file.name} {of_files[track.file]}\n".encode())
    return digest.hexdigest()
