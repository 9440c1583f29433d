"""Measured tracks of windows in one file that readers map into memory."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqtrust.errors import InputError
from seqtrust.files import whole_file
from seqtrust.genome import aliases
from seqtrust.models.facts import Track, refuse_one_sided, track_labels
from seqtrust.sequence_set import StoredWindow
from seqtrust.tables import Column, TableSchema, check_schema, dump, metadata_of

SUFFIX = ".arrow"
MEASURED = TableSchema(
    name="measured",
    version=1,
    path="measured/{measured}.arrow",
    description=(
        "Measured tracks of windows, one row per interval, as an uncompressed Arrow IPC file. "
        "Further column `values`: fixed-size list of float32 (float16 where the source has no "
        "more), bins x tracks, bin by bin on the forward strand; NaN where nothing was measured. "
        "Metadata: `tracks` (name and index of the other strand's track), `bin_width`, `bins`, "
        "`source`."
    ),
    columns=(
        Column("contig", pa.string(), "contig, as the source spells it"),
        Column("start", pa.int64(), "start of the first bin", "bp"),
        Column("end", pa.int64(), "end of the last bin", "bp"),
    ),
)
_KEYS = tuple(column.name for column in MEASURED.columns)
_BATCH_BYTES = 1 << 26

Interval = tuple[str, int, int]
Values = npt.NDArray[np.floating[Any]]


class MeasuredWindows:
    """The measured tracks of a file; satisfies `MeasuredTracks`.

    Attributes:
        tracks: labels, unique.
        bin_width: bp.
        partners: index of the track of the other strand; None where it is the track itself.
    """

    def __init__(self, path: str | Path, missing: bool = False) -> None:
        """Map a file into memory.

        Args:
            path: of the file.
            missing: allow NaN.

        Raises:
            InputError: the file is missing, or no such file.
        """
        self.path = Path(path)
        try:
            self._file = pa.ipc.open_file(pa.memory_map(str(path)))
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"{path} is no whole file of measured tracks ({error})") from error
        check_schema(path, self._file.schema, MEASURED)
        about = metadata_of(self._file.schema)
        tracks = _read_tracks(about["tracks"])
        self.tracks = track_labels(tracks)
        self.partners = tuple(track.reverse_complement_index for track in tracks)
        self.bin_width, self._bins = int(about["bin_width"]), int(about["bins"])
        self._source = about["source"]
        self._missing = missing
        self._place: dict[Interval, tuple[int, int]] = {}
        for batch in range(self._file.num_record_batches):
            part = self._file.get_batch(batch)
            rows = zip(*(part.column(name).to_pylist() for name in _KEYS), strict=True)
            self._place |= {row: (batch, index) for index, row in enumerate(rows)}

    def of_window(self, window: StoredWindow, crop: int = 0) -> npt.NDArray[np.float32]:
        """Values of a window's bins in its orientation, shape (bins, T).

        Args:
            window: a window whose bases but `crop` at each end are an interval of the file.
            crop: bases at each end that the model does not predict.

        Raises:
            InputError: the interval is not in the file, or holds NaN where that is not allowed.
        """
        start, end = window.window.start + crop, window.window.end - crop
        names = (window.contig, *aliases(window.contig))
        place = next(
            (self._place[n, start, end] for n in names if (n, start, end) in self._place), None
        )
        if place is None:
            raise InputError(
                f"window {window.name!r}: {window.contig}:{start}-{end}, {crop} bp at each end of "
                f"the window left out, is none of the {len(self._place)} intervals of {self.path} "
                f"(made of {self._source}): use the windows and the crop that it was made with"
            )
        values = self._values(*place).astype(np.float32)
        if not self._missing and np.isnan(values).any():
            index, track = (int(where[0]) for where in np.nonzero(np.isnan(values)))
            raise InputError(
                f"window {window.name!r}: bin {index} of track {self.tracks[track]!r} was not "
                f"measured ({self.path}): make the file with missing: zero, or let what is missing "
                "be left out where that can be chosen (missing_targets: mask)"
            )
        if window.strand == "+":
            return values
        swapped = [
            index if partner is None else partner for index, partner in enumerate(self.partners)
        ]
        return values[::-1, swapped]

    def _values(self, batch: int, row: int) -> Values:
        column = self._file.get_batch(batch).column("values")
        size = self._bins * len(self.tracks)
        values: Values = column.values.to_numpy(zero_copy_only=True)
        return values[row * size : (row + 1) * size].reshape(self._bins, len(self.tracks))


def write_measured(
    path: str | Path,
    rows: Iterable[tuple[Interval, Values]],
    tracks: Sequence[Track],
    bin_width: int,
    bins: int,
    about: Mapping[str, str],
    half: bool = False,
    progress: Callable[[str], None] | None = None,
) -> int:
    """Write measured tracks whole; an interval that is repeated with equal values is written once.

    Args:
        path: of the file.
        rows: contig, start and end with values (bins, tracks), on the forward strand.
        tracks: of the values.
        bin_width: bp.
        bins: of every interval.
        about: further metadata; `source` is needed.
        half: store float16.
        progress: told how many repeated intervals were left out.

    Returns:
        Number of intervals.

    Raises:
        InputError: the track of an other strand does not name a track back, or an interval is
            repeated with other values.
    """
    refuse_one_sided(tracks, about["source"])
    type_ = pa.float16() if half else pa.float32()
    size = bins * len(tracks)
    listed = Column("values", pa.list_(type_, size), "bins x tracks on the forward strand")
    metadata = {
        "tracks": dump([[track.name, track.reverse_complement_index] for track in tracks]),
        "bin_width": str(bin_width),
        "bins": str(bins),
        **about,
    }
    schema = MEASURED.arrow([listed], metadata)
    some = max(1, _BATCH_BYTES // (size * (2 if half else 4)))
    once = _Once(rows, np.dtype(np.float16 if half else np.float32), about["source"])
    left = iter(once)
    written = 0
    with (
        whole_file(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        while block := list(islice(left, some)):
            values = np.concatenate([row.reshape(-1) for _, row in block])
            flat = pa.array(values, type=type_)
            keys = [pa.array(key) for key in zip(*(key for key, _ in block), strict=True)]
            arrays = [*keys, pa.FixedSizeListArray.from_arrays(flat, size)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            written += len(block)
    if once.repeated and progress:
        progress(
            f"{once.repeated} rows repeat the interval and the values of an earlier one in "
            f"{about['source']} and are written once"
        )
    return written


def _read_tracks(text: str) -> list[Track]:
    return [Track(name, reverse_complement_index=partner) for name, partner in json.loads(text)]


class _Once:
    """Rows with every interval once, their values as they are stored.

    Attributes:
        repeated: rows so far that were left out, as equal to an earlier one.
    """

    def __init__(
        self, rows: Iterable[tuple[Interval, Values]], kind: np.dtype[Any], source: str
    ) -> None:
        self._rows, self._kind, self._source = rows, kind, source
        self.repeated = 0

    def __iter__(self) -> Iterator[tuple[Interval, Values]]:
        # hashes of the values: the values of all rows need not fit into memory
        seen: dict[Interval, bytes] = {}
        for key, values in self._rows:
            stored = values.astype(self._kind)
            # adding 0 makes -0 equal to 0
            compared = (stored + self._kind.type(0)).tobytes()
            content = hashlib.blake2b(compared, digest_size=16).digest()
            known = seen.get(key)
            if known is None:
                seen[key] = content
                yield key, stored
            elif known == content:
                self.repeated += 1
            else:
                contig, start, end = key
                raise InputError(
                    f"{self._source}: the interval {contig}:{start}-{end} (0-based) is repeated "
                    "with other values: keep one of the windows"
                )
