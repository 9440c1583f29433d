"""Correlation of the effects of two replicates: fine-mapped eQTLs against matched negatives."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from seqtrust.statistics import Floats, locus_bootstrap
from seqtrust.uncertainty.eqtls import NEGATIVES, POSITIVES, split_parts, stacked
from seqtrust.verdicts import OUT_OF_REACH

MATCHED_POSITIVES, MATCHED_NEGATIVES = "matched positives", "matched negatives"
MEAN = "mean"
SCALES = {"difference": "effects", "relative": "relative"}
COEFFICIENTS = ("Pearson", "Spearman")

TABLE = (
    "score", "tissue", "split", "kind", "scale", "coefficient", "first", "second", "value",
    "low", "high", "units", "loci",
)  # fmt: skip
MATCHING = (
    "score", "tissue", "attribute", "positives", "negatives", "matched", "difference_before",
    "difference_after",
)  # fmt: skip


def pair_table(units: pd.DataFrame, caliper: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Correlations of every two replicates per score, tissue, split, kind and scale.

    Tissues are kept apart, because their tracks have scales of their own. Units out of reach
    are left out: their effects are rounding. The rows of `MEAN` are the mean over all pairs.

    Args:
        units: the units of all scores.
        caliper: see `matched`.
        seed: of matching and bootstrap.

    Returns:
        The correlations with bootstrap intervals over loci, and how well the matching went.
    """
    rows: list[tuple[Any, ...]] = []
    balance: list[tuple[Any, ...]] = []
    reached = units[units["class"] != OUT_OF_REACH]
    for (score, tissue), mine in reached.groupby(["score", "tissue"], sort=False):
        groups = matched_groups(mine, caliper, seed)
        if MATCHED_POSITIVES in groups:
            balance += [(score, tissue, *row) for row in _balance(groups, mine)]
        for kind, group in groups.items():
            for split, part in split_parts(group) if len(group) else ():
                place = score, tissue, split, kind
                rows += [(*place, *row) for row in _correlations(part, seed)]
    table = pd.DataFrame(rows, columns=list(TABLE))
    return table, pd.DataFrame(balance, columns=list(MATCHING))


def matched_groups(units: pd.DataFrame, caliper: float, seed: int) -> dict[str, pd.DataFrame]:
    """The units by kind, and where both are there the matched ones, as many of either.

    Args:
        units: of one score and tissue.
        caliper: see `matched`.
        seed: of the order of matching.
    """
    positives, negatives = (units[units["kind"] == kind] for kind in (POSITIVES, NEGATIVES))
    groups = {POSITIVES: positives, NEGATIVES: negatives}
    if len(positives) and len(negatives):
        covariates = _covariates(positives, units), _covariates(negatives, units)
        pairs = matched(*covariates, caliper, seed)
        groups[MATCHED_POSITIVES] = positives.iloc[pairs[:, 0]]
        groups[MATCHED_NEGATIVES] = negatives.iloc[pairs[:, 1]]
    return groups


def _covariates(units: pd.DataFrame, every: pd.DataFrame) -> Floats:
    """What is matched on, shape (N, 1 or 2): log10 distance and, if all have it, the MAF."""
    columns = [np.log10(1 + np.abs(units["distance"].to_numpy(dtype=np.float64)))]
    if every["maf"].notna().all():
        columns.append(units["maf"].to_numpy(dtype=np.float64))
    return np.stack(columns, axis=1)


def matched(
    positives: Floats, negatives: Floats, caliper: float, seed: int
) -> npt.NDArray[np.int64]:
    """Pairs of a positive and its nearest negative, each used once.

    Positives choose in random order. The distance is the largest difference of a covariate, in
    units of its standard deviation among positives.

    Args:
        positives: covariates, shape (N, K).
        negatives: covariates, shape (M, K).
        caliper: largest distance of a pair; a positive without a negative there has none.
        seed: of the order.

    Returns:
        Rows of positives and negatives, shape (pairs, 2), by positive.
    """
    spread = positives.std(axis=0)
    spread[spread == 0] = 1.0
    free = np.ones(len(negatives), dtype=bool)
    pairs = []
    for row in np.random.default_rng(seed).permutation(len(positives)):
        apart = np.abs((negatives - positives[row]) / spread).max(axis=1)
        apart[~free] = np.inf
        best = int(np.argmin(apart))
        if apart[best] <= caliper:
            free[best] = False
            pairs.append((int(row), best))
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def _balance(groups: dict[str, pd.DataFrame], every: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Standardised mean differences, positives minus negatives, before and after matching."""
    values = {kind: _covariates(group, every) for kind, group in groups.items()}
    counts = [len(values[kind]) for kind in (POSITIVES, NEGATIVES, MATCHED_POSITIVES)]
    for column, name in enumerate(("log10(1 + distance)", "maf")[: values[POSITIVES].shape[1]]):
        of = {kind: found[:, column] for kind, found in values.items()}
        spread = of[POSITIVES].std() or 1.0
        before = (of[POSITIVES].mean() - of[NEGATIVES].mean()) / spread
        after = np.nan
        if counts[2]:
            after = (of[MATCHED_POSITIVES].mean() - of[MATCHED_NEGATIVES].mean()) / spread
        yield name, *counts, before, after


def _correlations(units: pd.DataFrame, seed: int) -> Iterator[tuple[Any, ...]]:
    """The columns of `TABLE` from scale on, for every pair and their mean."""
    for scale, column in SCALES.items():
        values = stacked(units, column)
        known = np.isfinite(values).all(axis=1)
        if known.sum() < 3:
            continue
        loci = units["locus"].to_numpy()[known]
        for coefficient in COEFFICIENTS:
            used = values[known]
            if coefficient == "Spearman":
                used = np.stack([rankdata(replicate) for replicate in used.T], axis=1)
            yield from _of_pairs((scale, coefficient), used, loci, seed)


def _of_pairs(
    place: tuple[str, str], values: Floats, loci: npt.NDArray[np.str_], seed: int
) -> Iterator[tuple[Any, ...]]:
    pairs = list(combinations(range(values.shape[1]), 2))
    first, second = np.array(pairs).T
    scaled = values - values.mean(axis=0)
    scaled /= np.where(scaled.std(axis=0) > 0, scaled.std(axis=0), 1.0)
    sums = np.column_stack([np.ones(len(scaled)), scaled, scaled**2,
                            scaled[:, first] * scaled[:, second]])  # fmt: skip
    replicates = values.shape[1]

    def correlations(total: Floats) -> Floats:
        mean = total[..., 1:] / total[..., :1]
        centre, square = mean[..., :replicates], mean[..., replicates : 2 * replicates]
        # a replicate without variation has no correlation
        variance = np.where(square - centre**2 > 1e-12, square - centre**2, np.nan)
        product = mean[..., 2 * replicates :] - centre[..., first] * centre[..., second]
        r = product / np.sqrt(variance[..., first] * variance[..., second])
        return np.concatenate([r, r.mean(axis=-1, keepdims=True)], axis=-1)

    values_of_pairs = correlations(sums.sum(axis=0))
    low, high = locus_bootstrap(sums, list(loci), correlations, seed)
    names = [(f"r{a + 1}", f"r{b + 1}") for a, b in pairs]
    for index, (one, two) in enumerate([*names, (MEAN, MEAN)]):
        yield (*place, one, two, values_of_pairs[index], low[index], high[index], len(values),
               len(set(loci.tolist())))  # fmt: skip
