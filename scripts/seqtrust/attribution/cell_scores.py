"""Scores of the models of one cell of a population, and of the truth itself as a control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.attribution.attribution_maps import CORRECTED
from seqtrust.attribution.common_maps import chosen_maps
from seqtrust.attribution.drawn_maps import (
    LOGOS,
    SPECTRA,
    SPHERES,
    logo_rows,
    spectrum_rows,
    sphere_rows,
)
from seqtrust.attribution.generalisation import measured_as_predicted
from seqtrust.attribution.ground_truth import true_maps
from seqtrust.attribution.map_tables import AttributionMaps, corrected_maps, read_attributions
from seqtrust.attribution.model_scores import (
    SEQUENCES,
    Settings,
    complete_rows,
    consistency_columns,
    generalisation_columns,
    joined,
    published_columns,
    truth_columns,
)
from seqtrust.attribution.overlapping import jackknife_groups, overlapping_units
from seqtrust.attribution.populations import CONTROL, JUDGING, MODEL, SELECTION
from seqtrust.attribution.scored_maps import embedding_measure, kmer_measure
from seqtrust.files import read_tsv, write_tsv
from seqtrust.predictions import Predictions
from seqtrust.sequence_set import SequenceSet, read_sequence_set
from seqtrust.sources.grammar import GrammarTruth, read_truth
from seqtrust.tables import TableSchema, write_table
from seqtrust.targets import MeasuredTracks

# sequences that are drawn as logos, of every model the same
EXAMPLES = 3
TRUTH = "truth"
_RATIO = ("snr", "snr_low", "snr_high")
Shards = Sequence[str | Path]


@dataclass(frozen=True)
class ScoredCell:
    """What one cell's models are, and what they are scored on.

    Attributes:
        ensemble: name of the cell's ensemble.
        control: name of the control, empty for models.
        levels: level of every factor.
        method: method of attribution.
        sets: sequences of the maps by part: selection, and judging where there is a truth.
        common: ids by part of what all models have; a part that is missing is all of the set.
        left_out: replicates with too few usable maps, per part.
        truth: of the judged sequences, or None.
        region: positions [first, stop) of every map that are kept, or None for all.
    """

    ensemble: str
    control: str
    levels: Mapping[str, str]
    method: str
    sets: Mapping[str, SequenceSet]
    common: Mapping[str, Sequence[str]]
    left_out: Mapping[str, Sequence[str]]
    truth: GrammarTruth | None
    region: Sequence[int] | None = None

    def kept(self, length: int) -> slice:
        """The kept positions of sequences of this length."""
        return slice(*(self.region or (0, length)))


@dataclass
class CellScores:
    """Tables of one cell.

    Attributes:
        rows: a row per model.
        parts: rows by schema: values of sequences, and what figures draw.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    parts: dict[TableSchema, list[dict[str, Any]]] = field(
        default_factory=lambda: {schema: [] for schema in (SEQUENCES, SPECTRA, SPHERES, LOGOS)}
    )

    def table(self, levels: Mapping[str, str]) -> pd.DataFrame:
        """The rows of models with all columns."""
        return pd.DataFrame(complete_rows(self.rows, levels))

    def columns(self, schema: TableSchema) -> dict[str, list[Any]]:
        """One of the parts as columns."""
        return {
            column.name: [row[column.name] for row in self.parts[schema]]
            for column in schema.columns
        }


def read_cell(files: Any, about: Mapping[str, Any]) -> ScoredCell:
    """A cell with what its models are scored on.

    Args:
        files: paths by name: `{part}_sequences` of every part; `common` and `usable` where all
            models have to have a sequence; `truth` where there is one.
        about: ensemble, control, levels, method, region, and parts.
    """
    common = common_ids(read_tsv(files["common"])) if files.get("common") else {}
    usable = left_out(read_tsv(files["usable"]), about["ensemble"]) if common else {}
    return ScoredCell(
        about["ensemble"],
        about["control"],
        about["levels"],
        about["method"],
        {part: read_sequence_set(files[f"{part}_sequences"]) for part in about["parts"]},
        common,
        usable,
        read_truth(files["truth"]) if files.get("truth") else None,
        about["region"],
    )


