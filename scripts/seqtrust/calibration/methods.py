"""Methods that mend stated uncertainty, and what their statistics are means of."""

from collections.abc import Callable

import numpy as np

from seqtrust.calibration import regression
from seqtrust.calibration.conformal import ConformalIntervals, ConformalQuantiles
from seqtrust.calibration.density_ratio import WeightedConformal
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.grouping import Floats, Groups
from seqtrust.calibration.recalibration import fit_isotonic, fit_variance_scaling
from seqtrust.calibration.regression import LEVELS, REPORTED_LEVELS, Key

NONE = "none"
VARIANCE_SCALING = "variance_scaling"
ISOTONIC_QUANTILES, ISOTONIC_INTERVALS = "isotonic_quantiles", "isotonic_intervals"
SPLIT, NORMALISED, MONDRIAN, CQR = "split", "normalised", "mondrian", "cqr"
WEIGHTED = "weighted"
METHODS = (
    VARIANCE_SCALING, ISOTONIC_QUANTILES, ISOTONIC_INTERVALS, SPLIT, NORMALISED, MONDRIAN, CQR,
    WEIGHTED,
)  # fmt: skip

Strata = tuple[Groups, Groups]
Ends = tuple[Floats, Floats, dict[Key, Floats]]


def judged_components(
    method: str, calibration: Forecasts, evaluation: Forecasts, strata: Strata
) -> dict[Key, Floats]:
    """What a method's statistics are means of on the evaluation rows, shape (N, T) each.

    Args:
        method: of `METHODS`, or `NONE`.
        calibration: what it is fitted on.
        evaluation: what it is judged on.
        strata: labels of the calibration and the evaluation rows, shape (rows, T) each.

    Raises:
        InputError: the data do not allow the method.
    """
    lower, upper, others = _METHODS[method](calibration, evaluation, strata)
    observed = evaluation.observed
    return others | regression.interval_components(lower, upper, observed, LEVELS, REPORTED_LEVELS)


def _as_stated(forecasts: Forecasts) -> Ends:
    return *regression.gaussian_intervals(forecasts), regression.gaussian_components(forecasts)


def _isotonic(calibration: Forecasts, evaluation: Forecasts, central: bool) -> Ends:
    fit = fit_isotonic(calibration, central)
    below = regression.below_components(fit.probability(evaluation))
    return *fit.intervals(evaluation), below


def _mondrian(calibration: Forecasts, evaluation: Forecasts, strata: Strata) -> Ends:
    fit = ConformalIntervals.fit(calibration, categories=strata[0])
    return *fit.intervals(evaluation, categories=strata[1]), {}


def _weighted(calibration: Forecasts, evaluation: Forecasts) -> Ends:
    fit = WeightedConformal.fit(calibration)
    lower, upper, sizes = fit.intervals(evaluation, LEVELS)
    others: dict[Key, Floats] = {
        ("infinite", float(level)): np.isinf(upper[index]) * 1.0
        for index, level in enumerate(LEVELS)
        if np.isclose(level, REPORTED_LEVELS).any()
    }
    others["effective_size", None] = np.broadcast_to(sizes, evaluation.mean.shape)
    return lower, upper, others


_METHODS: dict[str, Callable[[Forecasts, Forecasts, Strata], Ends]] = {
    NONE: lambda _, e, __: _as_stated(e),
    VARIANCE_SCALING: lambda c, e, _: _as_stated(fit_variance_scaling(c).apply(e)),
    ISOTONIC_QUANTILES: lambda c, e, _: _isotonic(c, e, central=False),
    ISOTONIC_INTERVALS: lambda c, e, _: _isotonic(c, e, central=True),
    SPLIT: lambda c, e, _: (*ConformalIntervals.fit(c).intervals(e), {}),
    NORMALISED: lambda c, e, _: (*ConformalIntervals.fit(c, normalised=True).intervals(e), {}),
    MONDRIAN: _mondrian,
    CQR: lambda c, e, _: (*ConformalQuantiles.fit(c).intervals(e), {}),
    WEIGHTED: lambda c, e, _: _weighted(c, e),
}
