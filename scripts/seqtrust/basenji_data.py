"""Training data in the layout that Basenji publishes, without TensorFlow and without torch.

A folder holds statistics.json, targets.txt (a row per track), sequences.bed (contig, start, end
and split of every window) and tfrecords/{split}-{shard}.tfr. Row k of a split in sequences.bed
is record k of its shards in natural order.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.bases import UNKNOWN, Codes
from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines
from seqtrust.genome import SPLITS
from seqtrust.models.facts import Facts, Track
from seqtrust.models.track_table import read_tracks
from seqtrust.records import at_record, bytes_feature, parse_example, read_records

TARGETS = np.dtype("<f2")
_OWN_LABELS = {"train": "train", "valid": "validation", "test": "test"}
_DIGESTED_BYTES = 4096

Interval = tuple[str, int, int]
Targets = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Record:
    """One window: base codes (L,), in A, C, G, T, N = 0..4, and targets (bins, tracks)."""

    codes: Codes
    targets: Targets


@dataclass(frozen=True)
class BasenjiFolder:
    """What a folder says of itself; the records stay on disk.

    Attributes:
        path: the folder.
        seq_length: bases of an input.
        bins: of the targets, in the middle of the input.
        bin_width: bp.
        tracks: of the targets.
        windows: rows of sequences.bed by split, in the order of the records; an input reaches
            equally far beyond both ends of its row where the row is shorter.
        shards: files by split, in natural order.
        labels: of every split, in the order of its windows and shards: label, number of windows
            and number of shards. A split has more than one where it is made of folds.
    """

    path: Path
    seq_length: int
    bins: int
    bin_width: int
    tracks: tuple[Track, ...]
    windows: Mapping[str, tuple[Interval, ...]]
    shards: Mapping[str, tuple[Path, ...]]
    labels: Mapping[str, tuple[tuple[str, int, int], ...]]

    @property
    def crop(self) -> int:
        """Bases at each end of an input without targets."""
        return (self.seq_length - self.bins * self.bin_width) // 2

    def regions(self) -> list[tuple[str, str, int, int]]:
        """Split, contig, start and end of every row of sequences.bed."""
        return [(split, *row) for split, rows in self.windows.items() for row in rows]

    def inputs(self, split: str) -> list[Interval]:
        """Contig, start and end of every input of a split; they may reach beyond a contig."""
        return [
            (contig, (start + end - self.seq_length) // 2, (start + end + self.seq_length) // 2)
            for contig, start, end in self.windows[split]
        ]

    def files(self, split: str) -> tuple[Path, ...]:
        """The shards of a split.

        Raises:
            InputError: it has no record.
        """
        if not self.windows.get(split):
            raise InputError(
                f"{self.path} has no {split} window: it has "
                f"{', '.join(name for name, rows in self.windows.items() if rows)}"
            )
        return self.shards[split]

    def decoded(self, data: bytes) -> Record:
        """The window of one record.

        Raises:
            InputError: a feature is missing or of another size, or a base is none.
        """
        features = parse_example(data)
        # one-hot rows, or with one byte per base the codes themselves
        bases = bytes_feature(features, "sequence", (4 * self.seq_length, self.seq_length))
        size = self.bins * len(self.tracks) * TARGETS.itemsize
        values = np.frombuffer(bytes_feature(features, "target", (size,)), dtype=TARGETS)
        return Record(
            _codes(np.frombuffer(bases, dtype=np.uint8), self.seq_length),
            values.reshape(self.bins, len(self.tracks)),
        )

    def digest(self, split: str) -> str:
        """SHA-256 of the descriptions and of every shard's name, size, first and last bytes.

        The last bytes of a compressed shard hold a checksum of all of it.
        """
        digest = hashlib.sha256()
        for name in ("statistics.json", "targets.txt", "sequences.bed"):
            digest.update((self.path / name).read_bytes() + b"\0")
        for shard in self.files(split):
            size = shard.stat().st_size
            digest.update(f"{shard.name} {size}\n".encode())
            with shard.open("rb") as file:
                digest.update(file.read(_DIGESTED_BYTES))
                file.seek(max(0, size - _DIGESTED_BYTES))
                digest.update(file.read())
        return digest.hexdigest()

    def refuse_other_facts(self, facts: Facts) -> None:
        """Nothing, or an error that says how a model and these data do not fit.

        Raises:
            InputError: the model takes other inputs or predicts other bins or tracks.
        """
        predicted = facts.bins(self.seq_length)
        if (facts.bin_width, facts.crop, predicted) != (self.bin_width, self.crop, self.bins):
            raise InputError(
                f"{self.path}: targets of {self.bins} bins of {self.bin_width} bp, {self.crop} bp "
                f"at each end of {self.seq_length:,} bp left out, but the model predicts "
                f"{predicted} bins of {facts.bin_width} bp and leaves out {facts.crop} bp: change "
                "the parameters of the architecture"
            )


def read_basenji(
    path: str | Path, folds: Mapping[str, Sequence[str]] | None = None
) -> BasenjiFolder:
    """Read the descriptions of a folder and find its shards.

    Args:
        path: the folder.
        folds: where windows are labelled fold0, fold1, ... instead of train, valid and test:
            the labels for `validation` and `test`; all others are for training.

    Raises:
        InputError: a file is missing or damaged, or the descriptions contradict each other.
    """
    path = Path(path)
    statistics = _statistics(path / "statistics.json")
    tracks = read_tracks(path / "targets.txt")
    if len(tracks) != statistics["num_targets"]:
        raise InputError(
            f"{path}: targets.txt has {len(tracks)} tracks, but statistics.json says "
            f"{statistics['num_targets']}: they do not belong together"
        )
    labelled = _read_windows(path / "sequences.bed", statistics["seq_length"])
    labels = _labels(path, list(labelled), folds)
    for name, stated in statistics.items():
        label = name.removesuffix("_seqs")
        found = len(labelled.get(label, ()))
        if name.endswith("_seqs") and stated != found:
            raise InputError(
                f"{path}: sequences.bed has {found} {label} windows, but statistics.json says "
                f"{stated}: they do not belong together"
            )
    shards = {one: _shards(path, one) for _, mine in labels for one in mine}
    return BasenjiFolder(
        path,
        statistics["seq_length"],
        statistics["target_length"],
        statistics["pool_width"],
        tracks,
        {split: tuple(row for one in mine for row in labelled[one]) for split, mine in labels},
        {split: tuple(shard for one in mine for shard in shards[one]) for split, mine in labels},
        {
            split: tuple((one, len(labelled[one]), len(shards[one])) for one in mine)
            for split, mine in labels
        },
    )


def shard_sizes(folder: BasenjiFolder, split: str) -> list[int]:
    """Records of every shard of a split.

    Basenji writes shards of one size per label (`valid`, `fold3`), the last one of a label shorter:
    where its first shard agrees with that, the others are not read here, but while they are used.
    Else all of the label are counted.

    Raises:
        InputError: a label has more or fewer records than rows in sequences.bed.
    """
    left = iter(folder.files(split))
    sizes = []
    for label, total, number in folder.labels[split]:
        mine = _label_sizes(list(islice(left, number)), total)
        if sum(mine) != total:
            raise InputError(
                f"{folder.path}: the {label} shards hold {sum(mine)} records, but sequences.bed "
                f"lists {total} windows: is a shard missing, cut short, or one too many?"
            )
        sizes += mine
    return sizes


def stream_records(
    folder: BasenjiFolder,
    shards: Sequence[tuple[Path, int, int, int]],
    wanted: npt.NDArray[np.bool_],
) -> Iterator[tuple[int, Record]]:
    """Records of parts of shards, one after the other, each file read once.

    Args:
        folder: what they must fit.
        shards: file, its number of records, and the first and last (exclusive) that belong to
            the stream.
        wanted: which of the stream's records are decoded; a file without one is not opened.

    Yields:
        The place in the stream and the record.

    Raises:
        InputError: a record is damaged or does not fit, or a file holds another number of them.
    """
    place = 0
    for path, size, first, last in shards:
        mine = wanted[place : place + last - first]
        if mine.any():
            end = first + int(np.flatnonzero(mine)[-1]) + 1
            found = 0
            for number, data in enumerate(read_records(path)):
                found = number + 1
                if number >= size:
                    raise _other_size(path, f"more than {size}", size)
                if first <= number < end and mine[number - first]:
                    with at_record(path, number):
                        record = folder.decoded(data)
                    yield place + number - first, record
                # a file that is used to its end is read to its end, and so is its last checksum
                if number + 1 == end < size:
                    break
            if found < end:
                raise _other_size(path, str(found), size)
        place += last - first


def natural_records(folder: BasenjiFolder, split: str) -> Iterator[tuple[int, Record]]:
    """Every record of a split with its row among the split's rows of sequences.bed.

    Raises:
        InputError: see `shard_sizes` and `stream_records`.
    """
    sizes = shard_sizes(folder, split)
    parts = [(path, n, 0, n) for path, n in zip(folder.files(split), sizes, strict=True)]
    return stream_records(folder, parts, np.ones(sum(sizes), dtype=bool))


def _other_size(path: Path, found: str, expected: int) -> InputError:
    return InputError(
        f"{path} holds {found} records, but {expected} are expected: sequences.bed and the size of "
        "their first shard say so. Fetch the file again, or write shards of one size"
    )


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts names with numbers in them by the numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _label_sizes(shards: Sequence[Path], total: int) -> list[int]:
    """Records of the shards of one label, whose windows are `total`; see `shard_sizes`."""
    first = _count(shards[0])
    rest = total - first * (len(shards) - 1)
    if len(shards) > 1 and 0 < rest <= first:
        return [first] * (len(shards) - 1) + [rest]
    return [first, *(_count(shard) for shard in shards[1:])]


def _count(shard: Path) -> int:
    return sum(1 for _ in read_records(shard))


def _shards(folder: Path, label: str) -> list[Path]:
    found = (folder / "tfrecords").glob(f"{label}-*.tfr")
    shards = sorted(found, key=lambda path: natural_key(path.name))
    if not shards:
        raise InputError(f"{folder / 'tfrecords'} has no {label}-*.tfr, but sequences.bed does")
    return shards


def _statistics(path: Path) -> dict[str, Any]:
    """The numbers of statistics.json, checked."""
    try:
        found = json.loads(path.read_text())
        numbers = {name: value for name, value in found.items() if isinstance(value, int)}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): expected the folder of one data set of Basenji"
        ) from error
    for name in ("num_targets", "seq_length", "target_length", "pool_width"):
        if numbers.get(name, 0) < 1:
            raise InputError(f"{path}: {name} is {found.get(name)!r}, expected a whole number")
    measured = numbers["target_length"] * numbers["pool_width"]
    crop = numbers.get("crop_bp", (numbers["seq_length"] - measured) // 2)
    if numbers["seq_length"] - 2 * crop != measured:
        raise InputError(
            f"{path}: {numbers['target_length']} bins of {numbers['pool_width']} bp and twice "
            f"{crop} bp are not the {numbers['seq_length']:,} bp of an input"
        )
    return numbers


def _read_windows(path: Path, seq_length: int) -> dict[str, list[Interval]]:
    """Rows of sequences.bed by their label."""
    rows: dict[str, list[Interval]] = {}
    width = 0
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        with at_line(path, number, "contig, start, end and split, separated by tabs"):
            contig, start, end, label = line.rstrip().split("\t")[:4]
            window = (contig, int(start), int(end))
        width = width or window[2] - window[1]
        if (
            window[2] - window[1] != width
            or not 0 < width <= seq_length
            or (seq_length - width) % 2
        ):
            raise InputError(
                f"{path}, line {number}: a window of {window[2] - window[1]:,} bp; expected all to "
                f"have one length, {seq_length:,} bp or less by an even number"
            )
        rows.setdefault(label, []).append(window)
    if not rows:
        raise InputError(f"{path} holds no window")
    return rows


def _labels(
    path: Path, found: Sequence[str], folds: Mapping[str, Sequence[str]] | None
) -> list[tuple[str, list[str]]]:
    """The labels of every split."""
    if folds is None:
        other = sorted(set(found) - set(_OWN_LABELS))
        if other:
            raise InputError(
                f"{path}: sequences.bed has the split {other[0]!r}, expected train, valid or test. "
                "Of folds say which are for validation and test (`folds`)"
            )
        return [(split, [one]) for one, split in _OWN_LABELS.items() if one in found]
    held_out = [label for labels in folds.values() for label in labels]
    for label in held_out:
        if label not in found:
            raise InputError(
                f"{path}: there is no fold {label!r}; sequences.bed has "
                f"{', '.join(sorted(found, key=natural_key))}"
            )
    chosen = {"train": sorted(set(found) - set(held_out), key=natural_key)}
    chosen |= {split: list(labels) for split, labels in folds.items()}
    return [(split, chosen[split]) for split in SPLITS if chosen.get(split)]


def _codes(bases: npt.NDArray[np.uint8], length: int) -> Codes:
    """Base codes of one-hot rows A, C, G, T (N all zeros), or of codes.

    Raises:
        InputError: a row is no one-hot row, or a byte no code; the message names the base.
    """
    if len(bases) == length:
        wrong = np.flatnonzero(bases > UNKNOWN)
        if wrong.size:
            raise InputError(
                f"feature 'sequence', base {wrong[0]} (from 0): {bases[wrong[0]]} is no base, "
                "expected 0 to 4 for A, C, G, T and N"
            )
        return bases
    rows = np.ascontiguousarray(bases.reshape(length, 4))
    packed = rows.view("<u4")[:, 0]
    wrong = np.flatnonzero((packed & (packed - np.uint32(1))) | (packed & np.uint32(0xFEFEFEFE)))
    if wrong.size:
        raise InputError(
            f"feature 'sequence', base {wrong[0]} (from 0): {rows[wrong[0]].tolist()} is no "
            "one-hot row of A, C, G and T, nor all zeros for N"
        )
    codes = rows[:, 1] + 2 * rows[:, 2] + 3 * rows[:, 3]
    codes[packed == 0] = UNKNOWN
    return codes
