"""Mending stated uncertainty on calibration data; what is fitted refuses its own groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit

from seqtrust.calibration.classification import Labelled
from seqtrust.calibration.forecasts import Forecasts, weighted_mean
from seqtrust.calibration.grouping import Floats, refuse_overlap
from seqtrust.calibration.regression import LEVELS, gaussian_intervals
from seqtrust.errors import InputError


@dataclass(frozen=True)
class VarianceScaling:
    """Stated variances times a factor per track, means unchanged.

    Attributes:
        factor: of the variance, shape (T,).
        groups: what it was fitted on.
    """

    factor: Floats
    groups: frozenset[str]

    def apply(self, forecasts: Forecasts) -> Forecasts:
        """The forecasts with scaled sds.

        Raises:
            InputError: a group was fitted on.
        """
        refuse_overlap(self.groups, forecasts.groups)
        return forecasts.with_sd(forecasts.sd * np.sqrt(self.factor))

    def intervals(
        self, forecasts: Forecasts, levels: Sequence[float] | Floats = LEVELS
    ) -> tuple[Floats, Floats]:
        """Central intervals, lower and upper ends of shape (L, N, T)."""
        return gaussian_intervals(self.apply(forecasts), levels)


def fit_variance_scaling(calibration: Forecasts) -> VarianceScaling:
    """The factor mean z^2, which maximises the Gaussian likelihood of the calibration data.

    Raises:
        InputError: an sd is 0, a track has no observation, or all its forecasts are exact.
    """
    calibration.refuse_unmeasured("variance scaling")
    calibration.refuse_points("variance scaling")
    factor = weighted_mean(calibration.z**2, calibration.row_weights)
    if (factor == 0).any():
        raise InputError(
            f"variance scaling: all forecasts of track {int(np.argmin(factor))} are exact on the "
            "calibration data, so that its scaled variance would be 0: leave the track out"
        )
    return VarianceScaling(factor, _groups(calibration))


@dataclass(frozen=True)
class IsotonicRecalibration:
    """Levels of the forecast replaced by how often they held (Kuleshov et al. 2018).

    The map from a stated level to the fraction of calibration data at or below it is monotone
    by construction, so it is its own isotonic regression. It is interpolated in z, where levels
    near 1 are not lost to rounding; beyond the calibration data it is 0 or 1, and intervals end
    at the most extreme z seen.

    Attributes:
        central: the map is of central intervals, q -> 1/2 + sign(q - 1/2) R(|2q - 1|) / 2, and
            keeps them symmetric; otherwise of quantiles, and mends bias too.
        knots: per track sorted different z, or |z| if `central`.
        reached: per track the fraction of calibration data at or below each knot.
        groups: what it was fitted on.
    """

    central: bool
    knots: tuple[Floats, ...]
    reached: tuple[Floats, ...]
    groups: frozenset[str]

    def probability(self, forecasts: Forecasts) -> Floats:
        """Recalibrated probability of a value up to the observed one, shape (N, T).

        Raises:
            InputError: an sd is 0, or a group was fitted on.
        """
        self._check(forecasts)
        z = np.abs(forecasts.z) if self.central else forecasts.z
        parts = zip(z.T, self.knots, self.reached, strict=True)
        columns = [np.interp(column, x, y, left=0.0, right=1.0) for column, x, y in parts]
        level = np.stack(columns, axis=1)
        value = 0.5 + np.sign(forecasts.z) * level / 2 if self.central else level
        return np.where(forecasts.measured, value, np.nan)

    def intervals(
        self, forecasts: Forecasts, levels: Sequence[float] | Floats = LEVELS
    ) -> tuple[Floats, Floats]:
        """Central intervals, lower and upper ends of shape (L, N, T).

        Raises:
            InputError: an sd is 0, or a group was fitted on.
        """
        self._check(forecasts)
        wanted = np.asarray(levels, dtype=np.float64)
        if self.central:
            high = self._z_at(wanted)
            low = -high
        else:
            low, high = self._z_at((1 - wanted) / 2), self._z_at((1 + wanted) / 2)
        mean, sd = forecasts.mean, forecasts.sd
        return mean + low[:, None] * sd, mean + high[:, None] * sd

    def _z_at(self, levels: Floats) -> Floats:
        """The z (or |z|) at recalibrated levels, shape (L, T)."""
        parts = zip(self.knots, self.reached, strict=True)
        return np.stack([np.interp(levels, y, x) for x, y in parts], axis=1)

    def _check(self, forecasts: Forecasts) -> None:
        refuse_overlap(self.groups, forecasts.groups)
        forecasts.refuse_points("isotonic recalibration")


def fit_isotonic(calibration: Forecasts, central: bool = False) -> IsotonicRecalibration:
    """Fit the map of levels.

    Args:
        calibration: forecasts and observations.
        central: map central intervals, not quantiles.

    Raises:
        InputError: an sd is 0, or a track has no observation.
    """
    calibration.refuse_unmeasured("isotonic recalibration")
    calibration.refuse_points("isotonic recalibration")
    z = np.abs(calibration.z) if central else calibration.z
    knots, reached = [], []
    for column, weights in zip(z.T, calibration.row_weights.T, strict=True):
        x, index = np.unique(column[weights > 0], return_inverse=True)
        share = np.bincount(index, weights[weights > 0]).cumsum()
        knots.append(x)
        reached.append(share / share[-1])
    return IsotonicRecalibration(central, tuple(knots), tuple(reached), _groups(calibration))


@dataclass(frozen=True)
class IsotonicProbability:
    """Probability as a monotone function of a score, per track (Zadrozny and Elkan 2002).

    Attributes:
        knots: per track sorted different scores.
        values: per track the probability at each; linear between, constant beyond.
        groups: what it was fitted on.
    """

    knots: tuple[Floats, ...]
    values: tuple[Floats, ...]
    groups: frozenset[str]

    def apply(self, labelled: Labelled) -> Labelled:
        """The same rows with probabilities for scores.

        Raises:
            InputError: a group was fitted on.
        """
        refuse_overlap(self.groups, labelled.groups)
        parts = zip(labelled.scores.T, self.knots, self.values, strict=True)
        columns = [np.interp(column, x, y) for column, x, y in parts]
        return labelled.with_scores(np.stack(columns, axis=1))


def fit_isotonic_probability(calibration: Labelled) -> IsotonicProbability:
    """Isotonic regression of labels on scores; equal scores share their mean label.

    Where only one class was seen the probability is 0 or 1 throughout.
    """
    knots, values = [], []
    columns = zip(
        calibration.scores.T, calibration.labels.T, calibration.row_weights.T, strict=True
    )
    for scores, labels, weights in columns:
        known = weights > 0
        x, index = np.unique(scores[known], return_inverse=True)
        total = np.bincount(index, weights[known])
        mean = np.bincount(index, weights[known] * labels[known]) / total
        knots.append(x)
        values.append(np.asarray(isotonic_regression(mean, weights=total).x, dtype=np.float64))
    return IsotonicProbability(tuple(knots), tuple(values), frozenset(calibration.groups.tolist()))


@dataclass(frozen=True)
class PlattScaling:
    """Probability 1 / (1 + exp(-(slope score + offset))), per track.

    Attributes:
        slope: shape (T,), per unit of score.
        offset: shape (T,).
        groups: what it was fitted on.
    """

    slope: Floats
    offset: Floats
    groups: frozenset[str]

    def apply(self, labelled: Labelled) -> Labelled:
        """The same rows with probabilities for scores.

        Raises:
            InputError: a group was fitted on.
        """
        refuse_overlap(self.groups, labelled.groups)
        return labelled.with_scores(expit(self.slope * labelled.scores + self.offset))


def fit_platt(calibration: Labelled) -> PlattScaling:
    """Logistic regression of labels on scores (Platt 1999).

    Labels are replaced by (n+ + 1) / (n+ + 2) and 1 / (n- + 2), as Platt does, so that the fit
    is finite also where a score separates the classes or only one class was seen. Equal scores
    throughout give slope 0.
    """
    fits = [
        _logistic(scores[weights > 0], _smoothed(labels, weights), weights[weights > 0])
        for scores, labels, weights in zip(
            calibration.scores.T, calibration.labels.T, calibration.row_weights.T, strict=True
        )
    ]
    slope, offset = np.array(fits).T
    return PlattScaling(slope, offset, frozenset(calibration.groups.tolist()))


def _smoothed(labels: Floats, weights: Floats) -> Floats:
    known = weights > 0
    positive = (labels[known] * weights[known]).sum()
    negative = ((1 - labels[known]) * weights[known]).sum()
    return np.where(labels[known] == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))


def _logistic(scores: Floats, targets: Floats, weights: Floats) -> tuple[float, float]:
    """Slope and offset by Newton's method with halved steps, on standardised scores."""
    centre, spread = scores.mean(), scores.std()
    scale = spread if spread > 0 else 1.0
    design = np.stack([(scores - centre) / scale, np.ones_like(scores)], axis=1)
    # without spread there is an offset only
    free = [0, 1] if spread > 0 else [1]
    found = np.zeros(2)
    loss = _cross_entropy(design, targets, weights, found)
    for _ in range(100):
        p = expit(design @ found)
        gradient = (design.T @ (weights * (p - targets)))[free]
        curvature = ((design.T * (weights * p * (1 - p))) @ design)[np.ix_(free, free)]
        step = np.zeros(2)
        step[free] = np.linalg.solve(curvature, gradient)
        while (new := _cross_entropy(design, targets, weights, found - step)) > loss:
            step /= 2
            if np.abs(step).max() < 1e-14:
                break
        found, loss = found - step, new
        if np.abs(step).max() < 1e-12:
            break
    slope = found[0] / scale
    return float(slope), float(found[1] - slope * centre)


def _cross_entropy(
    design: Floats, targets: Floats, weights: Floats, parameters: Floats
) -> np.float64:
    log_odds = design @ parameters
    return (weights * (np.logaddexp(0, log_odds) - targets * log_odds)).sum()


def _groups(calibration: Forecasts) -> frozenset[str]:
    return frozenset(calibration.groups.tolist())
