"""Predictions: what is predicted, and the tables of one replicate's predictions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from seqtrust.errors import InputError
from seqtrust.files import whole_file
from seqtrust.tables import Column, TableSchema, check_schema, dump, metadata_of, write_table

SCHEMA = TableSchema(
    name="predictions",
    version=1,
    path="predictions/{ensemble}/{set}/{replicate}/{scatteritem}.parquet",
    description=(
        "Predictions of one replicate for one shard of a sequence set. Beside `sequence_id` "
        "there is one column per output of the ensemble's `outputs:`, a list of float32 in the "
        "order track, then bin (one bin where the output is reduced). The metadata hold the "
        "outputs (`outputs`), and per output the largest difference between two predictions of "
        "the same bytes in different batches (`noise_floor`), in units of the prediction."
    ),
    columns=(Column("sequence_id", pa.string(), "sequence of the set"),),
)


_COUNTS = ("n_sequences", "n_distinct", "clipped")
_COUNTED = ("shared", "work")


@dataclass(frozen=True)
class OutputSpec:
    """What is kept of a model's output.

    Attributes:
        name: name of the output in the config.
        tracks: indices of the kept tracks.
        bins: indices of the kept bins, in the orientation of the sequence.
        reduction: `none`, or `sum` or `mean` over the kept bins.
        track_names: names of the kept tracks.
    """

    name: str
    tracks: tuple[int, ...]
    bins: tuple[int, ...]
    reduction: str
    track_names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(tracks, bins) of one sequence's values; one bin where reduced."""
        return len(self.tracks), len(self.bins) if self.reduction == "none" else 1


@dataclass(frozen=True)
class Predictions:
    """One replicate's predictions.

    Attributes:
        sequence_ids: N ids.
        values: per output float32 of shape (N, tracks, bins), one bin where reduced.
        outputs: what each entry of `values` holds.
        noise_floor: per output, the largest difference between two predictions of the same
            bytes in different batches.
        metadata: further text: how the predictions were made, and by which model; of the
            first shard where several were read.
    """

    sequence_ids: list[str]
    values: dict[str, npt.NDArray[np.float32]]
    outputs: list[OutputSpec]
    noise_floor: dict[str, float]
    metadata: dict[str, str] = field(default_factory=dict)

    def output(self, name: str) -> OutputSpec:
        """The specification of one output.

        Raises:
            InputError: there is no output of this name.
        """
        for output in self.outputs:
            if output.name == name:
                return output
        names = ", ".join(output.name for output in self.outputs)
        raise InputError(f"there is no output {name!r} among the predictions; there are: {names}")


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write one shard of one replicate's predictions."""
    columns = {"sequence_id": predictions.sequence_ids} | {
        name: [row.ravel() for row in values] for name, values in predictions.values.items()
    }
    extra = [
        Column(output.name, pa.list_(pa.float32()), f"tracks x bins: {output.shape}")
        for output in predictions.outputs
    ]
    metadata = predictions.metadata | {
        "outputs": dump([asdict(output) for output in predictions.outputs]),
        "noise_floor": dump(predictions.noise_floor),
    }
    write_table(path, SCHEMA, columns, metadata, extra)


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Parts of one replicate's predictions of a set as one, in their order.

    Counts in the metadata are added up; the rest is that of the first part.
    """
    first = parts[0]
    names = [output.name for output in first.outputs]
    return Predictions(
        [sequence_id for part in parts for sequence_id in part.sequence_ids],
        {name: np.concatenate([part.values[name] for part in parts]) for name in names},
        first.outputs,
        {name: max(part.noise_floor[name] for part in parts) for name in names},
        _added_up([part.metadata for part in parts]),
    )


def join_parts(path: str | Path, parts: Sequence[str | Path]) -> dict[str, str]:
    """Join files of parts to one, a row group each, without holding more than one of them.

    Returns:
        The metadata: counts are added up, the noise floor is the largest, the rest that of the
        first part.
    """
    schemas = [pq.read_schema(part) for part in parts]
    found = [metadata_of(schema) for schema in schemas]
    floors = [json.loads(metadata["noise_floor"]) for metadata in found]
    metadata = _added_up(found) | {
        "noise_floor": dump({name: max(floor[name] for floor in floors) for name in floors[0]})
    }
    schema = schemas[0].with_metadata(metadata)
    with (
        whole_file(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for part in parts:
            table = pq.read_table(part).replace_schema_metadata(metadata)
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    return metadata


def _added_up(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    total = dict(found[0])
    for name in _COUNTS:
        if name in total:
            total[name] = dump(sum(json.loads(metadata[name]) for metadata in found))
    for name in _COUNTED:
        if name in total:
            parts = [json.loads(metadata[name]) for metadata in found]
            total[name] = dump({key: sum(one[key] for one in parts) for key in parts[0]})
    return total


def read_predictions(paths: Iterable[str | Path]) -> Predictions:
    """Read the shards of one replicate, in the given order.

    Args:
        paths: one file per shard.

    Raises:
        InputError: the shards hold different outputs, or a sequence id occurs twice.
    """
    shards = [_read_shard(path) for path in paths]
    outputs = shards[0].outputs
    if any(shard.outputs != outputs for shard in shards):
        raise InputError("the shards of one replicate hold different outputs; predict them again")
    ids = [sequence_id for shard in shards for sequence_id in shard.sequence_ids]
    if len(set(ids)) < len(ids):
        raise InputError("a sequence id occurs in two shards of one replicate; predict them again")
    names = [output.name for output in outputs]
    return Predictions(
        ids,
        {name: np.concatenate([shard.values[name] for shard in shards]) for name in names},
        outputs,
        {name: max(shard.noise_floor[name] for shard in shards) for name in names},
        shards[0].metadata,
    )


def read_replicates(
    paths: Sequence[str | Path], replicates: Sequence[str]
) -> dict[str, Predictions]:
    """Read the predictions of all replicates of an ensemble.

    Args:
        paths: the shards, all of the first replicate first, then those of the second, ...
        replicates: names of the replicates.
    """
    shards = len(paths) // len(replicates)
    return {
        name: read_predictions(paths[index * shards : (index + 1) * shards])
        for index, name in enumerate(replicates)
    }


def _read_shard(path: str | Path) -> Predictions:
    table = pq.read_table(path)
    check_schema(path, table.schema, SCHEMA)
    metadata = metadata_of(table.schema)
    outputs = [output_from_json(row) for row in json.loads(metadata["outputs"])]
    ids = table["sequence_id"].to_pylist()
    values = {
        output.name: table[output.name]
        .combine_chunks()
        .flatten()
        .to_numpy()
        .reshape(len(ids), *output.shape)
        for output in outputs
    }
    return Predictions(ids, values, outputs, json.loads(metadata["noise_floor"]), metadata)


def output_from_json(row: dict[str, Sequence[int]]) -> OutputSpec:
    """The inverse of `dataclasses.asdict` and JSON."""
    return OutputSpec(
        str(row["name"]),
        tuple(row["tracks"]),
        tuple(row["bins"]),
        str(row["reduction"]),
        tuple(str(name) for name in row["track_names"]),
    )
