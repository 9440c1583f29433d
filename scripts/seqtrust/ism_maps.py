"""Maps of in-silico mutagenesis: the table of one replicate's effects, one row per sequence."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.files import whole_file
from seqtrust.predictions import OutputSpec, output_from_json
from seqtrust.tables import Column, TableSchema, check_schema, dump, footer_of, metadata_of

BASES = 4
ROW_GROUP_BYTES = 16_000_000

SCHEMA = TableSchema(
    name="ism",
    version=1,
    path="ism/{ism}/{replicate}/{scatteritem}.parquet",
    description=(
        "Effects of all single substitutions, of one replicate for one shard of a sequence set: "
        "one row per sequence. The metadata hold the output (`output`), the substituted positions "
        "(`region`), the part of a sequence that the output can see (`reach`; beyond it effects "
        "are exactly zero), the largest difference between two predictions of the same bytes in "
        "different batches (`noise_floor`) and between effects and those of full passes on the "
        "first sequence (`check_error`), and the layer that asked for full passes, if any "
        "(`full_because`). In the file's footer are the multiplications (`work`)."
    ),
    columns=(
        Column("sequence_id", pa.string(), "sequence of the set"),
        Column("bases", pa.binary(), "codes A,C,G,T,N = 0..4 of the substituted positions"),
        Column(
            "reference",
            pa.list_(pa.float32()),
            "prediction of the sequence: tracks x bins (one bin where the output is reduced)",
        ),
        Column(
            "effects",
            pa.list_(pa.float32()),
            "prediction with base A, C, G or T at a position minus that of the sequence: "
            "positions x 4 x tracks x bins; 0 at the sequence's own base, NaN where that is N",
        ),
        Column("mutants", pa.int32(), "substitutions whose effects were computed"),
        Column("out_of_reach", pa.int32(), "positions that the output cannot see"),
        Column("full_passes", pa.int32(), "passes of the whole network, those of checks included"),
    ),
)


@dataclass(frozen=True)
class MapRow:
    """The map of one sequence.

    Attributes:
        sequence_id: of the sequence.
        bases: codes of the substituted positions, (P,).
        reference: predictions float32 (tracks, bins).
        effects: float32 (P, 4, tracks, bins).
        mutants: substitutions whose effects were computed.
        out_of_reach: positions that the output cannot see.
        full_passes: passes of the whole network.
    """

    sequence_id: str
    bases: Codes
    reference: npt.NDArray[np.float32]
    effects: npt.NDArray[np.float32]
    mutants: int
    out_of_reach: int
    full_passes: int


@dataclass(frozen=True)
class IsmMaps:
    """One replicate's maps.

    Attributes:
        sequence_ids: N ids.
        region: the substituted positions [first, stop), P of them.
        bases: codes of these, (N, P).
        references: predictions float32 (N, tracks, bins).
        effects: float32 (N, P, 4, tracks, bins).
        output: what is predicted.
        noise_floor: largest difference between two predictions of the same bytes in different
            batches.
        metadata: further text: of the first shard where several were read.
    """

    sequence_ids: list[str]
    region: tuple[int, int]
    bases: Codes
    references: npt.NDArray[np.float32]
    effects: npt.NDArray[np.float32]
    output: OutputSpec
    noise_floor: float
    metadata: dict[str, str]


def write_maps(
    path: str | Path,
    rows: Iterable[MapRow],
    output: OutputSpec,
    metadata: Callable[[], Mapping[str, str]],
    totals: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Write one shard of one replicate's maps, some rows at a time.

    Args:
        path: target; replaced when all is written.
        rows: made while they are written.
        output: what is predicted.
        metadata: gives further text, asked for after the first row.
        totals: the same, asked for after the last row; see `footer_of`.
    """
    remaining = iter(rows)
    first = list(islice(remaining, 1))
    arrow = SCHEMA.arrow(metadata={**metadata(), "output": dump(asdict(output))})
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, arrow, compression="zstd") as w:
        group: list[MapRow] = []
        for row in chain(first, remaining):
            group.append(row)
            if len(group) * row.effects.nbytes >= ROW_GROUP_BYTES:
                w.write_table(_table(group, arrow))
                group = []
        if group:
            w.write_table(_table(group, arrow))
        w.add_key_value_metadata(dict(totals()))