def write_cell(paths: Any, scores: CellScores, cell: ScoredCell) -> None:
    """Write the tables of one cell.

    Args:
        paths: by name: scores, sequences, spectra, spheres, logos.
        scores: the tables.
        cell: what they are of.
    """
    write_tsv(paths["scores"], scores.table(cell.levels))
    for name, schema in (
        ("sequences", SEQUENCES), ("spectra", SPECTRA), ("spheres", SPHERES), ("logos", LOGOS),
    ):  # fmt: skip
        write_table(paths[name], schema, scores.columns(schema))


def common_ids(table: pd.DataFrame) -> dict[str, list[str]]:
    """Ids by part of the table that `common_maps.common_maps` gives."""
    return {str(part): mine["sequence_id"].tolist() for part, mine in table.groupby("part")}


def left_out(table: pd.DataFrame, ensemble: str) -> dict[str, list[str]]:
    """Replicates of an ensemble by part that have too few usable maps."""
    mine = table[(table["ensemble"] == ensemble) & ~table["counted"]]
    return {str(part): rows["replicate"].tolist() for part, rows in mine.groupby("part")}


def score_cell(
    cell: ScoredCell,
    predictions: Mapping[str, Predictions],
    predicted: tuple[SequenceSet, MeasuredTracks, str],
    shards: Mapping[str, Shards],
    settings: Settings,
) -> CellScores:
    """Scores of all replicates of one cell.

    Args:
        cell: what they are.
        predictions: by replicate.
        predicted: the set that was predicted, measured tracks, and the name of the output.
        shards: files of maps by part, all of the first replicate first.
        settings: how models are scored.
    """
    found = CellScores()
    sequences, targets, output = predicted
    for place, (replicate, made) in enumerate(predictions.items()):
        general = generalisation_columns(
            *measured_as_predicted(sequences, targets, made, output), settings
        )
        maps = {
            part: read_attributions(_own(files, place, len(predictions)), corrected=False)
            for part, files in shards.items()
        }
        _score_model(found, cell, replicate, maps, general, settings)
    return found


def _own(files: Shards, place: int, replicates: int) -> Shards:
    """The shards of one of the replicates."""
    number = len(files) // replicates
    return files[place * number : (place + 1) * number]


def score_truth(cell: ScoredCell, settings: Settings) -> CellScores:
    """The true maps scored like a model's: the highest scores that a model could have."""
    found = CellScores()
    if cell.truth is None:
        return found
    maps = {}
    for part, sequences in cell.sets.items():
        ids = sequences.ids()
        true = true_maps(cell.truth.pwms[cell.truth.rows_of(ids)])
        kept, flags = cell.kept(true.shape[1]), np.ones(len(ids), dtype=bool)
        codes = sequences.codes()[:, kept]
        maps[part] = AttributionMaps(
            ids, TRUTH, codes, np.zeros(len(ids)), true[:, kept], flags, flags
        )
    _score_model(found, cell, TRUTH, maps, {}, settings)
    # a true map has no noise to be held against
    found.rows = [row | dict.fromkeys(_RATIO) for row in found.rows]
    return found


