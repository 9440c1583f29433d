"""Conformal intervals and sets: coverage that is guaranteed where data are exchangeable.

Marginal coverage of a level a on new rows lies in [a, a + 1/(n + 1)] for n calibration rows
without ties (Vovk et al. 2005); nothing is promised under shift, except by `weighted_quantile`
for a shift of the inputs whose density ratio is known.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from seqtrust.calibration.classification import Labelled
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.grouping import Floats, Groups, refuse_overlap
from seqtrust.calibration.regression import LEVELS
from seqtrust.errors import InputError

# below this effective number of calibration rows weighted intervals say little
FEW_ROWS = 50

logger = logging.getLogger(__name__)


def conformal_quantile(
    scores: Floats, levels: Sequence[float] | Floats, weights: Floats | None = None
) -> Floats:
    """The ceil((n + 1) level)-th smallest score of every track, shape (L, T).

    It is infinite where the level asks for more than the n scores of a track.

    Args:
        scores: shape (N, T), NaN where not measured.
        levels: wanted coverage of each.
        weights: of the rows, shape (N,); they count rows (a weight of 2 is two rows), and n is
            their sum.
    """
    if weights is not None:
        wanted = np.asarray(levels, dtype=np.float64)
        own = np.ones(1)
        columns = [
            thresholds_under_shift(column, weights, own, wanted)[:, 0] for column in scores.T
        ]
        return np.stack(columns, axis=1)
    ordered = np.sort(scores, axis=0)
    count = (~np.isnan(scores)).sum(axis=0)
    # (n + 1) level is often whole, and must not be rounded up for its last bit
    rank = np.ceil(np.round(np.asarray(levels)[:, None] * (count + 1), 9)).astype(np.int64)
    found = np.take_along_axis(ordered, np.clip(rank - 1, 0, len(scores) - 1), axis=0)
    return np.where(rank > count, np.inf, found)


def weighted_quantile(
    scores: Floats, weights: Floats, new_weights: Floats, levels: Sequence[float] | Floats
) -> Floats:
    """Thresholds under a shift of the inputs (Tibshirani et al. 2019), shape (L, M, T).

    The quantile of the scores weighted by the density ratio of new to calibration data, with
    the weight of the new row at infinity. Logs a warning where few rows carry the weight.

    Args:
        scores: of N calibration rows, shape (N, T), NaN where not measured.
        weights: density ratio of each, up to a factor, shape (N,).
        new_weights: of M new rows, with the same factor, shape (M,).
        levels: L wanted coverages.

    Raises:
        InputError: a weight is negative or not finite, or all are 0.
    """
    for part in (weights, new_weights):
        if not (np.isfinite(part) & (part >= 0)).all():
            raise InputError("density ratios must be finite and not negative: mend the weights")
    effective = effective_size(weights)
    if effective < FEW_ROWS:
        logger.warning(
            "weighted conformal intervals stand on %.1f effective calibration rows of %d: the "
            "shift is too large for them to say much",
            effective,
            len(weights),
        )
    wanted = np.asarray(levels, dtype=np.float64)
    columns = [thresholds_under_shift(column, weights, new_weights, wanted) for column in scores.T]
    return np.stack(columns, axis=-1)


def effective_size(weights: Floats) -> float:
    """Effective number of calibration rows, (sum w)^2 / sum w^2.

    Raises:
        InputError: all weights are 0.
    """
    total = float(np.sum(weights))
    if total <= 0:
        raise InputError(
            "all density ratios of the calibration rows are 0: none looks like the new data"
        )
    return total**2 / float(np.sum(np.square(weights)))


def thresholds_under_shift(
    scores: Floats, weights: Floats, new_weights: Floats, levels: Floats
) -> Floats:
    """Thresholds of one track, shape (L, M); infinite where the mass is missing.

    Args:
        scores: shape (N,), NaN where not measured.
        weights: shape (N,).
        new_weights: shape (M,), with the same factor.
        levels: shape (L,).
    """
    known = ~np.isnan(scores)
    order = np.argsort(scores[known], kind="stable")
    ordered = np.append(scores[known][order], np.inf)
    cumulative = weights[known][order].cumsum()
    total = cumulative[-1] if len(cumulative) else 0.0
    needed = levels[:, None] * (total + new_weights)
    # equal weights must give the plain quantile, also where rounding is in the way
    place = np.searchsorted(cumulative, needed * (1 - 1e-12), side="left")
    return ordered[place]


@dataclass(frozen=True)
class ConformalIntervals:
    """Symmetric intervals around the mean: mean +- threshold x scale.

    The score is |error| / scale; the scale is 1, or the stated sd (`normalised`; then their
    width follows it), and the threshold may depend on a category of the row (Mondrian).

    Attributes:
        scores: of the calibration rows, shape (N, T), NaN where not measured.
        normalised: the scale is the stated sd.
        categories: of the calibration rows, shape (N,), or (N, T) if tracks differ; one category
            where all are alike.
        groups: of the calibration rows.
        weights: of the calibration rows, shape (N,), or None where all are equal.
    """

    scores: Floats
    normalised: bool
    categories: Groups
    groups: frozenset[str]
    weights: Floats | None = None

    @classmethod
    def fit(
        cls,
        calibration: Forecasts,
        normalised: bool = False,
        categories: Groups | None = None,
    ) -> Self:
        """Fit intervals.

        Args:
            calibration: forecasts and observations.
            normalised: divide errors by the stated sd.
            categories: a category per row for Mondrian intervals, known without the
                observation, shape (N,), or (N, T) if tracks differ.

        Raises:
            InputError: an sd of 0 where errors are divided by it.
        """
        if normalised:
            calibration.refuse_points("normalised conformal prediction")
        scores = np.abs(calibration.z if normalised else calibration.errors)
        names = np.zeros(len(scores), dtype=np.str_) if categories is None else categories
        groups = frozenset(calibration.groups.tolist())
        return cls(scores, normalised, names, groups, calibration.weights)

    def intervals(
        self,
        forecasts: Forecasts,
        levels: Sequence[float] | Floats = LEVELS,
        categories: Groups | None = None,
    ) -> tuple[Floats, Floats]:
        """Lower and upper ends, shape (L, N, T); infinite where calibration rows are too few.

        Args:
            forecasts: new rows.
            levels: wanted coverages.
            categories: a category per new row, if it was fitted with some.

        Raises:
            InputError: a group was fitted on, or a category has no calibration row.
        """
        refuse_overlap(self.groups, forecasts.groups)
        names = np.zeros(len(forecasts.mean), dtype=np.str_) if categories is None else categories
        half = np.empty((len(levels), *forecasts.mean.shape))
        if names.ndim == 1:
            self._fill(half, self.scores, self.categories, names, levels)
        else:
            for track in range(half.shape[2]):
                one = slice(track, track + 1)
                labels = self.categories[:, track], names[:, track]
                self._fill(half[:, :, one], self.scores[:, one], *labels, levels)
        if self.normalised:
            # an infinite threshold stays infinite at sd 0
            np.multiply(half, forecasts.sd, where=np.isfinite(half), out=half)
        return forecasts.mean - half, forecasts.mean + half

    def _fill(
        self,
        half: Floats,
        scores: Floats,
        known: Groups,
        names: Groups,
        levels: Sequence[float] | Floats,
    ) -> None:
        """Write the thresholds of rows of every category, shape (L, N, T)."""
        for name in sorted(set(names.tolist())):
            mine = known == name
            if not mine.any():
                raise InputError(
                    f"category {name!r} has no calibration row: its intervals are not known; "
                    "join it with another, or calibrate on data that have it"
                )
            weights = None if self.weights is None else self.weights[mine]
            found = conformal_quantile(scores[mine], levels, weights)
            half[:, names == name] = found[:, None]


@dataclass(frozen=True)
class ConformalQuantiles:
    """Conformalised quantiles (Romano et al. 2019): stated ends moved by one distance.

    The ends are those of the stated Gaussian; a negative distance makes intervals narrower,
    and where they would turn inside out both ends are their middle.

    Attributes:
        calibration: kept, because the distance depends on the level.
    """

    calibration: Forecasts

    @classmethod
    def fit(cls, calibration: Forecasts) -> Self:
        """Fit intervals."""
        return cls(calibration)

    def intervals(
        self, forecasts: Forecasts, levels: Sequence[float] | Floats = LEVELS
    ) -> tuple[Floats, Floats]:
        """Lower and upper ends, shape (L, N, T).

        Raises:
            InputError: a group was fitted on.
        """
        refuse_overlap(self.calibration.groups, forecasts.groups)
        known = self.calibration
        low, high = np.empty((2, len(levels), *forecasts.mean.shape))
        for index, level in enumerate(levels):
            z = float(ndtri((1 + level) / 2))
            scores = cqr_scores(
                known.mean - z * known.sd, known.mean + z * known.sd, known.observed
            )
            moved = z * forecasts.sd + conformal_quantile(scores, [level], known.weights)[0]
            half = np.maximum(moved, 0)
            low[index], high[index] = forecasts.mean - half, forecasts.mean + half
        return low, high


def cqr_scores(lower: Floats, upper: Floats, observed: Floats) -> Floats:
    """max(lower - observed, observed - upper): how far an observation lies outside."""
    return np.maximum(lower - observed, observed - upper)


@dataclass(frozen=True)
class SignSets:
    """Sets of signs that hold the true one with a guaranteed probability.

    The score is one minus the probability of the true sign. A sign is in the set if its score
    is at most the threshold; where neither is, the likelier one is taken, which can only add
    coverage, so that a set is {+}, {-} or {+,-}.

    Attributes:
        scores: of the calibration rows, shape (N, T), NaN where the sign is not known.
        groups: of the calibration rows.
        weights: of the calibration rows, shape (N,), or None where all are equal.
    """

    scores: Floats
    groups: frozenset[str]
    weights: Floats | None = None

    @classmethod
    def fit(cls, calibration: Labelled) -> Self:
        """Fit sets.

        Args:
            calibration: probabilities of plus, and labels, 1 for plus.
        """
        scores = np.abs(calibration.labels - calibration.scores)
        return cls(scores, frozenset(calibration.groups.tolist()), calibration.weights)

    def sets(self, probabilities: Labelled, level: float) -> npt.NDArray[np.int8]:
        """+1 for {+}, -1 for {-}, 0 for {+,-}, shape (N, T).

        Args:
            probabilities: probabilities of plus of new rows.
            level: wanted coverage.

        Raises:
            InputError: a group was fitted on.
        """
        refuse_overlap(self.groups, probabilities.groups)
        threshold = conformal_quantile(self.scores, [level], self.weights)[0]
        p = probabilities.scores
        plus = (1 - p <= threshold) | (p >= 0.5)
        minus = (p <= threshold) | (p <= 0.5)
        return (plus.astype(np.int8) - minus.astype(np.int8)).astype(np.int8)
