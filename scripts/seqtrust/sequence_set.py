"""Sequence sets: windows with their bases, and the sequences made from them by edits.

One Parquet file holds two kinds of rows. A window row carries the base codes of a window
and its flank; the sequence rows that follow it carry edits. The file is complete by itself:
inference never opens a FASTA. Row groups hold whole windows, so that a shard is read
without the rest.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Sequences
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqtrust.bases import Codes
from seqtrust.edit_columns import EditColumns, edit_columns, edited_blocks
from seqtrust.edits import Edit, edited_sequence
from seqtrust.errors import InputError
from seqtrust.files import whole_file
from seqtrust.genome import Genome, Window
from seqtrust.tables import Column, TableSchema, check_schema, metadata_of

ROW_GROUP_BYTES = 16_000_000
WINDOW, SEQUENCE = "window", "sequence"
# sequences and edits of a window that are faster made one by one
_FEW = 8
_KINDS = pa.array([WINDOW, SEQUENCE])

_EDIT = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("replacement", pa.string())])
_WORD = pa.dictionary(pa.int32(), pa.string())

SCHEMA = TableSchema(
    name="sequence_set",
    version=2,
    path="sequences/{set}.parquet",
    description=(
        "Windows and the sequences made from them. A row of kind `window` is followed by the "
        "rows of kind `sequence` that belong to it; each kind leaves the other's columns empty."
    ),
    columns=(
        Column("kind", _WORD, "`window` or `sequence`"),
        Column("window", pa.int32(), "index of the window within the set, from 0"),
        Column("window_name", pa.string(), "label of the window, such as a gene", nullable=True),
        Column("assembly", _WORD, "assembly of the config", nullable=True),
        Column("contig", _WORD, "contig, as the FASTA spells it", nullable=True),
        Column("anchor", pa.int64(), "position that edits do not move", "bp, 0-based", True),
        Column("anchor_index", pa.int32(), "index of the anchor, forward strand", "0-based", True),
        Column("length", pa.int32(), "length of every sequence of the window", "bp", True),
        Column("strand", _WORD, "`-`: sequences are reverse complements", nullable=True),
        Column("flank_start", pa.int64(), "position of the first stored base", "bp, 0-based", True),
        Column("bases", pa.binary(), "codes A,C,G,T,N = 0..4, forward strand", nullable=True),
        Column("sequence_id", pa.string(), "unique within the set", nullable=True),
        Column(
            "sequence_hash",
            pa.binary(16),
            "XXH3 (128 bits) of the sequence's base codes: equal sequences have equal hashes",
            nullable=True,
        ),
        Column(
            "edits",
            pa.list_(_EDIT),
            "sorted disjoint replacements of [start, end) on the forward strand",
            "bp, 0-based half-open",
            True,
        ),
    ),
)


@dataclass(frozen=True)
class StoredWindow:
    """A window with the base codes of itself and its flank.

    Attributes:
        name: label, such as a gene or a BED row.
        assembly: assembly of the config.
        contig: contig, as the FASTA spells it.
        anchor: position that edits do not move, 0-based.
        anchor_index: index of the anchor in the sequence, forward strand, 0-based.
        length: bases of every sequence.
        strand: `+` or `-`.
        flank_start: position of the first stored base, 0-based.
        bases: codes of the forward strand, shape (stored bases,).
    """

    name: str
    assembly: str
    contig: str
    anchor: int
    anchor_index: int
    length: int
    strand: str
    flank_start: int
    bases: Codes = field(repr=False)

    @property
    def window(self) -> Window:
        """The window without its bases."""
        return Window(
            self.assembly, self.contig, self.anchor, self.anchor_index, self.length, self.strand
        )

    def sequence(self, edits: Sequences[Edit]) -> Codes:
        """The model input with these edits, shape (length,)."""
        return edited_sequence(self.bases, self.flank_start, self.window, edits)

    def blocks(self, columns: EditColumns) -> Iterator[Codes]:
        """The model inputs of many sequences: see `edit_columns.edited_blocks`."""
        if len(columns) and len(columns) + len(columns.starts) <= _FEW:
            rows = [self.sequence(columns.edits(row)) for row in range(len(columns))]
            return iter([np.stack(rows)])
        return edited_blocks(self.bases, self.flank_start, self.window, columns)


@dataclass(frozen=True)
class Sequence:
    """A window's bases with edits; `window` is an index into the set's windows."""

    sequence_id: str
    window: int
    edits: tuple[Edit, ...] = ()


class StoredSequences(Sequences[Sequence]):
    """The sequences of a file as columns; each becomes a `Sequence` when it is asked for."""

    def __init__(self, windows: npt.NDArray[np.int64], columns: EditColumns) -> None:
        """Take the window of every sequence, shape (N,), and their edits."""
        self.windows = windows
        self.columns = columns

    @classmethod
    def of(cls, sequences: Sequences[Sequence]) -> "StoredSequences":
        """Sequences given one by one, as columns."""
        if isinstance(sequences, cls):
            return sequences
        windows = np.array([sequence.window for sequence in sequences], dtype=np.int64)
        return cls(windows, edit_columns([(s.sequence_id, s.edits) for s in sequences]))

    def __len__(self) -> int:
        return len(self.columns)

    @overload
    def __getitem__(self, index: int) -> Sequence: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sequence]: ...

    def __getitem__(self, index: int | slice) -> Sequence | list[Sequence]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        columns = self.columns
        return Sequence(columns.ids[number], int(self.windows[number]), columns.edits(number))

    def runs(self) -> Iterator[tuple[int, EditColumns]]:
        """Runs of sequences of one window: its index, and their edits."""
        bounds = np.flatnonzero(np.diff(self.windows)) + 1
        for first, last in pairwise([0, *bounds.tolist(), len(self)]):
            if first < last:
                yield int(self.windows[first]), self.columns.part(first, last)


@dataclass(frozen=True)
class SequenceSet:
    """Windows, sequences and the metadata of the set that they came from."""

    windows: list[StoredWindow]
    sequences: Sequences[Sequence]
    metadata: dict[str, str] = field(default_factory=dict)

    def ids(self) -> list[str]:
        """The sequence ids, in order."""
        return list(StoredSequences.of(self.sequences).columns.ids)

    def window_indices(self) -> npt.NDArray[np.int64]:
        """The index of every sequence's window, shape (N,)."""
        return StoredSequences.of(self.sequences).windows

    def codes(self) -> Codes:
        """Base codes of all sequences, shape (N, L).

        Without a sequence, as in a shard that got no window, L comes from the metadata.

        Raises:
            InputError: the sequences differ in length.
        """
        stored = StoredSequences.of(self.sequences)
        lengths = {self.windows[index].length for index in np.unique(stored.windows)}
        if len(lengths) > 1:
            raise InputError(f"sequences of one set need one length; found {sorted(lengths)} bp")
        length = lengths.pop() if lengths else int(self.metadata.get("length", 0))
        codes = np.empty((len(stored), length), dtype=np.uint8)
        done = 0
        for block in self.blocks():
            codes[done : done + len(block)] = block
            done += len(block)
        return codes

    def blocks(self) -> Iterator[Codes]:
        """Base codes of all sequences in order, some of one window at a time.

        Yields:
            uint8 (some, length); the next block overwrites it.
        """
        for index, columns in StoredSequences.of(self.sequences).runs():
            yield from self.windows[index].blocks(columns)

    def part(self, first: int, last: int) -> "SequenceSet":
        """The sequences [first, last) with all windows."""
        stored = StoredSequences.of(self.sequences)
        columns = stored.columns.part(first, last)
        return SequenceSet(
            self.windows, StoredSequences(stored.windows[first:last], columns), self.metadata
        )

    def window_bounds(self, size: int) -> list[int]:
        """Rows that cut the set into runs of whole windows with at least `size` sequences each.

        The last run may have fewer; the first bound is 0 and the last one the number of
        sequences.
        """
        windows = self.window_indices()
        bounds = [0]
        for row in (*(np.flatnonzero(np.diff(windows)) + 1).tolist(), len(windows)):
            if row - bounds[-1] >= max(1, size):
                bounds.append(row)
        if bounds[-1] < len(windows) or len(bounds) == 1:
            bounds.append(len(windows))
        return bounds

    def places(self, first: int, last: int) -> int:
        """How many places of an assembly the sequences [first, last) lie at."""
        windows = np.unique(self.window_indices()[first:last])
        return len({place_of(self.windows[index]) for index in windows})

    def some(self, rows: Iterable[int]) -> "SequenceSet":
        """The sequences of some rows with all windows."""
        return SequenceSet(self.windows, [self.sequences[row] for row in rows], self.metadata)

    def rows_by_location(self) -> list[list[tuple[int, int]]]:
        """Runs [first, last) of rows of windows that lie at one place, for every place."""
        places: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
        row = 0
        for index, columns in StoredSequences.of(self.sequences).runs():
            run = row, row + len(columns)
            places.setdefault(place_of(self.windows[index]), []).append(run)
            row += len(columns)
        return list(places.values())

    def by_location(self) -> Iterator[list[tuple[int, Iterator[Codes]]]]:
        """Sequences of windows that lie at one place of an assembly, together.

        Yields:
            Per place, in the order of first appearance, the first row and the blocks of codes
            of every run of sequences.
        """
        places: dict[tuple[Any, ...], list[tuple[int, Iterator[Codes]]]] = {}
        row = 0
        for index, columns in StoredSequences.of(self.sequences).runs():
            stored = self.windows[index]
            places.setdefault(place_of(stored), []).append((row, stored.blocks(columns)))
            row += len(columns)
        yield from places.values()


