"""Which way the effect goes: Steiger filtering and both directions from disjoint instruments."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Effects, Estimate, Flags, paired
from seqtrust.mendelian.regression import ivw
from seqtrust.statistics import Floats

Estimator = Callable[[Effects, Effects], Estimate]


@dataclass(frozen=True)
class Steiger:
    """Which instruments act on the exposure first.

    Attributes:
        keeps: |effect on the exposure| over its scale is larger than on the outcome, shape
            (..., J).
        reverses: it is smaller.
        p: one-sided, that a kept instrument is not truly so; NaN without replicates or n.
    """

    keeps: Flags
    reverses: Flags
    p: Floats


def steiger(
    exposure: Effects,
    outcome: Effects,
    scale_exposure: npt.ArrayLike,
    scale_outcome: npt.ArrayLike,
    *,
    n: tuple[float, float] | None = None,
) -> Steiger:
    """Compare how much of exposure and outcome each instrument moves (Hemani et al. 2017).

    Args:
        exposure: shape (..., J).
        outcome: same instruments.
        scale_exposure: sd of the exposure over sequences, broadcast to (..., J): an effect over
            it is comparable between tasks.
        scale_outcome: of the outcome.
        n: sample sizes of both where effects over scales are correlations; the test is then that
            of Fisher's z. Without, a paired t test over replicates if there are any.

    Raises:
        InputError: a scale that is not positive, or correlations beyond 1.
    """
    a, b = np.asarray(scale_exposure, dtype=np.float64), np.asarray(scale_outcome, dtype=np.float64)
    if not ((a > 0).all() and (b > 0).all()):
        raise InputError("steiger: the scales of exposure and outcome must be positive sds")
    pairs = paired(exposure, outcome, least=1)
    x, y = np.abs(pairs.x / a), np.abs(pairs.y / b)
    p = np.full(x.shape, np.nan)
    if n is not None:
        if (x >= 1).any() or (y >= 1).any() or min(n) <= 3:
            raise InputError(
                "steiger: with n, effects over scales must be correlations below 1, and n above 3"
            )
        z = (np.arctanh(x) - np.arctanh(y)) / np.sqrt(1 / (n[0] - 3) + 1 / (n[1] - 3))
        p = ndtr(-np.abs(z))
    elif exposure.replicates is not None and outcome.replicates is not None:
        number = len(exposure.replicates)
        gap = np.sign(pairs.x) * exposure.replicates / a - np.sign(pairs.y) * outcome.replicates / b
        error = gap.std(axis=0, ddof=1) / np.sqrt(number)
        t = np.divide(np.abs(gap.mean(axis=0)), error, out=np.zeros_like(x), where=error > 0)
        p = stdtr(number - 1, -t)
    return Steiger(pairs.used & (x > y), pairs.used & (x < y), np.where(pairs.used, p, np.nan))


@dataclass(frozen=True)
class Directions:
    """Effects both ways, from disjoint sets of instruments.

    Attributes:
        forward: of the first on the second, from instruments that move the first more.
        reverse: of the second on the first, from instruments that move the second more.
        sets: the two sets of instruments.
    """

    forward: Estimate
    reverse: Estimate
    sets: tuple[Flags, Flags]


def bidirectional(
    first: Effects,
    second: Effects,
    scale_first: npt.ArrayLike,
    scale_second: npt.ArrayLike,
    estimator: Estimator = ivw,
    *,
    instruments: tuple[Flags, Flags] | None = None,
    largest_p: float | None = None,
) -> Directions:
    """Estimate both directions after Steiger filtering.

    Args:
        first: effects on the first task, shape (..., J).
        second: effects on the second task.
        scale_first: as in `steiger`.
        scale_second: as in `steiger`.
        estimator: of the effect.
        instruments: masks of what is an instrument for the first and for the second.
        largest_p: leave out instruments whose Steiger p is above it or not known.
    """
    told = steiger(first, second, scale_first, scale_second)
    sure = np.ones(told.keeps.shape, dtype=bool) if largest_p is None else told.p <= largest_p
    allowed = instruments or (np.True_, np.True_)
    forward, reverse = told.keeps & sure & allowed[0], told.reverses & sure & allowed[1]
    return Directions(
        estimator(first.keep(forward), second.keep(forward)),
        estimator(second.keep(reverse), first.keep(reverse)),
        (forward, reverse),
    )
