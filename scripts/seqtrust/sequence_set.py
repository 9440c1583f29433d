"""Sequence sets: windows with their bases, and the sequences made from them by edits.

One Parquet file holds two kinds of rows. A window row carries the base codes of a window
and its flank; the sequence rows that follow it carry edits. The file is complete by itself:
inference never opens a FASTA. Row groups hold whole windows, so that a shard is read
without the rest.
"""

import hashlib
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Sequences
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqtrust.bases import Codes, encode
from seqtrust.edits import Edit, edited_sequence
from seqtrust.errors import InputError
from seqtrust.files import whole_file
from seqtrust.genome import Genome, Window
from seqtrust.tables import Column, TableSchema, check_schema, metadata_of

ROW_GROUP_BYTES = 16_000_000
WINDOW, SEQUENCE = "window", "sequence"
_FEW_EDITS = 4

_EDIT = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("replacement", pa.string())])
_WORD = pa.dictionary(pa.int32(), pa.string())

SCHEMA = TableSchema(
    name="sequence_set",
    version=1,
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
            "BLAKE2b of the sequence's base codes: equal sequences have equal hashes; absent "
            "where the source has compared the bases of a window's sequences itself",
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
        codes, rest = self.bases, edits
        if len(edits) > _FEW_EDITS:
            codes, rest = self._substituted(edits)
        return edited_sequence(codes, self.flank_start, self.window, rest)

    def _substituted(self, edits: Sequences[Edit]) -> tuple[Codes, list[Edit]]:
        """The stored bases with the edits that keep the length, and the other edits."""
        places: list[int] = []
        words: list[str] = []
        rest: list[Edit] = []
        end = self.flank_start + len(self.bases)
        for edit in edits:
            width = edit.end - edit.start
            if len(edit.replacement) != width or edit.start < self.flank_start or edit.end > end:
                rest.append(edit)
                continue
            places += range(edit.start, edit.end)
            words.append(edit.replacement)
        codes = self.bases.copy()
        codes[np.array(places, dtype=np.int64) - self.flank_start] = encode("".join(words))
        return codes, rest


@dataclass(frozen=True)
class Sequence:
    """A window's bases with edits; `window` is an index into the set's windows."""

    sequence_id: str
    window: int
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class SequenceSet:
    """Windows, sequences and the metadata of the set that they came from."""

    windows: list[StoredWindow]
    sequences: list[Sequence]
    metadata: dict[str, str] = field(default_factory=dict)

    def ids(self) -> list[str]:
        """The sequence ids, in order."""
        return [sequence.sequence_id for sequence in self.sequences]

    def codes(self) -> Codes:
        """Base codes of all sequences, shape (N, L).

        Without a sequence, as in a shard that got no window, L comes from the metadata.

        Raises:
            InputError: the sequences differ in length.
        """
        lengths = {self.windows[sequence.window].length for sequence in self.sequences}
        if len(lengths) > 1:
            raise InputError(f"sequences of one set need one length; found {sorted(lengths)} bp")
        rows = [self.windows[s.window].sequence(s.edits) for s in self.sequences]
        length = int(self.metadata.get("length", 0))
        return np.stack(rows) if rows else np.empty((0, length), dtype=np.uint8)


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
    """The identity of a sequence: BLAKE2b of its base codes, 16 bytes."""
    return hashlib.blake2b(codes.tobytes(), digest_size=16).digest()


@dataclass(frozen=True)
class EditColumns:
    """The sequences of one window, N of them, with their edits, E in all, as columns.

    Attributes:
        ids: sequence ids: the name of the window, a dot and a label without dots.
        hashes: `sequence_hash` of the bases of every sequence, or None if they are known to
            differ.
        offsets: first edit of every sequence and the end of the last one, shape (N + 1,).
        starts: first base replaced, 0-based, sorted within a sequence, shape (E,).
        ends: end of what is replaced, half-open, shape (E,).
        words: numbers of the replacements, shape (E,).
        replacements: the distinct replacements.
    """

    ids: Sequences[str]
    hashes: Sequences[bytes] | None
    offsets: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    replacements: Sequences[str]

    def __len__(self) -> int:
        return len(self.ids)

    def edits(self, number: int) -> tuple[Edit, ...]:
        """The edits of one sequence."""
        span = range(self.offsets[number], self.offsets[number + 1])
        return tuple(
            Edit(int(self.starts[i]), int(self.ends[i]), self.replacements[self.words[i]])
            for i in span
        )


Edited = Sequences[tuple[str, tuple[Edit, ...]]]


def edit_columns(window: StoredWindow, sequences: Edited) -> EditColumns:
    """Sequences of a window, given one by one, as columns."""
    edits = [edit for _, several in sequences for edit in several]
    sizes = [len(several) for _, several in sequences]
    return EditColumns(
        [sequence_id for sequence_id, _ in sequences],
        [sequence_hash(window.sequence(several)) for _, several in sequences],
        np.cumsum([0, *sizes]),
        np.array([edit.start for edit in edits], dtype=np.int64),
        np.array([edit.end for edit in edits], dtype=np.int64),
        np.arange(len(edits)),
        [edit.replacement for edit in edits],
    )


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
    tables: list[pa.Table] = []
    size = 0
    for index, (window, sequences) in enumerate(content):
        if isinstance(sequences, EditColumns):
            # ids of windows with different names differ, so the names are enough
            columns, new = sequences, [f"{window.name}."]
        else:
            columns, new = edit_columns(window, sequences), [key for key, _ in sequences]
        for key in new:
            if key in seen:
                raise InputError(
                    f"{path}: sequence id {key!r} occurs twice (second time in window "
                    f"{window.name!r}); ids must be unique within a set: remove the duplicate "
                    "row from the input table"
                )
            seen.add(key)
        tables += [_window_table(index, window, arrow), _sequence_table(index, columns, arrow)]
        size += len(window.bases) + 100 * len(columns) + 20 * len(columns.starts)
        if size >= ROW_GROUP_BYTES:
            yield pa.concat_tables(tables).unify_dictionaries()
            tables, size = [], 0
    if tables:
        yield pa.concat_tables(tables).unify_dictionaries()


def _window_table(index: int, window: StoredWindow, arrow: pa.Schema) -> pa.Table:
    row = {
        "kind": WINDOW,
        "window": index,
        "window_name": window.name,
        "assembly": window.assembly,
        "contig": window.contig,
        "anchor": window.anchor,
        "anchor_index": window.anchor_index,
        "length": window.length,
        "strand": window.strand,
        "flank_start": window.flank_start,
        "bases": window.bases.tobytes(),
    }
    return pa.Table.from_pylist([row], schema=arrow)


def _sequence_table(index: int, columns: EditColumns, arrow: pa.Schema) -> pa.Table:
    count = len(columns)
    replacement = pa.array(columns.replacements, type=pa.string()).take(pa.array(columns.words))
    edits = pa.StructArray.from_arrays(
        [pa.array(columns.starts), pa.array(columns.ends), replacement], fields=list(_EDIT)
    )
    offsets = pa.array(columns.offsets, type=pa.int32())
    filled = {
        "kind": pa.array([SEQUENCE] * count, type=_WORD),
        "window": pa.array(np.full(count, index, dtype=np.int32)),
        "sequence_id": pa.array(columns.ids, type=pa.string()),
        "sequence_hash": pa.array(columns.hashes, type=pa.binary(16))
        if columns.hashes
        else pa.nulls(count, pa.binary(16)),
        "edits": pa.ListArray.from_arrays(offsets, edits, type=pa.list_(_EDIT)),
    }
    arrays = [
        filled[field.name] if field.name in filled else pa.nulls(count, field.type)
        for field in arrow
    ]
    return pa.Table.from_arrays(arrays, schema=arrow)


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


class _EditPool(dict[tuple[int, int, str], Edit]):
    """One object per distinct edit: the sequences of a window share most of them."""

    def __missing__(self, key: tuple[int, int, str]) -> Edit:
        self[key] = edit = Edit(*key)
        return edit


def _from_table(table: pa.Table, metadata: dict[str, str]) -> SequenceSet:
    is_window = pc.equal(table["kind"], WINDOW)
    of_window = table.filter(is_window).drop_columns(["sequence_id", "sequence_hash", "edits"])
    windows = [_stored_window(row) for row in of_window.to_pylist()]
    rows = table.filter(pc.invert(is_window)).select(["window", "sequence_id", "edits"])
    first = of_window["window"][0].as_py() if windows else 0
    sequences: list[Sequence] = []
    for batch in rows.to_batches():
        pool = _EditPool()
        edits = batch["edits"]
        columns = (edits.flatten().field(i).to_pylist() for i in range(3))
        flat = list(map(pool.__getitem__, zip(*columns, strict=True)))
        lengths = pc.list_value_length(edits).to_numpy(zero_copy_only=False)
        ends = np.cumsum(lengths).tolist()
        for window, sequence_id, start, end in zip(
            batch["window"].to_pylist(),
            batch["sequence_id"].to_pylist(),
            [0, *ends],
            ends,
            strict=False,
        ):
            sequences.append(Sequence(sequence_id, window - first, tuple(flat[start:end])))
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