def store_window(
    genome: Genome,
    window: Window,
    name: str,
    flank: tuple[int, int] = (0, 0),
    pad: bool = False,
) -> StoredWindow:
    """Fetch a window and `flank` bases to its left and right.

    Flank stops at the ends of the contig; the window itself must lie inside it unless `pad`
    puts N past the ends.

    Raises:
        InputError: the window reaches over an end of its contig and `pad` is false.
    """
    left = flank[0] if pad else min(flank[0], max(window.start, 0))
    right = flank[1] if pad else min(flank[1], max(genome.contigs[window.contig] - window.end, 0))
    start = window.start - left
    codes = genome.fetch(window.contig, start, window.end + right, pad=pad)
    return StoredWindow(
        name,
        genome.assembly,
        window.contig,
        window.anchor,
        window.anchor_index,
        window.length,
        window.strand,
        start,
        codes,
    )


def sequence_hash(codes: Codes) -> bytes:
    """The identity of a sequence: XXH3 of its base codes, 16 bytes.

    Two of n different sequences have one hash with a chance of about n**2 / 2**129.
    """
    import xxhash

    return xxhash.xxh3_128_digest(np.ascontiguousarray(codes).data)


def hash_of_run() -> Callable[[Codes], bytes]:
    """What tells the sequences of one run apart: `sequence_hash`, or BLAKE2b without xxhash."""
    try:
        import xxhash  # noqa: F401
    except ImportError:
        return lambda codes: hashlib.blake2b(codes.tobytes(), digest_size=16).digest()
    return sequence_hash


