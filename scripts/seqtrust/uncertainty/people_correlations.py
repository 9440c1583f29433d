"""Correlations of predictions with expression, and of replicates, across people, per gene."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

PEARSON, SPEARMAN = "pearson", "spearman"
METHODS = (PEARSON, SPEARMAN)
LEAST_PEOPLE = 3

ROUNDING = 1e-12  # a correlation of ranks that is 0 is computed as a little more or less
_BLOCK = 128  # genes whose ranks are taken at once
_EXPLAINED = 1e-9  # what is left of a row that the covariates explain whole


def merged(values: Floats, tolerance: float) -> Floats:
    """Values with differences that mean nothing removed.

    Neighbours in order that are at most `tolerance` apart become their mean. Two haplotypes
    that differ only where the output cannot see have such predictions, and ranks would tell
    them apart.

    Args:
        values: shape (rows, people); NaN stays.
        tolerance: in units of `values`.
    """
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    steps = np.diff(ordered, axis=-1, prepend=ordered[:, :1]) > tolerance
    groups = np.cumsum(steps, axis=-1) + np.arange(len(values))[:, None] * values.shape[1]
    known = np.isfinite(ordered)
    sums = np.bincount(groups[known], ordered[known], minlength=values.size)
    counts = np.bincount(groups[known], minlength=values.size)
    single = counts[groups] == 1
    means = sums[groups] / np.maximum(counts[groups], 1)
    found = np.empty_like(values)
    np.put_along_axis(found, order, np.where(known & ~single, means, ordered), axis=-1)
    return found


def people_by_gene(known: Bools) -> Iterator[tuple[Integers, Integers]]:
    """Genes that are known for the same people, in blocks: (genes, people).

    Args:
        known: whether a person's values are known, shape (genes, people).
    """
    kinds: dict[bytes, list[int]] = {}
    for gene, row in enumerate(np.packbits(known, axis=1)):
        kinds.setdefault(row.tobytes(), []).append(gene)
    for genes in kinds.values():
        people = np.flatnonzero(known[genes[0]])
        for start in range(0, len(genes), _BLOCK):
            yield np.array(genes[start : start + _BLOCK]), people


def covariate_basis(covariates: Floats) -> Floats:
    """An orthonormal basis of the covariates and the intercept, shape (people, rank).

    Args:
        covariates: shape (people, covariates); without columns only the intercept.
    """
    design = np.column_stack([np.ones(len(covariates)), covariates])
    left, sizes, _ = np.linalg.svd(design, full_matrices=False)
    return left[:, sizes > sizes[0] * 1e-10]


def residuals(values: Floats, basis: Floats) -> Floats:
    """What a linear regression on the covariates leaves, row by row.

    Args:
        values: shape (..., people).
        basis: from `covariate_basis`.
    """
    centred = values - values.mean(axis=-1, keepdims=True)
    left = centred - (centred @ basis) @ basis.T
    explained = np.linalg.norm(left, axis=-1) <= _EXPLAINED * np.linalg.norm(centred, axis=-1)
    return np.where(explained[..., None], 0.0, left)


def standardised(values: Floats, method: str, basis: Floats | None = None) -> Floats:
    """Rows of mean 0 and length 1, so that a product of two rows is their correlation.

    A row that does not vary, also after the covariates, becomes zeros: its correlation with
    anything is 0, a tie.

    Args:
        values: complete values, shape (..., people).
        method: `pearson`, or `spearman` for ranks (of what the covariates leave).
        basis: of covariates that are regressed out first; None: only the mean.
    """
    if values.shape[-1] < LEAST_PEOPLE:
        return np.zeros(values.shape)
    varies = np.ptp(values, axis=-1) > 0
    if basis is not None and basis.shape[1] > 1:
        values = residuals(values, basis)
        varies &= np.ptp(values, axis=-1) > 0
    if method == SPEARMAN:
        values = rankdata(values, axis=-1)
    centred = values - values.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1)
    usable = varies & (length > 0)
    return np.where(usable[..., None], centred / np.where(usable, length, 1.0)[..., None], 0.0)


def correlations(
    predictions: Floats, measured: Floats, method: str, covariates: Floats | None = None
) -> Floats:
    """Correlation of every replicate with the expression of each gene, shape (R, G).

    Over the people whose prediction and expression are known; 0 where either does not vary.

    Args:
        predictions: shape (R, G, N), NaN where not known.
        measured: shape (G, N), NaN where not known.
        method: one of `METHODS`.
        covariates: shape (N, K), regressed out of both; None: nothing is.
    """
    found = np.zeros(predictions.shape[:2])
    for genes, people in people_by_gene(known_pairs(predictions, measured)):
        basis = None if covariates is None else covariate_basis(covariates[people])
        mine = predictions[:, genes][:, :, people]
        said = standardised(mine, method, basis)
        expressed = standardised(measured[np.ix_(genes, people)], method, basis)
        found[:, genes] = np.einsum("rgn,gn->rg", said, expressed)
    return cleaned(found)


def cleaned(found: Floats) -> Floats:
    """Correlations without what rounding adds: within [-1, 1], and 0 where they are 0."""
    return np.where(np.abs(found) <= ROUNDING, 0.0, np.clip(found, -1, 1))


def known_pairs(predictions: Floats, measured: Floats | None = None) -> Bools:
    """Whose prediction (of every replicate) and expression are known, shape (G, N)."""
    known: Bools = np.logical_and.reduce(np.isfinite(predictions), axis=0)
    if measured is None:
        return known
    return np.logical_and(known, np.isfinite(measured))


def pair_names(replicates: int) -> list[tuple[int, int]]:
    """The pairs of replicates, in the order of `pair_correlations`."""
    return list(combinations(range(replicates), 2))


def pair_correlations(predictions: Floats, method: str, covariates: Floats | None = None) -> Floats:
    """Correlation of every pair of replicates across people, shape (pairs, G).

    It asks whether two replicates order people alike, right or wrong; 0 where either does not
    vary.

    Args:
        predictions: shape (R, G, N), NaN where not known.
        method: one of `METHODS`.
        covariates: as in `correlations`.
    """
    pairs = pair_names(len(predictions))
    found = np.zeros((len(pairs), predictions.shape[1]))
    for genes, people in people_by_gene(known_pairs(predictions)):
        basis = None if covariates is None else covariate_basis(covariates[people])
        said = standardised(predictions[:, genes][:, :, people], method, basis)
        for row, (first, second) in enumerate(pairs):
            found[row, genes] = np.einsum("gn,gn->g", said[first], said[second])
    return cleaned(found)
