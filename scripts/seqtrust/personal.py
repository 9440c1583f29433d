"""Personal genomes: predictions across people, held against their measured expression."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from seqtrust.effects import aligned_values
from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.predictions import Predictions
from seqtrust.sequence_set import SequenceSet
from seqtrust.verdicts import splits_of, verdict_columns

Floats = npt.NDArray[np.float64]


def read_expression(path: str | Path) -> pd.DataFrame:
    """Expression of genes (rows) in people (columns): a TSV whose first column is `gene`.

    Raises:
        InputError: the file is missing, has no column `gene`, or names a gene or person twice.
    """
    if not Path(path).exists():
        raise InputError(f"there is no expression table at {path}")
    table = pd.read_csv(path, sep="\t")
    if table.columns[0] != "gene":
        raise InputError(f"{path}: the first column is {table.columns[0]!r}, expected `gene`")
    repeated = table["gene"][table["gene"].duplicated()]
    if len(repeated):
        raise InputError(f"{path}, line {repeated.index[0] + 2}: gene {repeated.iloc[0]!r} again")
    return table.set_index("gene")


def predictions_of_people(
    predictions: Predictions, output: str, sequences: SequenceSet, haplotypes: pd.DataFrame
) -> tuple[list[str], Floats]:
    """Every person's prediction per window: the mean of the haplotypes, on the model's scale.

    Args:
        predictions: of one replicate.
        output: output of the ensemble; one value per track.
        sequences: the set.
        haplotypes: columns window, sample (index) and sequence_id, a row per haplotype.

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
    sums = np.zeros((len(names), int(samples.max()) + 1, len(spec.tracks)))
    counts = np.zeros(sums.shape[:2])
    np.add.at(sums, (windows, samples), values[rows])
    np.add.at(counts, (windows, samples), 1)
    with np.errstate(invalid="ignore"):
        return names, np.moveaxis(sums / counts[..., None], 2, 1)


def spearman(x: Floats, y: Floats) -> float:
    """Spearman correlation over the pairs that are known; 0 if either does not vary.

    A constant prediction says nothing of who has more: it is a tie, not a negative call.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def judge_people(
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    haplotypes: pd.DataFrame,
    samples: Sequence[str],
    expression: pd.DataFrame,
    regions: SplitRegions,
    output: str,
) -> dict[str, Any]:
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

    Raises:
        InputError: no window is a gene of the table, or no sample is a person of it.
    """
    spec = next(iter(replicates.values())).output(output)
    made = [predictions_of_people(p, output, sequences, haplotypes) for p in replicates.values()]
    names = made[0][0]
    genes = [name for name in names if name in expression.index]
    people = [name for name in samples if name in expression.columns]
    if not genes or not people:
        what = "window is a gene" if not genes else "sample is a person"
        raise InputError(f"no {what} of the expression table: are the names of one kind?")
    measured = expression.reindex(index=genes, columns=list(samples)).to_numpy(dtype=np.float64)
    splits = splits_of(sequences, regions)
    indices = sequences.window_indices().tolist()
    windows = {
        sequences.windows[index].name: key
        for key, index in zip(sequences.ids(), indices, strict=True)
    }
    units: dict[str, list[Any]] = {
        name: [] for name in ("unit", "track", "bin", "split", "stratum", "context", "locus")
    }
    scores = []
    for gene, expressed in zip(genes, measured, strict=True):
        for track, track_name in enumerate(spec.track_names):
            place = names.index(gene), track
            scores.append([spearman(values[place], expressed) for _, values in made])
            row = (gene, track_name, -1, splits[windows[gene]], "", "", gene)
            for column, value in zip(units.values(), row, strict=True):
                column.append(value)
    matrix = np.array(scores)
    truth = np.ones(len(matrix), dtype=np.int8)
    reached = np.zeros(len(matrix), dtype=bool)
    return verdict_columns(units, np.sign(matrix).astype(np.int8), matrix, truth, reached)