def place_of(stored: StoredWindow) -> tuple[Any, ...]:
    """The place of an assembly that a window lies at."""
    window = stored.window
    return window.assembly, window.contig, window.start, window.length, window.strand


Edited = Sequences[tuple[str, tuple[Edit, ...]]]


def write_sequence_set(
    path: str | Path,
    content: Iterable[tuple[StoredWindow, Edited | EditColumns]],
    metadata: dict[str, str],
) -> int:
    """Write a sequence set, one window after the other.

    Args:
        path: target; replaced when all is written.
        content: windows, each with the (sequence id, sorted disjoint edits) made from it, or
            with these as columns.
        metadata: text stored with the table.

    Returns:
        The number of sequences.

    Raises:
        InputError: a sequence id occurs twice, or no sequence is left.
    """
    arrow = SCHEMA.arrow(metadata=metadata)
    count = 0
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, arrow, compression="zstd") as w:
        for group in _row_groups(content, arrow, Path(path)):
            w.write_table(group, row_group_size=group.num_rows)
            count += group.num_rows - group["sequence_id"].null_count
        if not count:
            raise InputError(
                f"{path}: no sequence is left; look at the selection in the config and at the "
                "skipped records beside it"
            )
    return count


def _row_groups(
    content: Iterable[tuple[StoredWindow, Edited | EditColumns]], arrow: pa.Schema, path: Path
) -> Iterator[pa.Table]:
    seen: set[str] = set()
    group: list[tuple[int, StoredWindow, EditColumns]] = []
    size = 0
    for index, (window, sequences) in enumerate(content):
        if isinstance(sequences, EditColumns):
            # ids of windows with different names differ, so the names are enough
            columns, new = sequences, [f"{window.name}."]
        else:
            columns, new = edit_columns(sequences), [key for key, _ in sequences]
        for key in new:
            if key in seen:
                raise InputError(
                    f"{path}: sequence id {key!r} occurs twice (second time in window "
                    f"{window.name!r}); ids must be unique within a set: remove the duplicate "
                    "row from the input table"
                )
            seen.add(key)
        group.append((index, window, columns))
        size += len(window.bases) + 100 * len(columns) + 20 * len(columns.starts)
        if size >= ROW_GROUP_BYTES:
            yield _group_table(group, arrow)
            group, size = [], 0
    if group:
        yield _group_table(group, arrow)


