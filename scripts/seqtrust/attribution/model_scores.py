"""Scores of one model of a population: generalisation, consistency, and agreement with a truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from seqtrust.attribution.attribution_maps import CORRECTED, PUBLISHED, Floats, Integers
from seqtrust.attribution.embedding_measure import EmbeddingMeasure
from seqtrust.attribution.generalisation import (
    AUROC,
    PEARSON,
    Estimate,
    classification,
    correlation,
    mean_over_sequences,
)
from seqtrust.attribution.ground_truth import (
    signal_to_noise,
    truth_aupr,
    truth_auroc,
    truth_cosine,
)
from seqtrust.attribution.kmer_measure import KmerMeasure
from seqtrust.attribution.map_tables import AttributionMaps
from seqtrust.attribution.scored_maps import (
    KMER,
    PAIRING,
    Scorer,
    embedding_measure,
    kmer_measure,
    scored,
)
from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.tables import Column, TableSchema

# published for synthetic data: nearly all window sums
WIDE = 0.99

SEQUENCES = TableSchema(
    name="model_truth",
    version=1,
    path="populations/{population}/{ensemble}.sequences.parquet",
    description=(
        "Attribution maps of the models of one cell of a population against the known truth: one "
        "row per replicate and judged sequence."
    ),
    columns=(
        Column("replicate", pa.string(), "replicate of the cell's ensemble"),
        Column("sequence_id", pa.string(), "judged sequence"),
        Column("snr", pa.float64(), "signal-to-noise ratio; 0 where `short`"),
        Column("short", pa.bool_(), "fewer than ten positive scores of noise"),
        Column("truth_auroc", pa.float64(), "area under the ROC of scores for motif positions"),
        Column("truth_aupr", pa.float64(), "average precision of scores for motif positions"),
        Column("truth_cosine", pa.float64(), "cosine with the true map"),
    ),
)
TARGETS = ("snr", "truth_auroc", "truth_aupr", "truth_cosine")


def _with_interval(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


COLUMNS = (
    "kind", "control", "ensemble", "replicate",
    *_with_interval("generalisation"), *_with_interval("aupr"), "predicted",
    "maps", "dropped",
    "kmer", "kmer_se", "kmer_low", "kmer_high", "kmer_position_excess", "kmer_position_z",
    "kmer_pairing_excess", "kmer_pairing_z", "kmers",
    "embedding", "embedding_se", "embedding_low", "embedding_high", "embedding_position_excess",
    "embedding_position_z", "vectors",
    "kmer_published", "mispaired", "embedding_published", "embedding_published_wide",
    "judged", "judged_dropped", *_with_interval("snr"), "snr_short",
    *_with_interval("truth_auroc"), *_with_interval("truth_aupr"), *_with_interval("truth_cosine"),
    "note",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How models are scored.

    Attributes:
        metric: `auroc` or `pearson`.
        consistency: settings of the scores, from the config: kmer, embedding, nulls, groups.
        seed: of bootstraps, groups and permutations, the same for all models.
    """

    metric: str
    consistency: Mapping[str, Any]
    seed: int


def generalisation_columns(
    measured: Floats, predicted: Floats, settings: Settings
) -> dict[str, Any]:
    """Columns of how well a model predicts.

    Args:
        measured: shape (N, tracks, bins).
        predicted: shape (N, tracks, bins).
        settings: the metric and the seed.
    """
    if settings.metric == PEARSON:
        found = {"generalisation": correlation(measured, predicted, settings.seed)}
    elif settings.metric == AUROC:
        auroc, aupr = classification(measured, predicted, settings.seed)
        found = {"generalisation": auroc, "aupr": aupr}
    else:
        raise InputError(f"metric is {settings.metric!r}, expected 'auroc' or 'pearson'")
    return _filled(found) | {"predicted": len(measured)}


