"""Personal genomes: predictions across people, held against their measured expression."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from seqtrust.effects import TIE_FACTOR, aligned_values
from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.genome import SplitRegions
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import SequenceSet
from seqtrust.tables import Column, TableSchema
from seqtrust.uncertainty.people_correlations import SPEARMAN, merged
from seqtrust.uncertainty.people_null import people_null
from seqtrust.verdicts import splits_of, verdict_columns

Floats = npt.NDArray[np.float64]

IDENTITY, LOG2P1 = "identity", "log2p1"

PERMUTED = TableSchema(
    name="permuted_people",
    version=1,
    path="verdicts/{verdict}.permuted.parquet",
    description=(
        "What replicates call of genes when people are permuted within their population: one row "
        "per row of the verdicts table, in its order."
    ),
    columns=(
        Column("unit", pa.string(), "as in the verdicts table"),
        Column("track", pa.string(), "track of the model"),
        Column("unanimous", pa.list_(pa.int8()), "per permutation: +1 if all replicates call +1, "
               "-1 if all call -1, else 0"),
    ),
)  # fmt: skip


def read_expression(path: str | Path) -> pd.DataFrame:
    """Expression of genes (rows) in people (columns): a TSV whose first column is `gene`.

    Raises:
        InputError: the file is missing, has no column `gene`, names a gene or person twice, or
            holds a value that is not a number.
    """
    if not Path(path).exists():
        raise InputError(f"there is no expression table at {path}")
    table = read_input_table(path, {"gene": str})
    if table.columns[0] != "gene":
        raise InputError(f"{path}: the first column is {table.columns[0]!r}, expected `gene`")
    repeated = table["gene"][table["gene"].duplicated()]
    if len(repeated):
        raise InputError(f"{path}, line {repeated.index[0] + 2}: gene {repeated.iloc[0]!r} again")
    values = table.set_index("gene")
    numbers = values.apply(pd.to_numeric, errors="coerce")
    rows, columns = np.nonzero((numbers.isna() & values.notna()).to_numpy())
    if rows.size:
        raise InputError(
            f"{path}, line {rows[0] + 2}, column {columns[0] + 2}: "
            f"{values.iat[rows[0], columns[0]]!r} is not a number; leave a field empty where "
            "expression is not known"
        )
    return numbers


def expression_of(
    expression: pd.DataFrame,
    genes: Sequence[str],
    samples: Sequence[str],
    missing_genes: bool = False,
) -> Floats:
    """Expression of genes in the samples of a set, NaN where the table has none, shape (G, N).

    Args:
        expression: genes x people.
        genes: names of the genes.
        samples: names of the samples.
        missing_genes: allow that none of the genes is in the table, as in a block of them.

    Raises:
        InputError: no gene or no sample is in the table.
    """
    has_genes = missing_genes or bool(set(expression.index) & set(genes))
    if not has_genes or not set(expression.columns) & set(samples):
        what = "sample is a person" if has_genes else "window is a gene"
        raise InputError(f"no {what} of the expression table: are the names of one kind?")
    return expression.reindex(index=list(genes), columns=list(samples)).to_numpy(dtype=np.float64)


def read_populations(path: str | Path | None, samples: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number of each sample's population, from a TSV with the columns person and population.

    Args:
        path: the table, which may have more people and columns; None: all are one population.
        samples: names of the samples.

    Raises:
        InputError: a column is missing, a person is there twice, or a sample is not there; the
            message gives the sample's number and no name.
    """
    if path is None:
        return np.zeros(len(samples), dtype=np.int64)
    if not Path(path).exists():
        raise InputError(f"there is no table of populations at {path}")
    table = read_input_table(path, {"person": str, "population": str})
    missing = [name for name in ("person", "population") if name not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; it has: {', '.join(table.columns)}"
        )
    repeated = np.flatnonzero(table["person"].duplicated())
    if repeated.size:
        raise InputError(f"{path}, line {repeated[0] + 2}: the person is there a second time")
    labels = table.set_index("person")["population"].reindex(list(samples))
    unknown = np.flatnonzero(labels.isna())
    if unknown.size:
        raise InputError(
            f"{path} gives no population for sample {unknown[0]} (and {unknown.size - 1} more) of "
            f"the set's {len(samples)}, counted from 0: add a row for every person of the set"
        )
    return np.unique(labels.to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)


def predictions_of_people(
    predictions: Predictions,
    output: str,
    sequences: SequenceSet,
    haplotypes: pd.DataFrame,
    people: int,
) -> tuple[list[str], Floats]:
    """Every person's prediction per window: the mean of the haplotypes, on the model's scale.

    Args:
        predictions: of one replicate.
        output: output of the ensemble; one value per track.
        sequences: the set.
        haplotypes: columns window, sample (index) and sequence_id, a row per haplotype.
        people: number of samples of the set.

    Returns:
        Names of the W windows, and means of shape (W, tracks, samples); NaN for a sample
        without a haplotype in a window.

    Raises:
        InputError: the output has several bins.
    """
    spec = predictions.output(output)
    if spec.shape[1] != 1:
        raise InputError(
            f"output {output!r} has {spec.shape[1]} bins: people are compared by one value, so "
            "give it a reduction (sum or mean) or a single bin"
        )
    ids = sequences.ids()
    values = aligned_values(predictions, spec, ids)[:, :, 0].astype(np.float64)
    row_of = {key: row for row, key in enumerate(ids)}
    names = list(dict.fromkeys(haplotypes["window"]))
    window_of = {name: index for index, name in enumerate(names)}
    windows = haplotypes["window"].map(window_of).to_numpy()
    samples = haplotypes["sample"].to_numpy()
    rows = haplotypes["sequence_id"].map(row_of).to_numpy()
    sums = np.zeros((len(names), people, len(spec.tracks)))
    counts = np.zeros(sums.shape[:2])
    np.add.at(sums, (windows, samples), values[rows])
    np.add.at(counts, (windows, samples), 1)
    with np.errstate(invalid="ignore"):
        return names, np.moveaxis(sums / counts[..., None], 2, 1)


