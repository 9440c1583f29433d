"""Tables of attribution maps: one replicate, one method, a row per sequence and track."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqtrust.attribution.attribution_maps import Flags, Floats, usable
from seqtrust.bases import UNKNOWN, Codes
from seqtrust.errors import InputError
from seqtrust.files import whole_file
from seqtrust.tables import Column, TableSchema, check_schema, dump, metadata_of

BASES = 4
# the method whose maps are of the base that is there, and zero for the others
MASKED = "input_gradient"

SCHEMA = TableSchema(
    name="attributions",
    version=1,
    path="attributions/{attribution}/{method}/{replicate}/{scatteritem}.parquet",
    description=(
        "Attribution maps of one replicate and one method for one shard of a sequence set: one "
        "row per sequence and track. Maps are as the method gives them; `read_attributions` "
        "subtracts the mean over bases. The metadata hold the method (`method`) and its settings "
        "(`settings`), the output (`output`), what is attributed (`scale`: `logit` of a "
        "probability, else `output`; `explained` says how), the kept positions (`region`) and "
        "the tolerance of convergence (`tolerance`, null without a gate)."
    ),
    columns=(
        Column("sequence_id", pa.string(), "sequence of the set"),
        Column("track", pa.string(), "label of the track"),
        Column("bases", pa.binary(), "codes A,C,G,T,N = 0..4 of the kept positions"),
        Column(
            "prediction",
            pa.float64(),
            "what is attributed: the reduced output, or its logit where the model gives "
            "probabilities",
        ),
        Column(
            "map",
            pa.list_(pa.float32()),
            "attribution of A, C, G, T at a position, whatever base is there (input_gradient: of "
            "the base that is there, else 0): positions x 4; 0 where the base is N",
        ),
        Column(
            "error",
            pa.float64(),
            "difference between the sum of contributions and that of predictions, relative to "
            "the latter; empty where the method has none",
            nullable=True,
        ),
        Column(
            "mc_se",
            pa.float64(),
            "Monte Carlo standard error of the map relative to its norm; empty where nothing is "
            "drawn",
            nullable=True,
        ),
        Column(
            "steps", pa.int32(), "points on a line of integrated gradients; else empty", "", True
        ),
        Column(
            "converged",
            pa.bool_(),
            "whether the error is within the tolerance; empty where the method has none",
            nullable=True,
        ),
    ),
)


@dataclass(frozen=True)
class MapRows:
    """The maps of some sequences and all tracks of an output, as they are stored.

    Attributes:
        sequence_ids: N ids.
        tracks: labels of T tracks.
        bases: codes of the kept positions, (N, P).
        predictions: what is attributed, (N, T).
        maps: (N, T, P, 4).
        errors: convergence errors (N, T), or None.
        mc_se: relative Monte Carlo standard errors (N, T), or None.
        steps: points on a line (N, T), or None.
        tolerance: largest error of a converged map, or None without a gate.
    """

    sequence_ids: list[str]
    tracks: tuple[str, ...]
    bases: Codes
    predictions: Floats
    maps: npt.NDArray[np.float32]
    errors: Floats | None = None
    mc_se: Floats | None = None
    steps: npt.NDArray[np.int32] | None = None
    tolerance: float | None = None

    @property
    def converged(self) -> Flags | None:
        """Which maps are within the tolerance, (N, T); a NaN error is not."""
        if self.tolerance is None or self.errors is None:
            return None
        return self.errors <= self.tolerance


@dataclass(frozen=True)
class AttributionMaps:
    """One replicate's maps of one track.

    Attributes:
        sequence_ids: N ids.
        track: its label.
        bases: codes of the kept positions, (N, P).
        predictions: what is attributed, (N,).
        maps: (N, P, 4), the mean over bases subtracted unless asked otherwise.
        converged: (N,), True where the method has no gate.
        usable: finite, not zero after centring, and converged, (N,).
    """

    sequence_ids: list[str]
    track: str
    bases: Codes
    predictions: Floats
    maps: Floats
    converged: Flags
    usable: Flags


def write_attributions(
    path: str | Path, rows: MapRows | Iterable[MapRows], metadata: Mapping[str, Any]
) -> None:
    """Write one shard of one replicate's maps.

    Args:
        path: target; it appears when all rows are written.
        rows: the maps, in one or several blocks of sequences.
        metadata: written as JSON.
    """
    blocks = iter([rows] if isinstance(rows, MapRows) else rows)
    first = next(blocks, None)
    text = {name: dump(value) for name, value in metadata.items()}
    text["tolerance"] = dump(None if first is None else first.tolerance)
    arrow = SCHEMA.arrow(metadata=text)
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, arrow, compression="zstd") as w:
        for block in chain([] if first is None else [first], blocks):
            w.write_table(_table(block, arrow))


def _table(rows: MapRows, arrow: pa.Schema) -> pa.Table:
    count, tracks = rows.predictions.shape
    optional = {
        "error": rows.errors,
        "mc_se": rows.mc_se,
        "steps": rows.steps,
        "converged": rows.converged,
    }
    columns: dict[str, Any] = {
        "sequence_id": [name for name in rows.sequence_ids for _ in range(tracks)],
        "track": list(rows.tracks) * count,
        "bases": [codes.tobytes() for codes in rows.bases for _ in range(tracks)],
        "prediction": rows.predictions.ravel(),
        "map": list(rows.maps.reshape(count * tracks, rows.bases.shape[1] * BASES)),
    } | {
        name: [None] * (count * tracks) if values is None else values.ravel()
        for name, values in optional.items()
    }
    arrays = [pa.array(columns[field.name], type=field.type) for field in arrow]
    return pa.Table.from_arrays(arrays, schema=arrow)


def corrected_maps(maps: npt.ArrayLike, bases: Codes) -> Floats:
    """Maps with their mean over the four bases subtracted.

    A change of all four by the same amount is no change of sequence, so a gradient in that
    direction says nothing. Positions of N stay zero.

    Args:
        maps: (N, P, 4).
        bases: codes (N, P).
    """
    centred = np.asarray(maps, dtype=np.float64)
    centred = centred - centred.mean(axis=2, keepdims=True)
    centred[bases == UNKNOWN] = 0.0
    return centred


def scorable(maps: Floats, bases: Codes) -> Flags:
    """Which maps (N, P, 4) are finite and not zero after centring."""
    with np.errstate(invalid="ignore"):
        total = np.linalg.norm(corrected_maps(maps, bases), axis=2).sum(axis=1)
        offset = np.linalg.norm(maps.mean(axis=2), axis=1)
    return usable(total, offset)


def read_attributions(
    paths: Iterable[str | Path], track: str | None = None, corrected: bool = True
) -> AttributionMaps:
    """Read one track of the maps of one replicate and method.

    Args:
        paths: the shards, in order.
        track: its label; may be left out where there is one.
        corrected: subtract the mean over bases, but for maps of `input_gradient`, of which it
            was subtracted before they were masked; False gives the maps as they are stored.

    Raises:
        InputError: no such track, or shards of different methods, outputs or regions.
    """
    tables = [_read_shard(path) for path in paths]
    _check_alike(tables)
    table = pa.concat_tables(tables)
    name = _chosen_track(table, track)
    table = table.filter(pc.equal(table["track"], name))
    first, stop = json.loads(metadata_of(table.schema)["region"])
    shape = (len(table), stop - first)
    bases = np.frombuffer(b"".join(table["bases"].to_pylist()), dtype=np.uint8).reshape(shape)
    maps = table["map"].combine_chunks().flatten().to_numpy().reshape(*shape, BASES)
    stored = maps.astype(np.float64)
    converged = table["converged"].combine_chunks().fill_null(True).to_numpy(zero_copy_only=False)
    return AttributionMaps(
        table["sequence_id"].to_pylist(),
        name,
        bases,
        table["prediction"].to_numpy(),
        corrected_maps(stored, bases) if corrected and not _is_masked(table) else stored,
        converged,
        scorable(stored, bases) & converged,
    )


def read_quality(paths: Iterable[str | Path]) -> pa.Table:
    """How good the maps of one replicate and method are, without the maps.

    Returns:
        A row per map with `track`, `error`, `mc_se`, `steps`, `converged` as stored, and the
        flags `finite` and `zero` (after centring) of the map.
    """
    parts = []
    for path in paths:
        table = _read_shard(path)
        first, stop = json.loads(metadata_of(table.schema)["region"])
        shape = (len(table), stop - first)
        bases = np.frombuffer(b"".join(table["bases"].to_pylist()), dtype=np.uint8).reshape(shape)
        maps = table["map"].combine_chunks().flatten().to_numpy().reshape(*shape, BASES)
        finite = np.isfinite(maps).all(axis=(1, 2))
        zero = finite & ~scorable(maps.astype(np.float64), bases)
        part = table.select(["track", "error", "mc_se", "steps", "converged"])
        part = part.append_column("finite", pa.array(finite)).append_column("zero", pa.array(zero))
        parts.append(part.replace_schema_metadata(None))
    return pa.concat_tables(parts)


def mean_maps(replicates: Sequence[AttributionMaps]) -> AttributionMaps:
    """The ensemble's mean map of the same sequences; usable where those of all replicates are.

    Raises:
        InputError: replicates hold other sequences or tracks.
    """
    first = replicates[0]
    if any(
        (one.sequence_ids, one.track) != (first.sequence_ids, first.track) for one in replicates
    ):
        raise InputError(
            "attribution maps of replicates hold different sequences or tracks: read the shards of "
            "the same entry, in the same order"
        )
    return AttributionMaps(
        first.sequence_ids,
        first.track,
        first.bases,
        np.mean([one.predictions for one in replicates], axis=0),
        np.mean([one.maps for one in replicates], axis=0),
        np.all([one.converged for one in replicates], axis=0),
        np.all([one.usable for one in replicates], axis=0),
    )


def _is_masked(table: pa.Table) -> bool:
    return json.loads(metadata_of(table.schema)["method"]) == MASKED


def _read_shard(path: str | Path) -> pa.Table:
    table = pq.read_table(path)
    check_schema(path, table.schema, SCHEMA)
    return table


def _check_alike(tables: Sequence[pa.Table]) -> None:
    stamps = [metadata_of(table.schema) for table in tables]
    for key in ("method", "settings", "output", "region"):
        if len({stamp[key] for stamp in stamps}) > 1:
            raise InputError(
                f"the shards of one replicate's attribution maps differ in {key}: remove them and "
                "run the workflow again"
            )


def _chosen_track(table: pa.Table, track: str | None) -> str:
    found = list(dict.fromkeys(table["track"].to_pylist()))
    if track is None and len(found) == 1:
        return str(found[0])
    if track is None:
        raise InputError(
            f"the attribution maps are of {len(found)} tracks, {', '.join(map(repr, found))}: name "
            "the one that is meant (of a population: under its output, tracks)"
        )
    if track not in found:
        raise InputError(
            f"there is no track {track!r} among the attribution maps: name one of "
            f"{', '.join(map(repr, found))}"
        )
    return str(track)
