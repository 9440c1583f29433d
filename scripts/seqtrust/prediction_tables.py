"""Predictions made elsewhere, of models that cannot run here: a table per replicate."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from seqtrust.errors import InputError, nearest_clause
from seqtrust.files import read_input_table, sha256, whole_file
from seqtrust.genome import SplitRegions
from seqtrust.models.card import SCHEMA_VERSION, Card
from seqtrust.models.facts import Facts
from seqtrust.outputs import output_reach, resolve_outputs
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import SequenceSet

REQUIRED = ("sequence_id", "output", "value")
OPTIONAL = ("set", "track", "bin")
TEXT = ("set", "sequence_id", "output", "track")


def write_table_card(
    path: str | Path, table: str | Path, facts: Facts, regions: SplitRegions | None
) -> None:
    """Write a replicate's file that has a card and no weights.

    Args:
        path: target.
        table: the replicate's predictions; its checksum goes into the record.
        facts: of the model that made them.
        regions: what that model was trained, validated and tested on, if known.

    Raises:
        InputError: the table is missing.
    """
    from safetensors.numpy import save

    table = Path(table)
    if not table.is_file():
        raise InputError(f"there is no table of predictions at {table}")
    record = {
        "origin": "table",
        "source_name": table.name,
        "source_bytes": table.stat().st_size,
        "source_sha256": sha256(table),
    }
    if regions is not None:
        record["regions"] = regions.rows()
    card = Card(SCHEMA_VERSION, "table", {}, facts.to_dict(), record)
    with whole_file(path) as temporary:
        temporary.write_bytes(save({}, {"card": json.dumps(asdict(card), sort_keys=True)}))


def tabled_predictions(
    table: str | Path,
    sequences: SequenceSet,
    known_ids: Sequence[str],
    set_name: str,
    outputs: Mapping[str, Mapping[str, Any]],
    facts: Facts,
    *,
    noise_floor: float,
    inference: Mapping[str, Any],
) -> Predictions:
    """One replicate's predictions of one shard, from a table of them.

    The table is tab-separated (plain or gzipped) or Parquet with the columns `sequence_id`,
    `output` and `value`; `track` (name or index, where an output has several), `bin` (index
    within the sequence's bins, where an output keeps several) and `set` (where the file holds
    several sets). A value of a reduced output is the reduced one.

    Args:
        table: the file.
        sequences: N sequences of the shard.
        known_ids: ids of the whole set.
        set_name: name of the set.
        outputs: the ensemble's `outputs:`.
        facts: of the model that made the predictions.
        noise_floor: largest difference between two predictions of the same bytes, in units of
            the prediction; 0 where they are exact.
        inference: the ensemble's `inference:`, which must say nothing.

    Raises:
        InputError: columns, ids, outputs, tracks or bins that are unknown, missing or double,
            values that are not finite, or settings of inference.
    """
    if inference["reverse_complement"] or list(inference["shifts"]) != [0]:
        raise InputError(
            f"{table}: predictions of a table are taken as they are: leave `inference` of the "
            "ensemble out, and average strands and shifts before the table is written"
        )
    length = _length(sequences)
    specs = resolve_outputs(outputs, facts, length)
    rows = _rows_of_set(_read(table), str(table), set_name, known_ids)
    _refuse_unknown(rows, "output", [spec.name for spec in specs], str(table))
    ids = sequences.ids()
    metadata = {
        "n_sequences": len(ids),
        "length": length,
        "architecture": "table",
        "facts": facts.to_dict(),
        "reach": {spec.name: output_reach(facts, spec) for spec in specs},
        "reverse_complement": False,
        "shifts": [0],
    }
    return Predictions(
        ids,
        {spec.name: _values(rows, spec, ids, str(table)) for spec in specs},
        specs,
        {spec.name: noise_floor for spec in specs},
        {
            key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for key, value in metadata.items()
        },
    )


def _length(sequences: SequenceSet) -> int:
    lengths = {window.length for window in sequences.windows}
    if len(lengths) > 1:
        raise InputError(f"sequences of one set need one length; found {sorted(lengths)} bp")
    return lengths.pop() if lengths else int(sequences.metadata["length"])


def _read(path: str | Path) -> pd.DataFrame:
    """The table with text, numbers and `line`, the place of a row in the file."""
    path = Path(path)
    parquet = path.suffix == ".parquet"
    table = _read_parquet(path) if parquet else read_input_table(path, dict.fromkeys(TEXT, str))
    for name in table.columns:
        if name not in REQUIRED + OPTIONAL:
            raise InputError(
                f"{path}: unknown column {name!r}{nearest_clause(name, REQUIRED + OPTIONAL)}"
            )
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise InputError(f"{path}: there is no column {missing[0]!r}; it has {list(table.columns)}")
    table = table.reindex(columns=[*REQUIRED, *(set(OPTIONAL) & set(table.columns))])
    table["line"] = np.arange(len(table)) + (1 if parquet else 2)
    table["value"] = pd.to_numeric(table["value"], errors="coerce")
    bad = ~np.isfinite(table["value"].to_numpy(dtype=np.float64))
    if bad.any():
        raise InputError(
            f"{path}, line {table['line'][bad].iloc[0]}: the value of sequence "
            f"{table['sequence_id'][bad].iloc[0]!r} is not a finite number ({bad.sum()} such rows)"
        )
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
        for name in set(TEXT) & set(table.column_names):
            index = table.column_names.index(name)
            table = table.set_column(index, name, table[name].cast(pa.string()))
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as a Parquet table: {error}") from error
    return table.to_pandas()


def _rows_of_set(
    table: pd.DataFrame, path: str, set_name: str, known_ids: Sequence[str]
) -> pd.DataFrame:
    rows = table[table["set"] == set_name] if "set" in table.columns else table
    if rows.empty:
        raise InputError(
            f"{path} has no row of set {set_name!r}: predict the sequences of "
            f"<results>/sequences/{set_name}.fa.gz and add them"
        )
    unknown = rows[~rows["sequence_id"].isin(known_ids)]
    if len(unknown):
        several = "; where the file holds several sets, add a column `set`"
        cure = "" if "set" in table.columns else several
        raise InputError(
            f"{path}, line {unknown['line'].iloc[0]}: set {set_name!r} has no sequence "
            f"{unknown['sequence_id'].iloc[0]!r} ({unknown['sequence_id'].nunique()} unknown ids)"
            f"{nearest_clause(str(unknown['sequence_id'].iloc[0]), known_ids)}{cure}"
        )
    return rows


def _refuse_unknown(rows: pd.DataFrame, column: str, known: Sequence[str], path: str) -> None:
    unknown = rows[~rows[column].isin(known)]
    if len(unknown):
        found = str(unknown[column].iloc[0])
        raise InputError(
            f"{path}, line {unknown['line'].iloc[0]}: {column} {found!r} is not known"
            f"{nearest_clause(found, known)}"
        )


def _values(
    rows: pd.DataFrame, spec: OutputSpec, ids: Sequence[str], path: str
) -> npt.NDArray[np.float32]:
    """The values of one output, float32 of shape (N, tracks, bins)."""
    place = pd.Index(ids).get_indexer(pd.Index(rows["sequence_id"]))
    mine = (place >= 0) & (rows["output"] == spec.name).to_numpy()
    rows, place = rows[mine], place[mine]
    tracks, bins = spec.shape
    flat = (place * tracks + _tracks(rows, spec, path)) * bins + _bins(rows, spec, path)
    count = np.bincount(flat, minlength=len(ids) * tracks * bins)
    if count.max(initial=0) > 1:
        second = rows[pd.Series(flat, index=rows.index).duplicated()]
        raise InputError(
            f"{path}, line {second['line'].iloc[0]}: output {spec.name!r} of sequence "
            f"{second['sequence_id'].iloc[0]!r} has a second value ({len(second)} such rows)"
        )
    absent = np.flatnonzero(count == 0)
    if absent.size:
        sequences = np.unique(absent // (tracks * bins))
        raise InputError(
            f"{path}: output {spec.name!r} has no value for {absent.size} of {len(count)} "
            f"combinations of sequence, track and bin, in {len(sequences)} sequences; the first "
            f"is {ids[sequences[0]]!r}: predict them and add the rows"
        )
    values = np.empty(len(count), dtype=np.float32)
    values[flat] = rows["value"].to_numpy()
    return values.reshape(len(ids), tracks, bins)


def _tracks(rows: pd.DataFrame, spec: OutputSpec, path: str) -> npt.NDArray[np.int64]:
    """For every row the place of its track among the output's."""
    names = {str(index): place for place, index in enumerate(spec.tracks)}
    names |= {name: place for place, name in enumerate(spec.track_names)}
    if "track" not in rows.columns:
        given = pd.Series(None, index=rows.index, dtype=object)
    else:
        given = rows["track"]
    if len(spec.tracks) == 1:
        given = given.fillna(spec.track_names[0])
    _refuse_absent(rows[given.isna()], spec, "track", path)
    _refuse_unknown(rows.assign(track=given), "track", list(names), path)
    return np.asarray(given.map(names), dtype=np.int64)