def _score_model(
    found: CellScores,
    cell: ScoredCell,
    replicate: str,
    maps: Mapping[str, AttributionMaps],
    general: Mapping[str, Any],
    settings: Settings,
) -> None:
    """Add one model to the tables of its cell."""
    about = {
        "kind": CONTROL if cell.control else MODEL,
        "control": cell.control,
        "ensemble": cell.ensemble,
        "replicate": replicate,
    }
    selection = maps[SELECTION]
    parts: list[Mapping[str, Any]] = [
        about, general, {"dropped": int((~selection.usable).sum())},
        published_columns(selection.maps, selection.bases, settings),
    ]  # fmt: skip
    parts.append(
        _counted(cell, SELECTION, replicate, selection)
        or _consistency(found, cell, replicate, selection, settings)
    )
    if cell.truth is not None:
        judged = maps[JUDGING]
        parts.append({"judged_dropped": int((~judged.usable).sum())})
        parts.append(
            _counted(cell, JUDGING, replicate, judged)
            or _agreement(found, cell, replicate, judged, cell.truth, settings)
        )
    found.rows.append(joined(*parts))


def _counted(cell: ScoredCell, part: str, replicate: str, maps: AttributionMaps) -> dict[str, Any]:
    """A note where a model has too few usable maps to be scored, else nothing."""
    usable = int(maps.usable.sum())
    if usable >= 2 and replicate not in cell.left_out.get(part, ()):
        return {}
    return {"note": f"{part}: only {usable} of {len(maps.usable)} maps are usable"}


def _of_part(cell: ScoredCell, part: str, maps: AttributionMaps) -> AttributionMaps:
    """The usable maps of the sequences that all models have, centred."""
    usable = [name for name, keep in zip(maps.sequence_ids, maps.usable, strict=True) if keep]
    common = set(cell.common.get(part, usable))
    chosen = chosen_maps(maps, [name for name in usable if name in common])
    return AttributionMaps(
        chosen.sequence_ids,
        chosen.track,
        chosen.bases,
        chosen.predictions,
        corrected_maps(chosen.maps, chosen.bases),
        chosen.converged,
        chosen.usable,
    )


def _consistency(
    found: CellScores, cell: ScoredCell, replicate: str, maps: AttributionMaps, settings: Settings
) -> dict[str, Any]:
    own = _of_part(cell, SELECTION, maps)
    sequences = cell.sets[SELECTION]
    units = dict(
        zip(sequences.ids(), overlapping_units(sequences, cell.region).tolist(), strict=True)
    )
    groups = jackknife_groups(
        np.array([units[name] for name in own.sequence_ids]),
        settings.consistency["groups"],
        settings.seed,
    )
    about = {"method": cell.method, "track": own.track, "replicate": replicate}
    kmers = kmer_measure(settings.consistency, CORRECTED)
    vectors = embedding_measure(settings.consistency, CORRECTED)
    found.parts[SPECTRA] += spectrum_rows(kmers, own.maps, own.bases, about)
    found.parts[SPHERES] += sphere_rows(vectors, own.maps, about)
    if cell.truth is None:
        _add_logos(found, cell, replicate, own)
    return consistency_columns(own.maps, own.bases, groups, settings)


def _agreement(
    found: CellScores,
    cell: ScoredCell,
    replicate: str,
    maps: AttributionMaps,
    truth: GrammarTruth,
    settings: Settings,
) -> dict[str, Any]:
    own = _of_part(cell, JUDGING, maps)
    pwms = truth.pwms[truth.rows_of(own.sequence_ids)].astype(np.float64)
    pwms = pwms[:, cell.kept(pwms.shape[1])]
    columns, values = truth_columns(own, pwms, settings)
    names = list(values)
    found.parts[SEQUENCES] += [
        {"replicate": replicate} | dict(zip(names, row, strict=True))
        for row in zip(*values.values(), strict=True)
    ]
    _add_logos(found, cell, replicate, own)
    return columns


def _add_logos(found: CellScores, cell: ScoredCell, replicate: str, maps: AttributionMaps) -> None:
    """Whole maps of the first sequences, which are the same for all models."""
    stretches = [(row, 0) for row in range(min(EXAMPLES, len(maps.sequence_ids)))]
    found.parts[LOGOS] += logo_rows(
        {(cell.method, replicate): maps}, [replicate], stretches, maps.bases.shape[1], 0
    )
