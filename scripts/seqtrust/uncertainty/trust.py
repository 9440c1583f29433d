"""Trust scores: which sign of which unit to believe, and which score says so best.

A score is worth what it saves: units are kept in its order, and the area under the risk of the
kept ones (a sign of the ensemble mean that is wrong) ranks the scores on loci that no replicate
was trained on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from seqtrust.calibration.resampling import Resamples, percentile_interval
from seqtrust.calibration.selective import areas
from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.tables import Column, TableSchema
from seqtrust.verdicts import OUT_OF_REACH, TIE

Floats = npt.NDArray[np.float64]

UNANIMITY, EFFECT, ENSEMBLE_Z = "unanimity", "effect_size", "ensemble_z"
SPREAD, WEAKEST, DISTANCE = "narrowness", "weakest_replicate", "likeness"
PAIRS = "pair_correlation"
AGREEMENT, DISTILLED = "attribution_agreement", "distilled_narrowness"
ROUNDS = 500

UNITS = TableSchema(
    name="trust_units",
    version=1,
    path="trust/{trust}.parquet",
    description=(
        "Scores of every decided unit of a verdict with a truth, higher is more trusted, and "
        "whether the sign of the ensemble mean is wrong. Further columns are scores of the "
        "user's own tables."
    ),
    columns=(
        Column("unit", pa.string(), "contrast_id, or gene of an analysis of people"),
        Column("track", pa.string(), "track of the model"),
        Column("split", pa.string(), "train, validation, test or unknown"),
        Column("locus", pa.string(), "rows of one locus are not independent"),
        Column("wrong", pa.bool_(), "the sign of the ensemble mean is not that of the truth; of "
               "people: the mean prediction is negatively correlated with the expression"),
        Column(UNANIMITY, pa.float64(), "share of replicates on the side of the majority; of "
               "people: share of pairs of replicates that are positively correlated"),
        Column(EFFECT, pa.float64(), "|mean| over replicates", "model's scale", True),
        Column(ENSEMBLE_Z, pa.float64(), "|mean| / sd over replicates", "", True),
        Column(SPREAD, pa.float64(), "-sd over replicates; a normalised conformal interval's "
               "width orders units the same way", "model's scale", True),
        Column(WEAKEST, pa.float64(), "smallest score of a replicate on the side of the mean; "
               "negative where one is on the other side", "model's scale", True),
        Column(PAIRS, pa.float64(), "mean Spearman correlation, across people, of two replicates",
               "", True),
        Column(DISTANCE, pa.float64(), "largest cosine similarity of 6-mer spectra with a "
               "training window; empty where there is none", "", True),
        Column(AGREEMENT, pa.float64(), "mean over pairs of replicates of the correlation of their "
               "attribution maps of the reference sequence; 0 where no two have one; empty where "
               "no maps are asked for", "", True),
        Column(DISTILLED, pa.float64(), "-spread of the replicates at the reference sequence as a "
               "network predicts it that has learned it; empty where there is none",
               "model's scale", True),
    ),
)  # fmt: skip

COLUMNS = (
    "score", "rank", "units", "loci", "risk", "aurc", "low", "high", "normalised",
    "gain", "gain_low", "gain_high",
)  # fmt: skip


def ensemble_scores(scores: Floats) -> dict[str, Floats]:
    """Trust scores that replicates give by themselves, shape (N,) each.

    Args:
        scores: effects or correlations, shape (N, R), R at least 2.
    """
    mean, sd = scores.mean(axis=1), scores.std(axis=1, ddof=1)
    side = np.sign(mean)
    positive, negative = (scores > 0).mean(axis=1), (scores < 0).mean(axis=1)
    return {
        UNANIMITY: np.maximum(positive, negative),
        EFFECT: np.abs(mean),
        # replicates that are equal have the largest ratio, not an infinite one
        ENSEMBLE_Z: np.abs(mean) / np.maximum(sd, np.finfo(np.float64).tiny),
        SPREAD: -sd,
        WEAKEST: (scores * side[:, None]).min(axis=1),
    }


def unit_scores(
    verdicts: pd.DataFrame,
    known: Mapping[str, Mapping[str, float]],
    tables: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """The columns of the table of units: those with a truth that are neither ties nor out of reach.

    Args:
        verdicts: the verdicts table.
        known: scores of `DISTANCE`, `AGREEMENT` and `DISTILLED`, where there are, by unit.
        tables: further scores, by name and unit.

    Raises:
        InputError: no such unit, a score of that name is there already, or a table lacks a unit.
    """
    decided = verdicts["truth"].notna() & ~verdicts["class"].isin([TIE, OUT_OF_REACH])
    mine = verdicts[decided]
    if mine.empty:
        raise InputError("trust: the verdict has no decided unit with a truth")
    values = np.array(mine["scores"].tolist(), dtype=np.float64)
    if values.shape[1] < 2:
        raise InputError("trust: one replicate has no spread: at least two are needed")
    columns: dict[str, Any] = {name: mine[name].tolist() for name in ("unit", "track", "split")}
    columns["locus"] = mine["locus"].tolist()
    truth = mine["truth"].to_numpy(dtype=np.float64)
    columns["wrong"] = np.sign(values.mean(axis=1)) != truth
    columns |= ensemble_scores(values)
    return _completed(columns, known, tables)


def gene_scores(
    genes: pd.DataFrame,
    known: Mapping[str, Mapping[str, float]],
    tables: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """The same of genes across people.

    A score must not know the expression, so it is what replicates say of each other: their
    correlation across people.

    Args:
        genes: the table of genes of an analysis of people; ties are left out.
        known: as for `unit_scores`.
        tables: as for `unit_scores`.

    Raises:
        InputError: as for `unit_scores`.
    """
    mine = genes[(genes["class"] != TIE) & genes["ensemble_spearman"].notna()]
    if mine.empty:
        raise InputError("trust: no gene has a prediction and an expression that vary")
    columns: dict[str, Any] = {"unit": mine["gene"].tolist(), "track": [""] * len(mine)}
    columns |= {"split": mine["split"].tolist(), "locus": mine["gene"].tolist()}
    columns["wrong"] = (mine["ensemble_spearman"] < 0).to_numpy()
    columns[UNANIMITY] = mine["pair_agreement"].fillna(0.5).tolist()
    columns[PAIRS] = mine["pair_spearman"].tolist()
    return _completed(columns, known, tables)


def _completed(
    columns: dict[str, Any],
    known: Mapping[str, Mapping[str, float]],
    tables: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """The columns with all further scores, and nothing where none is known."""
    for name, scores in known.items():
        columns[name] = [scores.get(unit) for unit in columns["unit"]]
    for column in UNITS.columns:
        columns.setdefault(column.name, [None] * len(columns["unit"]))
    for name, scores in tables.items():
        if name in columns:
            raise InputError(f"trust: there is a score {name!r} already: name the table's another")
        missing = [unit for unit in columns["unit"] if unit not in scores]
        if missing:
            raise InputError(
                f"trust: the table of {name!r} lacks {len(missing)} units, first {missing[0]!r}"
            )
        columns[name] = [scores[unit] for unit in columns["unit"]]
    return columns


def read_scores(path: str | Path) -> dict[str, float]:
    """Scores of a user's table with columns `unit` and `score`, higher is more trusted.

    Raises:
        InputError: the file is not such a table, or names a unit twice.
    """
    table = read_input_table(path, {"unit": str})
    if not {"unit", "score"} <= set(table.columns):
        found = ", ".join(map(str, table.columns))
        raise InputError(f"{path}: expected columns unit and score; found {found}")
    again = table.index[table["unit"].duplicated()]
    if len(again):
        row = int(again[0])
        raise InputError(f"{path}, line {row + 2}: unit {table['unit'][row]!r} again")
    return dict(zip(table["unit"].tolist(), table["score"].astype(float).tolist(), strict=True))


def ranked(columns: Mapping[str, Any], held_out: Sequence[str], seed: int) -> pd.DataFrame:
    """The scores of a table of units, ranked on the splits that are held out.

    Args:
        columns: from `unit_scores`.
        held_out: data splits that count.
        seed: of the bootstrap.
    """
    fixed = {column.name for column in UNITS.columns}
    names = [name for name in columns if name in _RANKED or name not in fixed]
    units = pd.DataFrame(columns)
    names = [name for name in names if units[name].notna().any()]
    return trust_table(units[units["split"].isin(held_out)], names, seed)


_RANKED = (
    *(UNANIMITY, EFFECT, ENSEMBLE_Z, SPREAD, WEAKEST, PAIRS, DISTANCE),
    *(AGREEMENT, DISTILLED),
)


def trust_table(units: pd.DataFrame, names: Sequence[str], seed: int) -> pd.DataFrame:
    """Scores ranked by the area under risk against the fraction kept.

    `gain` is the AURC of unanimity minus that of the score: positive where the score orders
    better. Its interval is that of a paired bootstrap over loci.

    Args:
        units: columns wrong, locus, `UNANIMITY` and `names`.
        names: scores.
        seed: of the bootstrap.

    Raises:
        InputError: there is no unit, or a score is not finite.
    """
    if units.empty:
        raise InputError("trust: no unit is held out: none is of the splits under held_out")
    chosen = [UNANIMITY, *(name for name in names if name != UNANIMITY)]
    values = units[chosen].to_numpy(dtype=np.float64)
    bad = [name for name, column in zip(chosen, values.T, strict=True) if np.isnan(column).any()]
    if bad:
        raise InputError(f"trust: score {bad[0]!r} is empty for some units")
    losses = np.repeat(units["wrong"].to_numpy(dtype=np.float64)[:, None], len(chosen), axis=1)
    found = areas(losses, -values)
    loci = units["locus"].to_numpy(dtype=np.str_)
    resamples = Resamples(loci, seed)
    draws = []
    for drawn in resamples.draws[:ROUNDS]:
        weights = drawn[resamples.index]
        kept = weights > 0
        draws.append(areas(losses[kept], -values[kept], weights[kept]).aurc)
    rounds = np.array(draws).T
    low, high = percentile_interval(rounds)
    gain_low, gain_high = percentile_interval(rounds[0] - rounds)
    table = pd.DataFrame(
        {
            "score": chosen,
            "units": len(units),
            "loci": len(resamples.names),
            "risk": losses[:, 0].mean(),
            "aurc": found.aurc,
            "low": low,
            "high": high,
            "normalised": found.normalised,
            "gain": found.aurc[0] - found.aurc,
            "gain_low": gain_low,
            "gain_high": gain_high,
        }
    ).sort_values("aurc", kind="stable")
    table.insert(1, "rank", range(1, len(table) + 1))
    return table[list(COLUMNS)].reset_index(drop=True)
