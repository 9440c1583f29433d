"""Recalibrating what replicates predict before effects are taken, for Mendelian randomization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression
from scipy.special import ndtr, ndtri

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Effects
from seqtrust.statistics import Floats

LEVELS = 100  # of the published calibration curve
FARTHEST = 1e-12  # from 0 and 1, of a level that is turned back into a value


def variance_factor(members: npt.ArrayLike, observed: npt.ArrayLike) -> Floats:
    """The factor mean((y - mean)^2 / sd^2) on variances, per task: the Gaussian maximum likelihood.

    Args:
        members: predictions of E replicates on a recalibration set, shape (E, N, T).
        observed: shape (N, T); NaN is left out.

    Raises:
        InputError: wrong shapes, or replicates that do not differ somewhere.
    """
    mean, sd, y = _moments(members, observed)
    return np.nanmean(((y - mean) / sd) ** 2, axis=0)


def scaled(effects: Effects, factor: float) -> Effects:
    """Effects whose variances and covariances are multiplied by a factor; means stay.

    Args:
        effects: with or without replicates.
        factor: of `variance_factor`.

    Raises:
        InputError: a factor that is not positive.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise InputError(f"a factor on variances must be positive and finite; found {factor}")
    root = np.sqrt(factor)
    replicates = effects.replicates
    if replicates is not None:
        centre = replicates.mean(axis=0)
        replicates = centre + root * (replicates - centre)
    return Effects(effects.beta, effects.se * root, replicates, effects.position, effects.locus)


@dataclass(frozen=True)
class LevelMap:
    """A monotone map of levels, applied to predictions of replicates of one task.

    Attributes:
        given: levels in, increasing.
        told: levels out.
        keeps_mean: members are shifted back so that their mean stays.
    """

    given: Floats
    told: Floats
    keeps_mean: bool

    def apply(self, members: npt.ArrayLike) -> Floats:
        """Replace every member's value by the one at its mapped level.

        A member's level is that of the normal law with the members' mean and sd (ddof 0) at that
        sequence, so that ranks of members stay, and joint draws of reference and mutants too.

        Args:
            members: shape (E, ...).
        """
        values = np.asarray(members, dtype=np.float64)
        mean, sd = values.mean(axis=0), values.std(axis=0)
        z = np.divide(values - mean, sd, out=np.zeros_like(values), where=sd > 0)
        level = np.interp(ndtr(z), self.given, self.told)
        if self.keeps_mean:
            moved = mean + sd * ndtri(np.clip(level, FARTHEST, 1 - FARTHEST))
            return np.where(sd > 0, moved + mean - moved.mean(axis=0), values)
        # published: levels that reach 0 or 1 become infinite, and are dropped later
        return np.where(sd > 0, mean + sd * ndtri(level), values)


def fit_levels(members: npt.ArrayLike, observed: npt.ArrayLike) -> LevelMap:
    """Isotonic recalibration of quantiles (Kuleshov et al. 2018), keeping means.

    R(p) is the share of observations at or below the forecast's quantile of level p; the value
    at level q of the recalibrated law is that of level R^-1(q) of the forecast.

    Args:
        members: predictions of one task on a recalibration set, shape (E, N).
        observed: shape (N,); NaN is left out.
    """
    mean, sd, y = _moments(members, observed)
    p = np.sort(ndtr((y - mean) / sd)[np.isfinite(y)])
    reached = np.arange(1, len(p) + 1) / (len(p) + 1)
    # the map of quantiles is the inverse: level wanted -> level of the forecast
    given = np.concatenate([[0.0], reached, [1.0]])
    return LevelMap(given, np.concatenate([[0.0], p, [1.0]]), True)


def fit_published_levels(members: npt.ArrayLike, observed: npt.ArrayLike) -> LevelMap:
    """The map of the published code, which is wrong: of intervals, applied to quantiles.

    It is fitted on how often central intervals cover, and then read as a map of quantiles, which
    moves all members of an overconfident ensemble upwards.

    Args:
        members: predictions of one task, shape (E, N).
        observed: shape (N,); NaN is left out.
    """
    mean, sd, y = _moments(members, observed)
    z = np.abs((y - mean) / sd)[np.isfinite(y)]
    stated = np.linspace(0, 1, LEVELS)
    covered = (z[:, None] <= ndtri(0.5 + stated / 2)).mean(axis=0)
    order = np.lexsort((stated, covered))
    fitted = isotonic_regression(stated[order]).x
    unique, index = np.unique(covered[order], return_inverse=True)
    told = np.bincount(index, fitted) / np.bincount(index)
    return LevelMap(unique, told, False)


def _moments(members: npt.ArrayLike, observed: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    values, y = np.asarray(members, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    if values.shape[1:] != y.shape or len(values) < 2:
        raise InputError(
            f"recalibration: members have shape {values.shape}, expected (replicates, "
            f"{', '.join(map(str, y.shape))}) with at least two replicates"
        )
    sd = values.std(axis=0)
    if (sd[np.isfinite(y)] <= 0).any():
        raise InputError("recalibration: all replicates predict the same somewhere")
    return values.mean(axis=0), np.where(sd > 0, sd, np.nan), y
