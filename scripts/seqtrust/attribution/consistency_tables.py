"""Consistency of all methods and replicates of one entry of `attributions`, as tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from seqtrust.accuracy import ENSEMBLE
from seqtrust.attribution.attribution_maps import CORRECTED, MODES, PUBLISHED, Flags, Integers
from seqtrust.attribution.drawn_maps import (
    LOGOS,
    SPECTRA,
    SPHERES,
    logo_rows,
    spectrum_rows,
    sphere_rows,
    strongest_stretches,
)
from seqtrust.attribution.map_tables import AttributionMaps, mean_maps, read_attributions
from seqtrust.attribution.overlapping import jackknife_groups, overlapping_units
from seqtrust.attribution.scored_maps import (
    DIFFERENCE_COLUMNS,
    KMER,
    SCORE_COLUMNS,
    Scored,
    Scorer,
    about,
    common_usable,
    embedding_measure,
    kmer_measure,
    scored,
)
from seqtrust.attribution.sensitivity import embedding_grid, kmer_grid
from seqtrust.errors import InputError
from seqtrust.sequence_set import SequenceSet
from seqtrust.tables import TableSchema

Model = tuple[str, str]
Rows = list[dict[str, Any]]
REPLICATES, METHODS = "replicates", "methods"

SCORES = ("method", "track", "replicate", *SCORE_COLUMNS[:-2], "dropped", *SCORE_COLUMNS[-2:])
NULLS = ("method", "track", "replicate", "score", "mode", "null", "round", "value")
DIFFERENCES = ("kind", "track", "first_method", "first_replicate", "second_method",
               "second_replicate", *DIFFERENCE_COLUMNS)  # fmt: skip
SENSITIVITY = ("track", "setting", "method", "replicate", "value", "maps")


@dataclass(frozen=True)
class EntryTables:
    """Tables of one entry; columns `SCORES`, `NULLS`, `DIFFERENCES` and `SENSITIVITY`.

    Attributes:
        scores: a row per method, track, replicate, score, mode and null.
        nulls: a row per draw.
        differences: a row per pair of replicates of a method, and of methods of a replicate.
        sensitivity: a row per setting of the grid and model; no row below three models.
        drawn: rows of what figures draw, by table: `SPECTRA`, `SPHERES`, `LOGOS`.
    """

    scores: pd.DataFrame
    nulls: pd.DataFrame
    differences: pd.DataFrame
    sensitivity: pd.DataFrame
    drawn: dict[TableSchema, Rows]


def shards_by_model(
    paths: Sequence[str | Path], methods: Sequence[str], replicates: Sequence[str]
) -> dict[Model, list[str | Path]]:
    """The shards of every method and replicate.

    Args:
        paths: method by method, replicate by replicate, all shards of each.
        methods: in this order.
        replicates: in this order.
    """
    models = [(method, replicate) for method in methods for replicate in replicates]
    shards = len(paths) // len(models)
    return {
        model: list(paths[place * shards : (place + 1) * shards])
        for place, model in enumerate(models)
    }


def entry_tables(
    paths: Mapping[Model, Sequence[str | Path]],
    sequences: SequenceSet,
    region: Sequence[int] | None,
    settings: Mapping[str, Any],
    logos: Mapping[str, int],
    seed: int,
) -> EntryTables:
    """Consistency of all models of an entry, track by track.

    Args:
        paths: shards by method and replicate.
        sequences: the set that was attributed.
        region: kept positions [first, end) of every map, or None for all.
        settings: of consistency, from the config.
        logos: `sequences` and `width`, from the config.
        seed: of groups and permutations.

    Raises:
        InputError: maps are not those of the set's sequences.
    """
    units = overlapping_units(sequences, region)
    ids = sequences.ids()
    parts = []
    for track in _tracks(next(iter(paths.values()))):
        models = {model: read_attributions(shards, track) for model, shards in paths.items()}
        for (method, replicate), maps in models.items():
            if maps.sequence_ids != ids:
                raise InputError(
                    f"the maps of {method}, {replicate} are not those of the sequences of the set: "
                    "remove them and run the workflow again"
                )
        first = region[0] if region else 0
        parts.append(track_tables(models, units, settings, logos, first, seed))
    drawn = {
        schema: [row for part in parts for row in part.drawn[schema]]
        for schema in (SPECTRA, SPHERES, LOGOS)
    }
    return EntryTables(
        scores=pd.concat([part.scores for part in parts], ignore_index=True),
        nulls=pd.concat([part.nulls for part in parts], ignore_index=True),
        differences=pd.concat([part.differences for part in parts], ignore_index=True),
        sensitivity=pd.concat([part.sensitivity for part in parts], ignore_index=True),
        drawn=drawn,
    )


def _tracks(paths: Iterable[str | Path]) -> list[str]:
    """Tracks of the maps of one model, in order."""
    found = [pq.read_table(path, columns=["track"])["track"].unique().to_pylist() for path in paths]
    return list(dict.fromkeys(track for tracks in found for track in tracks))


def track_tables(
    models: Mapping[Model, AttributionMaps],
    units: Integers,
    settings: Mapping[str, Any],
    logos: Mapping[str, int],
    first: int,
    seed: int,
) -> EntryTables:
    """Consistency of all models of one track.

    Replicates of a method, and their mean map, are scored on the maps that all of them have;
    methods of one replicate are compared on the maps that all methods have. A replicate without
    any usable map is left out of both, and its rows say so.

    Args:
        models: maps by method and replicate.
        units: number of every sequence, equal where windows overlap, shape (N,).
        settings: of consistency, from the config.
        logos: `sequences` and `width`, from the config.
        first: position of the sequence at which maps begin.
        seed: of groups and permutations.
    """
    track = next(iter(models.values())).track
    every = dict(_with_means(models))
    scores: Rows = []
    nulls: Rows = []
    differences: Rows = []
    spectra: Rows = []
    spheres: Rows = []
    kmers, vectors = kmer_measure(settings, CORRECTED), embedding_measure(settings, CORRECTED)
    for method in dict.fromkeys(method for method, _ in every):
        mine = {name: maps for (of, name), maps in every.items() if of == method}
        kept, found = scored_together(mine, units, settings, settings["nulls"], seed)
        for row in found.scores:
            dropped = len(kept) - row["maps"]
            named = {"method": method, "replicate": row["model"], "dropped": dropped}
            scores.append(_as_published(row, mine[row["model"]], settings) | named)
        nulls += [row | {"method": method, "replicate": row["model"]} for row in found.nulls]
        differences += [
            row | _pair(REPLICATES, (method, row["first"]), (method, row["second"]))
            for row in found.differences
        ]
        for name, maps in mine.items():
            named = {"method": method, "track": track, "replicate": name}
            if maps.usable.any() and kept.any():
                chosen = maps.maps[kept]
                spectra += spectrum_rows(kmers, chosen, maps.bases[kept], named)
                spheres += sphere_rows(vectors, chosen, named)
    for replicate in dict.fromkeys(name for _, name in every):
        others = {of: maps for (of, name), maps in every.items() if name == replicate}
        _, found = scored_together(others, units, settings, 0, seed)
        differences += [
            row | _pair(METHODS, (row["first"], replicate), (row["second"], replicate))
            for row in found.differences
        ]
    return EntryTables(
        _frame(scores, SCORES, track),
        _frame(nulls, NULLS, track),
        _frame(differences, DIFFERENCES, track),
        _frame(grid_rows(models) if settings["sensitivity"] else [], SENSITIVITY, track),
        {SPECTRA: spectra, SPHERES: spheres, LOGOS: _logos(every, units, logos, first)},
    )


def _with_means(
    models: Mapping[Model, AttributionMaps],
) -> Iterator[tuple[Model, AttributionMaps]]:
    """All models, and after the replicates of each method their mean map if there are several.

    A replicate without any usable map has no part in the mean.
    """
    for method in dict.fromkeys(method for method, _ in models):
        mine = {model: maps for model, maps in models.items() if model[0] == method}
        yield from mine.items()
        counted = [maps for maps in mine.values() if maps.usable.any()]
        if len(counted) > 1:
            yield (method, ENSEMBLE), mean_maps(counted)


def scored_together(
    models: Mapping[str, AttributionMaps],
    units: Integers,
    settings: Mapping[str, Any],
    rounds: int,
    seed: int,
) -> tuple[Flags, Scored]:
    """Scores of models on the maps that all of them have.

    Args:
        models: maps by name, of the same sequences.
        units: number of every sequence, equal where windows overlap, shape (N,).
        settings: of consistency, from the config.
        rounds: permutations per null; 0 for no null.
        seed: of groups and permutations.

    Returns:
        Which maps were scored, shape (N,), and rows of all models; those of a model without any
        usable map, or of all where no map is common, are empty but for the reason.
    """
    kept, empty = common_usable(models)
    measures: list[Scorer] = [
        *(kmer_measure(settings, mode) for mode in MODES),
        *(embedding_measure(settings, mode) for mode in MODES),
    ]
    counted = {
        name: maps.maps[kept] for name, maps in models.items() if kept.any() and name not in empty
    }
    codes = next(iter(models.values())).bases[kept]
    groups = jackknife_groups(units[kept], settings["groups"], seed)
    found = scored(counted, codes, groups, measures, rounds, seed)
    for name in models:
        if name in counted:
            continue
        note = (
            "no usable map: all are zero, not finite or not converged"
            if name in empty
            else f"no map that all of {', '.join(one for one in models if one not in empty)} have"
        )
        for measure in measures:
            row = dict.fromkeys(SCORE_COLUMNS) | about(measure) | {"model": name, "note": note}
            found.scores.append(row | {"maps": 0, "observations": 0})
    return kept, found


def _as_published(row: dict[str, Any], maps: AttributionMaps, settings: Mapping[str, Any]) -> Any:
    """The row, with what the published k-mer score is if degenerate maps stay in its list."""
    degenerate = maps.converged & ~maps.usable
    if row["value"] is None or (row["score"], row["mode"]) != (KMER, PUBLISHED):
        return row
    if not degenerate.any():
        return row
    value = kmer_measure(settings, PUBLISHED).score(maps.maps, maps.bases)
    said = f"{int(degenerate.sum())} zero or NaN maps in the published list give {value:.3f}"
    return row | {"note": "; ".join(filter(None, (row["note"], said)))}


def _pair(kind: str, first: Model, second: Model) -> dict[str, str]:
    return {
        "kind": kind,
        "first_method": first[0],
        "first_replicate": first[1],
        "second_method": second[0],
        "second_replicate": second[1],
    }


def grid_rows(models: Mapping[Model, AttributionMaps]) -> Rows:
    """Corrected scores of all models under a grid of settings, on the maps that all have.

    Settings under which a model has no score are left out: longer k-mers than there are runs.

    Args:
        models: maps by method and replicate; without three that have a common map, no row.
    """
    kept, empty = common_usable(models)
    counted = {model: maps for model, maps in models.items() if model not in empty}
    if len(counted) < 3 or not kept.any():
        return []
    chosen = {model: (maps.maps[kept], maps.bases[kept]) for model, maps in counted.items()}
    rows: Rows = []
    grid: list[Scorer] = [*kmer_grid(), *embedding_grid()]
    for measure in grid:
        try:
            values = {model: measure.score(*found) for model, found in chosen.items()}
        except InputError:
            continue
        if np.isfinite(list(values.values())).all():
            rows += [
                {"setting": measure.label, "method": method, "replicate": replicate,
                 "value": value, "maps": int(kept.sum())}
                for (method, replicate), value in values.items()
            ]  # fmt: skip
    return rows


def _logos(
    models: Mapping[Model, AttributionMaps], units: Integers, logos: Mapping[str, int], first: int
) -> Rows:
    """Stretches of the first replicate, the last one and the mean, where the mean is strongest."""
    method = next(iter(models))[0]
    names = [name for of, name in models if of == method]
    shown = [names[0], names[-2], ENSEMBLE] if ENSEMBLE in names else names
    found = strongest_stretches(models[method, shown[-1]], units, **logos)
    return list(logo_rows(models, shown, found, logos["width"], first))


def _frame(rows: Rows, columns: Sequence[str], track: str) -> pd.DataFrame:
    return pd.DataFrame([row | {"track": track} for row in rows], columns=list(columns))
