"""Forecasts with a stated uncertainty beside what was observed."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seqtrust.calibration.grouping import Floats, Groups, group_array
from seqtrust.errors import InputError


@dataclass(frozen=True)
class Forecasts:
    """Gaussian forecasts of N rows and T tracks, in float64.

    A standard deviation of 0 is a point forecast: it covers what equals it, its CRPS is the
    absolute error, and its NLL and z are infinite unless it is exact.

    Attributes:
        mean: shape (N, T), in units of the observations.
        sd: stated standard deviation, shape (N, T), same units.
        observed: shape (N, T), NaN where not measured.
        groups: rows of one group are not independent, shape (N,).
        weights: weight of each row, shape (N,), or None where all are equal.

    Raises:
        InputError: shapes differ, a mean or sd is not finite, an sd is negative, an observation
            is infinite, a weight is not positive, or a group key is missing.
    """

    mean: Floats
    sd: Floats
    observed: Floats
    groups: Groups
    weights: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "sd", "observed"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        object.__setattr__(self, "groups", group_array(self.groups, len(self.mean)))
        if self.mean.ndim != 2 or {self.sd.shape, self.observed.shape} != {self.mean.shape}:
            raise InputError(
                f"means {self.mean.shape}, sds {self.sd.shape} and observations "
                f"{self.observed.shape} must all be rows x tracks"
            )
        _refuse_bad_values(self)
        if self.weights is not None:
            object.__setattr__(self, "weights", checked_weights(self.weights, len(self.mean)))

    @property
    def measured(self) -> npt.NDArray[np.bool_]:
        """Where there is an observation, shape (N, T)."""
        return ~np.isnan(self.observed)

    @property
    def row_weights(self) -> Floats:
        """Weights, 0 where there is no observation, shape (N, T)."""
        weights = np.ones(len(self.mean)) if self.weights is None else self.weights
        return np.where(self.measured, weights[:, None], 0.0)

    @property
    def errors(self) -> Floats:
        """Observed minus mean, shape (N, T), NaN where not measured."""
        return self.observed - self.mean

    @cached_property
    def z(self) -> Floats:
        """Errors in stated standard deviations, shape (N, T): 0 / 0 is 0, others / 0 infinite."""
        errors = self.errors
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((self.sd == 0) & (errors == 0), 0.0, errors / self.sd)

    def rows(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Forecasts":
        """Some of the rows."""
        return Forecasts(
            self.mean[chosen],
            self.sd[chosen],
            self.observed[chosen],
            self.groups[chosen],
            None if self.weights is None else self.weights[chosen],
        )

    def tracks(self, chosen: slice | npt.NDArray[np.int64]) -> "Forecasts":
        """Some of the tracks."""
        parts = {name: getattr(self, name)[:, chosen] for name in ("mean", "sd", "observed")}
        return replace(self, **parts)

    def with_sd(self, sd: Floats) -> "Forecasts":
        """The same with other standard deviations."""
        return replace(self, sd=sd)

    def refuse_unmeasured(self, what: str) -> None:
        """Refuse tracks without an observation for what is fitted to observations."""
        empty = np.flatnonzero(~self.measured.any(axis=0))
        if empty.size:
            raise InputError(
                f"{what}: track {int(empty[0])} has no observation among {len(self.mean)} rows "
                f"({empty.size} such tracks): leave it out, or add measurements"
            )

    def refuse_points(self, what: str) -> None:
        """Refuse point forecasts for a quantity that divides by the standard deviation."""
        points = (self.sd == 0) & self.measured
        if points.any():
            row, track = (int(index) for index in np.argwhere(points)[0])
            raise InputError(
                f"{what} divides by the stated sd, which is 0 in {int(points.sum())} of "
                f"{int(self.measured.sum())} observations, the first in row {row} of track "
                f"{track}: leave such rows out, or use split conformal intervals, which need none"
            )


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Mean over the first axis; values of weight 0 may be NaN.

    Args:
        values: shape (N, ...).
        weights: the same shape; the mean is NaN where all are 0.
    """
    with np.errstate(invalid="ignore"):
        return (np.where(weights > 0, values, 0.0) * weights).sum(axis=0) / weights.sum(axis=0)


def _refuse_bad_values(forecasts: Forecasts) -> None:
    for name in ("mean", "sd"):
        _refuse_where(~np.isfinite(getattr(forecasts, name)), f"the {name} is not a finite number")
    _refuse_where(forecasts.sd < 0, "the sd is negative")
    _refuse_where(np.isinf(forecasts.observed), "the observation is infinite")


def _refuse_where(bad: npt.NDArray[np.bool_], what: str) -> None:
    if bad.any():
        row, track = (int(index) for index in np.argwhere(bad)[0])
        raise InputError(
            f"{what} in row {row} of track {track} ({int(bad.sum())} such values): mend the "
            "predictions or the measurements"
        )


def checked_weights(weights: Floats, rows: int) -> Floats:
    """Weights as an array, shape (N,).

    Args:
        weights: a weight per row.
        rows: N.

    Raises:
        InputError: there is not one positive finite weight per row.
    """
    checked = np.asarray(weights, dtype=np.float64)
    if checked.shape != (rows,) or not (np.isfinite(checked) & (checked > 0)).all():
        raise InputError(
            f"weights of shape {checked.shape} for {rows} rows: give one positive finite weight "
            "per row, and leave out rows that should not count"
        )
    return checked