def row_bytes(positions: int, output: OutputSpec) -> int:
    """Bytes of the effects of one sequence with so many substituted positions."""
    tracks, bins = output.shape
    return 4 * positions * BASES * tracks * bins


def stored_noise_floor(path: str | Path) -> dict[str, float]:
    """The noise floor by output that a file of maps was written with."""
    return json.loads(metadata_of(pq.read_schema(path))["noise_floor"])


def join_maps(path: str | Path, parts: Sequence[str | Path]) -> dict[str, str]:
    """Join the parts of one shard, in order; the first one has the metadata of all.

    Args:
        path: target; replaced when all is written.
        parts: files of `write_maps`, at least one.

    Returns:
        The metadata, the work added up.
    """
    arrow = pq.read_schema(parts[0])
    work: Counter[str] = Counter()
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, arrow, compression="zstd") as w:
        for part in parts:
            table = pq.read_table(part)
            check_schema(part, table.schema, SCHEMA)
            if table.num_rows:
                w.write_table(table.replace_schema_metadata(arrow.metadata))
            work.update(json.loads(footer_of(part)["work"]))
        totals = {"work": dump(dict(work))}
        w.add_key_value_metadata(totals)
    return metadata_of(arrow) | totals


def read_maps(paths: Iterable[str | Path]) -> IsmMaps:
    """Read the shards of one replicate, in the given order.

    Raises:
        InputError: the shards hold different outputs or regions.
    """
    shards = [_read_shard(path) for path in paths]
    first = shards[0]
    if any((one.output, one.region) != (first.output, first.region) for one in shards):
        raise InputError(
            "the shards of one replicate's maps hold different outputs or regions; remove them "
            "and run the workflow again"
        )
    return IsmMaps(
        [key for one in shards for key in one.sequence_ids],
        first.region,
        np.concatenate([one.bases for one in shards]),
        np.concatenate([one.references for one in shards]),
        np.concatenate([one.effects for one in shards]),
        first.output,
        max(one.noise_floor for one in shards),
        first.metadata,
    )


def _table(rows: list[MapRow], arrow: pa.Schema) -> pa.Table:
    columns: dict[str, Any] = {
        "bases": [row.bases.tobytes() for row in rows],
        "reference": [row.reference.ravel() for row in rows],
        "effects": [row.effects.ravel() for row in rows],
    }
    arrays = [
        pa.array(
            columns.get(field.name) or [getattr(row, field.name) for row in rows], type=field.type
        )
        for field in arrow
    ]
    return pa.Table.from_arrays(arrays, schema=arrow)


def _read_shard(path: str | Path) -> IsmMaps:
    table = pq.read_table(path)
    check_schema(path, table.schema, SCHEMA)
    metadata = metadata_of(table.schema)
    output = output_from_json(json.loads(metadata["output"]))
    first, stop = json.loads(metadata["region"])
    count, positions = len(table), stop - first
    bases = np.frombuffer(b"".join(table["bases"].to_pylist()), dtype=np.uint8)
    floor = json.loads(metadata["noise_floor"])
    return IsmMaps(
        table["sequence_id"].to_pylist(),
        (first, stop),
        bases.reshape(count, positions),
        _values(table["reference"]).reshape(count, *output.shape),
        _values(table["effects"]).reshape(count, positions, BASES, *output.shape),
        output,
        float(floor.get(output.name, 0.0)),
        metadata,
    )


def _values(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    return column.combine_chunks().flatten().to_numpy()