def _group_table(
    group: Sequences[tuple[int, StoredWindow, EditColumns]], arrow: pa.Schema
) -> pa.Table:
    """Windows, each followed by its sequences, as rows."""
    sizes = np.array([len(columns) for _, _, columns in group])
    first = np.cumsum(sizes + 1) - sizes - 1
    is_window = np.zeros(len(group) + sizes.sum(), dtype=bool)
    is_window[first] = True
    of_window = {
        "window_name": [window.name for _, window, _ in group],
        "assembly": [window.assembly for _, window, _ in group],
        "contig": [window.contig for _, window, _ in group],
        "anchor": [window.anchor for _, window, _ in group],
        "anchor_index": [window.anchor_index for _, window, _ in group],
        "length": [window.length for _, window, _ in group],
        "strand": [window.strand for _, window, _ in group],
        "flank_start": [window.flank_start for _, window, _ in group],
        "bases": [window.bases.tobytes() for _, window, _ in group],
    }
    of_sequence = {
        "sequence_id": [key for _, _, columns in group for key in columns.ids],
        "sequence_hash": [h for _, window, columns in group for h in _hashes(window, columns)],
        "edits": _edit_lists([columns for _, _, columns in group]),
    }
    indices = np.array([index for index, _, _ in group], dtype=np.int32)
    kinds = pa.DictionaryArray.from_arrays(pa.array((~is_window).astype(np.int32)), _KINDS)
    filled = {"kind": kinds, "window": pa.array(np.repeat(indices, sizes + 1))}
    for values, mine in ((of_window, is_window), (of_sequence, ~is_window)):
        place = pa.array(np.cumsum(mine) - 1, mask=~mine)
        for name, column in values.items():
            filled[name] = pa.array(column, type=arrow.field(name).type).take(place)
    return pa.Table.from_arrays([filled[name] for name in arrow.names], schema=arrow)


def _hashes(window: StoredWindow, columns: EditColumns) -> Iterable[bytes]:
    if columns.hashes:
        return columns.hashes
    return (sequence_hash(codes) for block in window.blocks(columns) for codes in block)


def _edit_lists(several: Sequences[EditColumns]) -> pa.ListArray:
    replacements = [
        pa.array(columns.replacements, type=pa.string()).take(pa.array(columns.words))
        for columns in several
        if len(columns.words)
    ]
    edits = pa.StructArray.from_arrays(
        [
            pa.array(np.concatenate([columns.starts for columns in several])),
            pa.array(np.concatenate([columns.ends for columns in several])),
            pa.concat_arrays(replacements) if replacements else pa.array([], type=pa.string()),
        ],
        fields=list(_EDIT),
    )
    sizes = np.concatenate([np.diff(columns.offsets) for columns in several])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), edits, type=pa.list_(_EDIT))


def read_sequence_set(path: str | Path) -> SequenceSet:
    """Read a whole sequence set."""
    return read_shard(path, "1-of-1")


