"""Moments of log counts: what sequencing depth does to an activity."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from seqtrust.robustness.checks import refuse_outside

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# largest mean count
_MOST = 1e8
# a count beyond this share of its distribution does not matter
_TAIL = 1e-10
_POINTS = 768
_LOG_MEANS = np.linspace(np.log(1e-3), np.log(_MOST), 400)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True)
class CountSettings:
    """Negative-binomial counts of replicates, which are summed.

    A replicate's count has variance mean + mean^2 / size; so the sum has R times the mean and
    R times the size. With the default size the counting noise at log2 activity 0 and 30 barcodes is
    near the psi / depth of the Gaussian mode.

    Attributes:
        size: of one replicate.
        replicates: R.

    Raises:
        InputError: a value makes no sense.
    """

    size: float = 50.0
    replicates: int = 3

    def __post_init__(self) -> None:
        refuse_outside("counts", "size", self.size, 1e-3, np.inf)
        refuse_outside("counts", "replicates", self.replicates, 1, np.inf)

    def draw(self, mean: Floats, rng: np.random.Generator) -> Integers:
        """Summed counts.

        Args:
            mean: of one replicate, shape (N,).
            rng: of the draws.
        """
        size, total = self.size * self.replicates, self.replicates * mean
        return rng.poisson(total * rng.gamma(size, 1 / size, size=mean.shape))

    def log_ratio_moments(
        self, depth: Floats, activity: Floats, sd: Floats
    ) -> tuple[Floats, Floats]:
        """Mean and sd of log2((RNA + 1) / (DNA + 1)), shape (N,) each.

        DNA has mean `depth` per replicate, RNA depth x 2^a, where a is Gaussian. Over counts by
        summation, over a by Gauss-Hermite quadrature.

        Args:
            depth: shape (N,).
            activity: mean of a, log2, shape (N,).
            sd: of a, shape (N,).
        """
        total = self.replicates * depth
        size = self.size * self.replicates
        dna_mean, dna_variance = log_count_moments(total, size)
        values = activity[:, None] + sd[:, None] * _NODES
        mean, variance = log_count_moments(total[:, None] * np.exp2(values), size)
        weights = _WEIGHTS / _WEIGHTS.sum()
        rna_mean = mean @ weights
        spread = np.square(mean - rna_mean[:, None]) @ weights
        return rna_mean - dna_mean, np.sqrt(dna_variance + variance @ weights + spread)


def log_count_moments(mean: Floats, size: float) -> tuple[Floats, Floats]:
    """Mean and variance of log2(X + 1) of negative-binomial X, the shape of `mean`.

    Interpolated in the logarithm of the mean between sums over the distribution; off by less than
    2e-4.

    Args:
        mean: of X; below 1e-3 it counts as 1e-3.
        size: variance = mean + mean^2 / size.

    Raises:
        InputError: a mean is larger than 1e8.
    """
    refuse_outside("counts", "largest mean count", float(np.max(mean)), 0, _MOST)
    table = _table(size)
    at = np.log(mean)
    return np.interp(at, _LOG_MEANS, table[0]), np.interp(at, _LOG_MEANS, table[1])


@lru_cache(maxsize=8)
def _table(size: float) -> Floats:
    """Means and variances of log2(X + 1) at the means of the table, shape (2, points)."""
    from scipy.stats import nbinom

    means = np.exp(_LOG_MEANS)
    chance = size / (size + means)
    first = np.asarray(nbinom.ppf(_TAIL, size, chance))
    last = np.asarray(nbinom.isf(_TAIL, size, chance)) + 1
    return np.array([_summed(*row, size) for row in zip(means, first, last, strict=True)]).T


def _summed(mean: float, first: float, last: float, size: float) -> tuple[float, float]:
    """Sums over every count, or over points that stand for their neighbours if there are many."""
    if last - first <= 2 * _POINTS:
        points = np.arange(first, last + 1)
        widths = np.ones_like(points)
    else:
        near = np.arange(first, first + _POINTS)
        points = np.unique(np.r_[near, np.rint(np.geomspace(near[-1] + 1, last, _POINTS))])
        widths = np.gradient(points)
    log_mass = (
        gammaln(points + size) - gammaln(points + 1)
        + points * np.log(mean / (size + mean))
    )  # fmt: skip
    mass = np.exp(log_mass - log_mass.max()) * widths
    mass /= mass.sum()
    values = np.log2(points + 1)
    average = float(values @ mass)
    return average, float(np.square(values - average) @ mass)
