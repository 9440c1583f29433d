"""Programs of cell types: weights of terms, and what follows from the terms' moments."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError
from seqtrust.robustness.checks import refuse_outside

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Program:
    """A cell type's mean activity: intercept + terms @ coefficients, log2.

    Attributes:
        intercept: log2 activity.
        motifs: weights of the K features, shape (K,).
        pairs: weights of the pairs, shape (P,).
        gc: weight of GC content.
    """

    intercept: float
    motifs: Floats
    pairs: Floats
    gc: float

    @property
    def coefficients(self) -> Floats:
        """Weights in the order of the terms, shape (K + P + 1,)."""
        return np.concatenate([self.motifs, self.pairs, [self.gc]])

    def activity(self, terms: Floats) -> Floats:
        """Mean activity, shape (N,), of terms of shape (N, K + P + 1)."""
        return self.intercept + terms @ self.coefficients


@dataclass(frozen=True)
class Moments:
    """Mean, shape (F,), and covariance, shape (F, F), of terms over training sequences."""

    mean: Floats
    covariance: Floats

    @classmethod
    def of(cls, terms: Floats) -> "Moments":
        """Moments of terms of shape (N, F)."""
        return cls(terms.mean(axis=0), np.atleast_2d(np.cov(terms, rowvar=False, ddof=0)))

    def activity(self, program: Program) -> float:
        """Mean activity."""
        return float(program.intercept + self.mean @ program.coefficients)

    def variance(self, program: Program) -> float:
        """Variance of activity between sequences."""
        return float(program.coefficients @ self.covariance @ program.coefficients)

    def correlation(self, first: Program, second: Program) -> float:
        """Correlation of two programs' activities."""
        product = first.coefficients @ self.covariance @ second.coefficients
        return float(product / np.sqrt(self.variance(first) * self.variance(second)))

    def squared_difference(self, first: Program, second: Program) -> float:
        """Mean squared difference of two programs' activities."""
        change = first.coefficients - second.coefficients
        offset = self.activity(first) - self.activity(second)
        return float(change @ self.covariance @ change + offset**2)

    def centred(self, program: Program, mean: float = 0.0) -> Program:
        """The program with the intercept at which its mean activity is `mean`."""
        return replace(program, intercept=program.intercept + mean - self.activity(program))


def rewired(program: Program, moments: Moments, rho: float, rng: np.random.Generator) -> Program:
    """A program whose additive part correlates by rho with the old one.

    With S the covariance of features, beta' = rho beta + sqrt(1 - rho^2) v, where v is random,
    S-orthogonal to beta and as long. Pairs are scaled by rho, and the intercept is set so that
    the mean activity stays.

    Args:
        program: the old one.
        moments: of terms.
        rho: from 0 to 1.
        rng: of v, which does not depend on rho.

    Raises:
        InputError: rho lies outside, or there is only one motif.
    """
    refuse_outside("rewiring", "rho", rho, 0, 1)
    beta = program.motifs
    if len(beta) < 2:
        raise InputError("rewiring needs two motifs or more: with one there is nothing to turn to")
    metric = moments.covariance[: len(beta), : len(beta)]
    length = beta @ metric @ beta
    v = rng.standard_normal(len(beta))
    v -= beta * (beta @ metric @ v) / length
    v *= np.sqrt(length / (v @ metric @ v))
    turned = replace(
        program, motifs=rho * beta + np.sqrt(1 - rho**2) * v, pairs=rho * program.pairs
    )
    return moments.centred(turned, moments.activity(program))