def read_shard(path: str | Path, scatteritem: str) -> SequenceSet:
    """Read the windows of one shard with their sequences.

    Shards are runs of whole windows with about equally many sequences each; together they
    are the set, and none shares a window with another.

    Args:
        path: a sequence set.
        scatteritem: `i-of-n`, with i from 1 to n.
    """
    shard, shards = (int(number) for number in scatteritem.split("-of-"))
    file = pq.ParquetFile(path)
    check_schema(path, file.schema_arrow, SCHEMA)
    groups, mine = [], np.zeros(0, dtype=bool)
    offset = 0
    total = _count_sequences(file)
    for group in range(file.num_row_groups):
        kinds = file.read_row_group(group, columns=["kind"])["kind"]
        is_window = np.array([kind == WINDOW for kind in kinds.to_pylist()])
        owner, offset = _shard_of_rows(is_window, offset, total, shards)
        if np.any(owner == shard - 1):
            groups.append(group)
            mine = np.concatenate([mine, owner == shard - 1])
    table = (
        file.read_row_groups(groups).filter(pa.array(mine))
        if groups
        else SCHEMA.arrow().empty_table()
    )
    return _from_table(table, metadata_of(file.schema_arrow))


def read_by_group(path: str | Path) -> Iterator[SequenceSet]:
    """The whole set in parts of whole windows, each small enough for memory."""
    file = pq.ParquetFile(path)
    check_schema(path, file.schema_arrow, SCHEMA)
    for group in range(file.num_row_groups):
        yield _from_table(file.read_row_group(group), metadata_of(file.schema_arrow))


def read_ids(path: str | Path) -> list[str]:
    """The sequence ids of a set, in order, without its bases."""
    check_schema(path, pq.read_schema(path), SCHEMA)
    return pq.read_table(path, columns=["sequence_id"])["sequence_id"].drop_null().to_pylist()


def _count_sequences(file: pq.ParquetFile) -> int:
    """Rows with a sequence id, from the file's statistics alone."""
    column = SCHEMA.arrow().get_field_index("sequence_id")
    return sum(
        group.num_rows - group.column(column).statistics.null_count
        for group in (file.metadata.row_group(i) for i in range(file.num_row_groups))
    )


def _shard_of_rows(
    is_window: np.ndarray[Any, np.dtype[np.bool_]], offset: int, total: int, shards: int
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], int]:
    """The shard (from 0) of every row, by the number of sequences before its window."""
    before = offset + np.cumsum(~is_window)
    first = np.maximum.accumulate(np.where(is_window, before, 0))
    owner = np.minimum(first * shards // max(total, 1), shards - 1)
    return owner, int(before[-1])


def _from_table(table: pa.Table, metadata: dict[str, str]) -> SequenceSet:
    is_window = pc.equal(table["kind"], WINDOW)
    of_window = table.filter(is_window).drop_columns(["sequence_id", "sequence_hash", "edits"])
    windows = [_stored_window(row) for row in of_window.to_pylist()]
    rows = table.filter(pc.invert(is_window)).select(["window", "sequence_id", "edits"])
    first = of_window["window"][0].as_py() if windows else 0
    edits = rows["edits"].combine_chunks()
    starts, ends, words = edits.flatten().flatten()
    encoded = words.dictionary_encode()
    sizes = pc.list_value_length(edits).to_numpy(zero_copy_only=False)
    columns = EditColumns(
        rows["sequence_id"].to_pylist(),
        np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]),
        starts.to_numpy(),
        ends.to_numpy(),
        encoded.indices.to_numpy().astype(np.int64),
        encoded.dictionary.to_pylist(),
    )
    sequences = StoredSequences(rows["window"].to_numpy().astype(np.int64) - first, columns)
    return SequenceSet(windows, sequences, metadata)


def _stored_window(row: dict[str, Any]) -> StoredWindow:
    return StoredWindow(
        row["window_name"],
        row["assembly"],
        row["contig"],
        row["anchor"],
        row["anchor_index"],
        row["length"],
        row["strand"],
        row["flank_start"],
        np.frombuffer(row["bases"], dtype=np.uint8),
    )