def people_values(
    predictions: Predictions,
    output: str,
    sequences: SequenceSet,
    haplotypes: pd.DataFrame,
    people: int,
    scale: str = IDENTITY,
) -> tuple[list[str], Floats]:
    """Every person's prediction per window, without differences that mean nothing.

    As `predictions_of_people`; values of a window that differ by no more than ten times the
    noise floor are one value, and the logarithm, if any, is taken of the mean.

    Args:
        predictions: as in `predictions_of_people`.
        output: as in `predictions_of_people`.
        sequences: as in `predictions_of_people`.
        haplotypes: as in `predictions_of_people`.
        people: number of samples of the set.
        scale: `identity`, or `log2p1` for log2(1 + mean of the haplotypes).

    Raises:
        InputError: as in `predictions_of_people`, or the scale needs values above -1.
    """
    names, values = predictions_of_people(predictions, output, sequences, haplotypes, people)
    flat = values.reshape(-1, values.shape[2])
    one = merged(flat, TIE_FACTOR * predictions.noise_floor[output]).reshape(values.shape)
    return names, on_scale(one, scale)


def on_scale(values: Floats, scale: str) -> Floats:
    """Values on a named scale: `identity`, or `log2p1` for log2(1 + value).

    Raises:
        InputError: a value is -1 or less, which has no logarithm.
    """
    if scale == IDENTITY:
        return values
    if np.nanmin(values) <= -1:
        raise InputError(
            f"scale {LOG2P1!r} needs predictions above -1; found {np.nanmin(values):.3g}. Take "
            f"{IDENTITY!r} for a model that predicts on a log scale"
        )
    return np.log2(1 + values)


def judge_people(
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    haplotypes: pd.DataFrame,
    samples: Sequence[str],
    expression: pd.DataFrame,
    regions: SplitRegions,
    output: str,
    populations: Sequence[int],
    rounds: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Verdicts on genes: does a replicate order people as their expression does?

    The call is the sign of the Spearman correlation, across people, of a replicate's
    prediction with the expression; a positive one is right (Huang et al. 2023, Bajwa et al.
    2024). Windows are named after genes.

    Args:
        replicates: predictions per replicate.
        sequences: the set.
        haplotypes: columns window, sample (index) and sequence_id.
        samples: names of the samples, by index.
        expression: genes x people.
        regions: data split of the replicates.
        output: output of one value per track.
        populations: number of each sample's population.
        rounds: permutations of people within populations.
        seed: seed of the permutations.

    Returns:
        The columns of the verdicts table, and those of `PERMUTED`.

    Raises:
        InputError: no window is a gene of the table, or no sample is a person of it.
    """
    spec = next(iter(replicates.values())).output(output)
    made = [
        people_values(p, output, sequences, haplotypes, len(samples)) for p in replicates.values()
    ]
    names = made[0][0]
    genes = [name for name in names if name in expression.index]
    measured = expression_of(expression, genes or names, samples)
    rows = [names.index(gene) for gene in genes]
    said = np.stack([values[rows] for _, values in made])
    nulls = [
        people_null(said[:, :, track], measured, populations, SPEARMAN, rounds, seed)
        for track in range(len(spec.tracks))
    ]
    units = _units(genes, spec, sequences, regions)
    # rows are gene by gene, the tracks of a gene together
    scores = np.stack([null.observed.T for null in nulls], axis=1).reshape(-1, len(replicates))
    unanimous = np.stack([null.unanimous for null in nulls], axis=1).reshape(-1, rounds)
    calls = np.sign(scores).astype(np.int8)
    truth = np.ones(len(scores), dtype=np.int8)
    reached = np.zeros(len(scores), dtype=bool)
    permuted = {"unit": units["unit"], "track": units["track"], "unanimous": list(unanimous)}
    return verdict_columns(units, calls, scores, truth, reached), permuted


def _units(
    genes: Sequence[str], spec: OutputSpec, sequences: SequenceSet, regions: SplitRegions
) -> dict[str, list[Any]]:
    splits = split_of_windows(sequences, regions)
    rows = [
        (gene, track, -1, splits[gene], "", "", gene)
        for gene in genes
        for track in spec.track_names
    ]
    names = ("unit", "track", "bin", "split", "stratum", "context", "locus")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def split_of_windows(sequences: SequenceSet, regions: SplitRegions) -> dict[str, str]:
    """The data split of every window, by its name."""
    splits = splits_of(sequences, regions)
    indices = sequences.window_indices().tolist()
    return {
        sequences.windows[index].name: splits[key]
        for key, index in zip(sequences.ids(), indices, strict=True)
    }
