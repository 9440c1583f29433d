"""Intervals and resampling that several analyses share."""

import warnings
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

Floats = npt.NDArray[np.float64]


def wilson(count: int, total: int, coverage: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a fraction; (NaN, NaN) of nothing (Wilson 1927)."""
    if total == 0:
        return float("nan"), float("nan")
    interval = binomtest(count, total).proportion_ci(coverage, method="wilson")
    return float(interval.low), float(interval.high)


def locus_bootstrap(
    sums: Floats,
    loci: Sequence[Hashable],
    statistic: Callable[[Floats], Floats],
    seed: int,
    rounds: int = 1000,
) -> tuple[Floats, Floats]:
    """95 % percentile interval of a function of sums, resampling whole loci.

    Rows of one locus are not independent, so loci are drawn with replacement, not rows.

    Args:
        sums: additive quantities per row, shape (N, K).
        loci: locus of each row.
        statistic: maps sums of shape (..., K) to values of shape (..., S).
        seed: seed of the draw.
        rounds: number of resamples.

    Returns:
        Lower and upper bounds, shape (S,) each.
    """
    _, index = np.unique(np.array([str(locus) for locus in loci]), return_inverse=True)
    per_locus = np.zeros((index.max() + 1, sums.shape[1]))
    np.add.at(per_locus, index, sums)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(per_locus), np.full(len(per_locus), 1 / len(per_locus)), rounds)
    values = statistic(draws.astype(np.float64) @ per_locus)
    # a statistic without a denominator is NaN in every round, and its interval is NaN
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanpercentile(values, [2.5, 97.5], axis=0)
    return low, high
