"""What more replicates would say: bounds on class fractions, from those that there are.

If the replicates of a row are draws from one law, the number of correct ones is binomial with the
row's own probability p of a right call. How p is distributed over rows (the mixing law) is
unknown beyond its first R moments, so R replicates do not say what M > R would. The bounds are
sharp: over all mixing laws that give the observed counts. A beta law is a guess, and labelled.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linprog, minimize
from scipy.special import betaln
from scipy.stats import binom, norm

from seqtrust.errors import InputError
from seqtrust.statistics import Floats
from seqtrust.uncertainty.eqtl_classes import fractions_of_counts
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT

CLASSES = (CORRECT, INCONSISTENT, INCORRECT)
EXACT, SAMPLED = "observed counts", "counts within their sampling error"
TABLE = (
    "score", "tissue", "split", "replicates", "class", "matching", "lower", "upper",
    "beta_binomial", "observed_replicates", "units", "misfit",
)  # fmt: skip
_GRID_STEPS = 400
_SLACK = 1e-9
_FITTING = 1e-6
_LARGEST_LOG_SHAPE = 12.0


def class_curve(p: Floats, replicates: int, name: str) -> Floats:
    """Probability of a class among some replicates, given the probability of a right call."""
    right, wrong = p**replicates, (1 - p) ** replicates
    return {CORRECT: right, INCORRECT: wrong, INCONSISTENT: 1 - right - wrong}[name]


def grid() -> Floats:
    """Probabilities on which mixing laws live: dense towards 0 and 1, where unanimity is made."""
    angle = np.linspace(0, np.pi / 2, _GRID_STEPS + 1)
    return np.sin(angle) ** 2


class MixingLaws:
    """All laws of p on a grid that give the observed counts of correct replicates.

    `misfit` is the least total distance of a law's fractions from the allowed ones; 0 if one fits.
    """

    def __init__(self, counts: Sequence[int], sampled: bool, coverage: float = 0.95) -> None:
        """Describe the laws.

        Args:
            counts: rows by the number of correct replicates, 0 to R.
            sampled: whether fractions may lie anywhere within their sampling error (simultaneous
                normal intervals that treat rows as independent), not only at the observed value.
            coverage: of all of these intervals together.

        Raises:
            InputError: there are no rows, or fewer than two replicates.
        """
        observed = np.asarray(counts, dtype=np.float64)
        if len(observed) < 3 or observed.sum() <= 0:
            raise InputError(
                f"bounds need the counts of 0 to R correct replicates, R at least 2, of at least "
                f"one row; found {list(counts)}"
            )
        self.replicates = len(observed) - 1
        self.p = grid()
        numbers = np.arange(self.replicates + 1)
        self._matrix = binom.pmf(numbers[:, None], self.replicates, self.p)
        self._fractions = observed / observed.sum()
        self._band = np.zeros(len(observed))
        if sampled:
            quantile = norm.isf((1 - coverage) / (2 * len(observed)))
            # a count of 0 has an error too: that of one row
            spread = np.maximum(self._fractions * (1 - self._fractions), 1 / observed.sum())
            self._band = quantile * np.sqrt(spread / observed.sum())
        self.misfit = self._smallest_misfit()

    def _smallest_misfit(self) -> float:
        number, size = len(self._fractions), len(self.p)
        slack = np.eye(number)
        upper = np.hstack([self._matrix, -slack])
        lower = np.hstack([-self._matrix, -slack])
        return _least(
            np.concatenate([np.zeros(size), np.ones(number)]),
            np.vstack([upper, lower]),
            np.concatenate([self._fractions + self._band, self._band - self._fractions]),
            np.concatenate([np.ones(size), np.zeros(number)]),
        )

    def bounds(self, curve: Floats) -> tuple[float, float]:
        """Smallest and largest mean of a function of p, shape of the grid, over the laws.

        NaN where no law gives the counts: replicates are not draws from one law, or rows are
        too few for the counts to be near what they would be on average.
        """
        if self.misfit > _FITTING:
            return float("nan"), float("nan")
        matrix = np.vstack([self._matrix, -self._matrix])
        allowed = self._band + self.misfit + _SLACK
        limits = np.concatenate([self._fractions + allowed, allowed - self._fractions])
        smallest, negated = (
            _least(sign * curve, matrix, limits, np.ones(len(self.p))) for sign in (1.0, -1.0)
        )
        return smallest, -negated


def _least(cost: Floats, matrix: Floats, limits: Floats, sums: Floats) -> float:
    """The least cost of x >= 0 with matrix x <= limits and sums x = 1.

    Raises:
        InputError: the solver finds none.
    """
    found = linprog(cost, A_ub=matrix, b_ub=limits, A_eq=sums[None, :], b_eq=[1.0])
    if found.fun is None:
        raise InputError(f"no mixing law fits the counts of correct replicates: {found.message}")
    return float(found.fun)


def beta_binomial_fit(counts: Sequence[int]) -> tuple[float, float]:
    """Shapes (a, b) of the beta law of p that makes the counts most likely.

    Args:
        counts: rows by the number of correct replicates, 0 to R.
    """
    observed = np.asarray(counts, dtype=np.float64)
    total, numbers = len(observed) - 1, np.arange(len(observed))

    def loss(log_shapes: Floats) -> float:
        a, b = np.exp(np.clip(log_shapes, -_LARGEST_LOG_SHAPE, _LARGEST_LOG_SHAPE))
        # the binomial coefficients do not depend on the shapes
        likelihood = betaln(numbers + a, total - numbers + b) - betaln(a, b)
        return -float(observed @ likelihood) / observed.sum()

    options: Any = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000}
    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options=options)
    a, b = np.exp(np.clip(found.x, -_LARGEST_LOG_SHAPE, _LARGEST_LOG_SHAPE))
    return float(a), float(b)


def beta_binomial_class(shapes: tuple[float, float], replicates: int, name: str) -> float:
    """Fraction of a class with some number of replicates, if p has a beta law."""
    a, b = shapes
    right = float(np.exp(betaln(a + replicates, b) - betaln(a, b)))
    wrong = float(np.exp(betaln(a, b + replicates) - betaln(a, b)))
    return {CORRECT: right, INCORRECT: wrong, INCONSISTENT: 1 - right - wrong}[name]


def bound_rows(counts: Sequence[int], replicates: Sequence[int]) -> list[tuple[Any, ...]]:
    """The rows of one distribution of correct replicates, from `replicates` of `TABLE` on.

    The observed number of replicates is a row too, whose bounds are the observed fractions.

    Args:
        counts: rows by the number of correct replicates, 0 to R.
        replicates: numbers of replicates to say something of.
    """
    observed, units = len(counts) - 1, int(np.sum(counts))
    laws = {EXACT: MixingLaws(counts, False), SAMPLED: MixingLaws(counts, True)}
    shapes = beta_binomial_fit(counts)
    rows: list[tuple[Any, ...]] = []
    for number in sorted({observed, *replicates}):
        for name in CLASSES:
            guess = beta_binomial_class(shapes, number, name)
            for matching, law in laws.items():
                low, high = law.bounds(class_curve(law.p, number, name))
                rows.append((number, name, matching, low, high, guess, observed, units, law.misfit))
    return rows


def bound_table(counts: pd.DataFrame, replicates: Sequence[int]) -> pd.DataFrame:
    """Bounds for every score, tissue and data split.

    Args:
        counts: from `seqtrust.uncertainty.eqtl_classes.correct_counts`.
        replicates: numbers of replicates to say something of.
    """
    rows: list[tuple[Any, ...]] = []
    numbered = [name for name in counts.columns if name.startswith("correct_")]
    for row in counts[counts["n"] > 0].to_dict("records"):
        mine = [int(row[name]) for name in numbered if np.isfinite(row[name])]
        place = row["score"], row["tissue"], row["split"]
        rows += [(*place, *found) for found in bound_rows(mine, replicates)]
    return pd.DataFrame(rows, columns=list(TABLE))


def observed_fractions(counts: Sequence[int]) -> dict[str, float]:
    """The class fractions of the counts, by class."""
    found = fractions_of_counts(np.asarray(counts, dtype=np.float64))
    return dict(zip(CLASSES, found.tolist(), strict=True))