def consistency_columns(
    maps: Floats, codes: Codes, groups: Integers, settings: Settings
) -> dict[str, Any]:
    """Columns of corrected scores with their jackknife and their excess over the nulls.

    Args:
        maps: usable maps (N, L, 4).
        codes: base codes (N, L).
        groups: group of every map in the jackknife, shape (N,).
        settings: of the scores.
    """
    given = settings.consistency
    measures: list[Scorer] = [
        kmer_measure(given, CORRECTED),
        embedding_measure(given, CORRECTED),
    ]
    found = scored({"maps": maps}, codes, groups, measures, given["nulls"], settings.seed)
    columns: dict[str, Any] = {"maps": len(maps)}
    notes = []
    for row in found.scores:
        name = "kmer" if row["score"] == KMER else "embedding"
        null = "pairing" if row["null"] == PAIRING else "position"
        columns |= {name: row["value"]} | {
            f"{name}_{part}": row[part] for part in ("se", "low", "high")
        }
        columns |= {f"{name}_{null}_{part}": row[part] for part in ("excess", "z")}
        columns["kmers" if row["score"] == KMER else "vectors"] = row["observations"]
        notes += [f"{row['score']}: {row['note']}"] if row["note"] else []
    return columns | {"note": "; ".join(dict.fromkeys(notes))}


def published_columns(maps: Floats, codes: Codes, settings: Settings) -> dict[str, Any]:
    """Columns of the published scores, of all maps as they are, faults of the code included.

    The k-mer score takes maps as given, as the published run on synthetic data does.

    Args:
        maps: not centred, zero and NaN maps among them, shape (N, L, 4).
        codes: base codes (N, L).
        settings: of the scores.
    """
    kmer, embedding = settings.consistency["kmer"], settings.consistency["embedding"]
    columns: dict[str, Any] = {}
    try:
        found = KmerMeasure(kmer["k"], kmer["quantile"], PUBLISHED).result(maps, codes)
        columns |= {"kmer_published": found.score, "mispaired": found.mispaired}
        for name, fraction in (("", embedding["fraction"]), ("_wide", WIDE)):
            measure = EmbeddingMeasure(
                embedding["window"], fraction, embedding["box"], mode=PUBLISHED
            )
            columns[f"embedding_published{name}"] = measure.score(maps, None)
    except InputError as error:
        columns["note"] = f"published: {error}"
    return columns


def truth_columns(
    maps: AttributionMaps, pwms: Floats, settings: Settings
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of agreement with the truth, and the values of every sequence.

    Args:
        maps: centred, of the judged sequences that count.
        pwms: PWMs of the same sequences, shape (N, L, 4).
        settings: the seed of the bootstrap over sequences.

    Returns:
        Columns of the model, and columns of `SEQUENCES` without the replicate.
    """
    given = maps.maps, maps.bases, pwms
    ratio = signal_to_noise(*given)
    values = {
        "snr": ratio.values,
        "truth_auroc": truth_auroc(*given),
        "truth_aupr": truth_aupr(*given),
        "truth_cosine": truth_cosine(maps.maps, pwms),
    }
    found = {name: mean_over_sequences(one, settings.seed) for name, one in values.items()}
    columns = _filled(found) | {"judged": len(pwms), "snr_short": int(ratio.short.sum())}
    return columns, {"sequence_id": maps.sequence_ids, "short": ratio.short} | values


def complete_rows(
    rows: Sequence[Mapping[str, Any]], levels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Rows with all `COLUMNS`, and the cell's level of every factor after the replicate."""
    found = []
    for row in rows:
        filled = {name: row.get(name) for name in COLUMNS}
        own: dict[str, Any] = {name: filled.pop(name) for name in COLUMNS[:4]}
        found.append(own | dict(levels) | filled)
    return found


def joined(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """One row of several parts, whose notes are put one after the other."""
    notes = "; ".join(part["note"] for part in parts if part.get("note"))
    return {name: value for part in parts for name, value in part.items()} | {"note": notes}


def _filled(found: Mapping[str, Estimate]) -> dict[str, float]:
    return {
        column: value
        for name, estimate in found.items()
        for column, value in zip(
            _with_interval(name), (estimate.value, estimate.low, estimate.high), strict=True
        )
    }