def _bins(rows: pd.DataFrame, spec: OutputSpec, path: str) -> npt.NDArray[np.int64]:
    """For every row the place of its bin among the output's."""
    given = rows["bin"] if "bin" in rows.columns else pd.Series(np.nan, index=rows.index)
    if spec.reduction != "none":
        several = rows[given.notna()]
        if len(several):
            raise InputError(
                f"{path}, line {several['line'].iloc[0]}: output {spec.name!r} is the "
                f"{spec.reduction} over its bins: give that one value, without a bin"
            )
        return np.zeros(len(rows), dtype=np.int64)
    if len(spec.bins) == 1:
        given = given.fillna(spec.bins[0])
    _refuse_absent(rows[given.isna()], spec, "bin", path)
    place = pd.Index(spec.bins).get_indexer(pd.Index(pd.to_numeric(given, errors="coerce")))
    unknown = rows[place < 0]
    if len(unknown):
        raise InputError(
            f"{path}, line {unknown['line'].iloc[0]}: output {spec.name!r} has no bin "
            f"{unknown['bin'].iloc[0]}; it keeps bins {min(spec.bins)} to {max(spec.bins)} of "
            "the sequence, counted from 0"
        )
    return place.astype(np.int64)


def _refuse_absent(rows: pd.DataFrame, spec: OutputSpec, column: str, path: str) -> None:
    if len(rows):
        raise InputError(
            f"{path}, line {rows['line'].iloc[0]}: output {spec.name!r} has several values per "
            f"sequence, {spec.shape} tracks and bins: say in a column `{column}` which one it is"
        )
