"""Weighted conformal intervals: the shift of inputs is estimated without labels."""

import logging
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit

from seqtrust.calibration.conformal import FEW_ROWS, effective_size, thresholds_under_shift
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.grouping import Floats, refuse_overlap

# a row may count at most that much more, or less, than in the calibration data
LARGEST_RATIO = 20.0
# weight of the prior on standardised slopes, in rows: keeps a separable fit finite
_PRIOR = 1.0

logger = logging.getLogger(__name__)


def density_ratio(calibration: Floats, new: Floats) -> tuple[Floats, Floats]:
    """Density of new to calibration data at every row, up to a factor, by logistic regression.

    The odds of being new, given features and their squares (exact for Gaussian features), over
    the ratio of numbers; clipped to [1/20, 20]. A feature without spread says nothing.

    Args:
        calibration: features, shape (N, F).
        new: features, shape (M, F).

    Returns:
        Ratios at the calibration rows, shape (N,), and at the new rows, shape (M,).
    """
    rows = np.concatenate([calibration, new])
    centred = _standardised(rows)
    design = np.hstack([np.ones((len(rows), 1)), centred, _standardised(centred**2)])
    labels = np.repeat([0.0, 1.0], [len(calibration), len(new)])
    log_odds = design @ _logistic(design, labels)
    ratio = np.exp(log_odds) * len(calibration) / len(new)
    clipped = np.clip(ratio, 1 / LARGEST_RATIO, LARGEST_RATIO)
    return clipped[: len(calibration)], clipped[len(calibration) :]


def _standardised(values: Floats) -> Floats:
    spread = values.std(axis=0)
    centred = values - values.mean(axis=0)
    flat = spread <= 1e-12 * np.abs(values).max(axis=0)
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))


def _logistic(design: Floats, labels: Floats) -> Floats:
    """Coefficients by Newton's method with halved steps; slopes have a weak Gaussian prior."""
    prior = np.full(design.shape[1], _PRIOR)
    prior[0] = 0
    share = labels.mean()
    found = np.zeros(design.shape[1])
    found[0] = np.log(share / (1 - share))

    def loss(parameters: Floats) -> float:
        log_odds = design @ parameters
        fit = np.logaddexp(0, log_odds).sum() - labels @ log_odds
        return float(fit + 0.5 * prior @ parameters**2)

    now = loss(found)
    for _ in range(50):
        p = expit(design @ found)
        gradient = design.T @ (p - labels) + prior * found
        curvature = (design.T * (p * (1 - p))) @ design + np.diag(prior)
        step = np.linalg.solve(curvature, gradient)
        while (new := loss(found - step)) > now and np.abs(step).max() > 1e-10:
            step /= 2
        found, now = found - step, min(new, now)
        if np.abs(step).max() < 1e-8:
            break
    return found


@dataclass(frozen=True)
class WeightedConformal:
    """Intervals mean +- threshold that weigh calibration rows by how like new ones they are.

    Tibshirani et al. (2019): coverage is kept under a shift of the inputs if the density ratio
    is right. It is estimated per track of predicted mean and stated sd, without observations.

    Attributes:
        calibration: forecasts and observations.
    """

    calibration: Forecasts

    @classmethod
    def fit(cls, calibration: Forecasts) -> Self:
        """Keep the calibration data; the ratio depends on the new rows.

        Raises:
            InputError: a track has no observation.
        """
        calibration.refuse_unmeasured("weighted conformal prediction")
        return cls(calibration)

    def intervals(self, forecasts: Forecasts, levels: Floats) -> tuple[Floats, Floats, Floats]:
        """Lower and upper ends, shape (L, N, T), and effective calibration sizes, shape (T,).

        Intervals are infinite where the calibration rows lack the mass that the level asks for.
        Logs a warning where few rows carry the weight.

        Args:
            forecasts: new rows; what is measured of them decides nothing.
            levels: wanted coverages.

        Raises:
            InputError: a group was fitted on.
        """
        refuse_overlap(self.calibration.groups, forecasts.groups)
        half = np.empty((len(levels), *forecasts.mean.shape))
        sizes = []
        for track in range(forecasts.mean.shape[1]):
            known = self.calibration.measured[:, track]
            features, new = (
                np.stack([part.mean[:, track], part.sd[:, track]], axis=1)
                for part in (self.calibration, forecasts)
            )
            weights, own = density_ratio(features[known], new)
            if self.calibration.weights is not None:
                weights = weights * self.calibration.weights[known]
            sizes.append(effective_size(weights))
            errors = np.abs(self.calibration.errors[known, track])
            half[:, :, track] = thresholds_under_shift(errors, weights, own, levels)
        few = sum(size < FEW_ROWS for size in sizes)
        if few:
            logger.warning(
                "weighted conformal intervals of %d of %d tracks stand on fewer than %d effective "
                "calibration rows, the fewest %.1f: they say little",
                few,
                len(sizes),
                FEW_ROWS,
                min(sizes),
            )
        return forecasts.mean - half, forecasts.mean + half, np.array(sizes)
