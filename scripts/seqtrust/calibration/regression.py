"""How far stated uncertainties of measured values are right.

Every statistic that is a function of means over rows is made of `components`, so that rows can
arrive in parts (`RunningMeans`) and be resampled by group (`group_sums`). All are per track.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import spearmanr

from seqtrust.calibration.forecasts import Forecasts, tie_means, weighted_mean
from seqtrust.calibration.grouping import Floats, Groups
from seqtrust.errors import InputError

# 19 levels for calibration errors (Kuleshov et al. 2018); those that are reported are among them
LEVELS: Floats = np.arange(1, 20) / 20
REPORTED_LEVELS = (0.5, 0.8, 0.9, 0.95)

Key = tuple[str, float | None]


def gaussian_components(forecasts: Forecasts) -> dict[Key, Floats]:
    """What the statistics of a Gaussian forecast are means of, shape (N, T) each.

    Missing observations give NaN, which has weight 0.
    """
    below = ndtr(forecasts.z)
    components: dict[Key, Floats] = {
        ("squared_error", None): forecasts.errors**2,
        ("variance", None): forecasts.sd**2,
        ("sd", None): forecasts.sd,
        ("zms", None): forecasts.z**2,
        ("nll", None): nll(forecasts),
        ("crps", None): crps(forecasts),
    }
    return components | below_components(below)


def below_components(
    probability: Floats, levels: Sequence[float] | Floats = LEVELS
) -> dict[Key, Floats]:
    """Whether an observation lies below each quantile of its forecast, shape (N, T) each.

    Args:
        probability: forecast probability of a value up to the observed one (PIT), shape (N, T).
        levels: of the quantiles.
    """
    missing = np.isnan(probability)
    return {
        ("below", float(level)): np.where(missing, np.nan, probability <= level) for level in levels
    }


def interval_components(
    lower: Floats, upper: Floats, observed: Floats, levels: Sequence[float] | Floats = LEVELS
) -> dict[Key, Floats]:
    """Coverage, width and interval score (Gneiting and Raftery 2007), shape (N, T) each.

    Args:
        lower: lower ends, shape (L, N, T).
        upper: upper ends, shape (L, N, T); an infinite interval has an infinite score.
        observed: shape (N, T), NaN where not measured.
        levels: nominal coverage of each.
    """
    found: dict[Key, Floats] = {}
    missing = np.isnan(observed)
    for index, level in enumerate(levels):
        low, high = lower[index], upper[index]
        inside = (low <= observed) & (observed <= high)
        found["coverage", float(level)] = np.where(missing, np.nan, inside)
        found["width", float(level)] = high - low
        found["interval_score", float(level)] = interval_score(low, high, observed, float(level))
    return found


def gaussian_intervals(
    forecasts: Forecasts, levels: Sequence[float] | Floats = LEVELS
) -> tuple[Floats, Floats]:
    """Central intervals of the stated Gaussian, lower and upper ends of shape (L, N, T)."""
    half = ndtri((1 + np.asarray(levels)) / 2)[:, None, None] * forecasts.sd
    return forecasts.mean - half, forecasts.mean + half


def nll(forecasts: Forecasts) -> Floats:
    """Negative log likelihood per row in nats, shape (N, T) (Nix and Weigend 1994)."""
    with np.errstate(divide="ignore"):
        log_variance = 2 * np.log(forecasts.sd)
    point = forecasts.sd == 0
    exact = np.where(forecasts.z == 0, -np.inf, np.inf)
    with np.errstate(invalid="ignore"):
        values = 0.5 * (np.log(2 * np.pi) + log_variance + forecasts.z**2)
    return np.where(np.isnan(forecasts.z), np.nan, np.where(point, exact, values))


def crps(forecasts: Forecasts) -> Floats:
    """Continuous ranked probability score per row, units of the observation, shape (N, T).

    Closed form of a Gaussian (Gneiting and Raftery 2007).
    """
    z, sd = forecasts.z, forecasts.sd
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    # a point forecast has infinite z; its score is the absolute error
    finite = np.where(np.isinf(z), 0.0, z)
    score = sd * (finite * (2 * ndtr(finite) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return np.where(sd == 0, np.abs(forecasts.errors), score)


def interval_score(lower: Floats, upper: Floats, observed: Floats, level: float) -> Floats:
    """Width plus 2 / alpha times what an observation lies outside; alpha = 1 - level."""
    with np.errstate(invalid="ignore"):
        outside = np.maximum(lower - observed, 0) + np.maximum(observed - upper, 0)
        return upper - lower + 2 / (1 - level) * outside


class RunningMeans:
    """Weighted means of components whose rows arrive in parts."""

    def __init__(self) -> None:
        self._sums: dict[Key, Floats] = {}
        self._weights: Floats = np.zeros(())

    def add(self, components: Mapping[Key, Floats], weights: Floats) -> None:
        """Add rows.

        Args:
            components: shape (N, T) each, the same keys in every part.
            weights: shape (N, T), 0 where there is no observation.
        """
        for key, values in components.items():
            total = (np.where(weights > 0, values, 0.0) * weights).sum(axis=0)
            self._sums[key] = self._sums.get(key, np.zeros_like(total)) + total
        self._weights = self._weights + weights.sum(axis=0)

    def result(self) -> dict[Key, Floats]:
        """The mean of every component, shape (T,); NaN for a track without a row."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return {key: total / self._weights for key, total in self._sums.items()}


def group_sums(
    components: Mapping[Key, Floats], weights: Floats, groups: Groups
) -> tuple[Floats, Groups]:
    """Weighted sums per group: weights first, then every component, for a bootstrap.

    Args:
        components: K of them, shape (N, T) each.
        weights: shape (N, T).
        groups: shape (N,).

    Returns:
        Sums of shape (G, T, 1 + K), and the G groups.
    """
    names, index = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), weights.shape[1], 1 + len(components)))
    for place, values in enumerate([np.ones_like(weights), *components.values()]):
        np.add.at(sums[:, :, place], index, np.where(weights > 0, values, 0.0) * weights)
    return sums, names


def statistics(means: Mapping[Key, Floats]) -> dict[Key, Floats]:
    """The statistics of robustness under shift, from means of components of any shape.

    Levels are those of the components. Calibration errors are means over their levels of
    |observed - nominal| (Kuleshov et al. 2018).
    """
    found = {key: value for key, value in means.items() if key[0] in ("zms", "nll", "crps")}
    if ("variance", None) in means:
        variance, error = means["variance", None], means["squared_error", None]
        sd = means["sd", None]
        with np.errstate(divide="ignore", invalid="ignore"):
            found |= {
                ("mse", None): error,
                ("variance_ratio", None): variance / error,
                ("rms_sd", None): np.sqrt(variance),
                ("cv_sd", None): np.sqrt(np.maximum(variance - sd**2, 0)) / sd,
            }
    for source, name in (
        ("coverage", "calibration_error"), ("below", "quantile_calibration_error"),
    ):  # fmt: skip
        gaps = [
            np.abs(value - level)
            for (part, level), value in means.items()
            if part == source and level is not None
        ]
        if gaps:
            found[name, None] = np.mean(gaps, axis=0)
    shown = ("coverage", "below", "width", "interval_score")
    return found | {key: value for key, value in means.items() if key[0] in shown}


def means_of(components: Mapping[Key, Floats], weights: Floats) -> dict[Key, Floats]:
    """Weighted means of components over all rows, shape (T,) each."""
    running = RunningMeans()
    running.add(components, weights)
    return running.result()


def miscalibration_area(nominal: Floats, observed: Floats) -> Floats:
    """Area between observed and nominal coverage (Tran et al. 2020), by trapezoids, shape (T,).

    Between two levels on different sides of the diagonal the area of both triangles counts.

    Args:
        nominal: levels in ascending order, from 0 to 1, shape (L,).
        observed: observed coverage at each, shape (L, T).
    """
    gap = observed - nominal[:, None]
    first, second, width = gap[:-1], gap[1:], np.diff(nominal)[:, None]
    total = np.abs(first) + np.abs(second)
    crossing = first * second < 0
    parts = np.where(crossing, first**2 + second**2, total**2)
    area = np.divide(parts, 2 * total, out=np.zeros_like(parts), where=total > 0)
    return (area * width).sum(axis=0)


def coverage_curve(forecasts: Forecasts, levels: Floats) -> Floats:
    """Observed coverage of central intervals at each level, shape (L, T)."""
    inside = 2 * ndtr(np.abs(forecasts.z)) - 1
    return _below_curve(inside, forecasts, levels)


def quantile_curve(forecasts: Forecasts, levels: Floats) -> Floats:
    """Fraction of observations below the quantile at each level, shape (L, T)."""
    return _below_curve(ndtr(forecasts.z), forecasts, levels)


def _below_curve(probability: Floats, forecasts: Forecasts, levels: Floats) -> Floats:
    weights = forecasts.row_weights
    return np.stack([weighted_mean((probability <= level) * 1.0, weights) for level in levels])


def ence(forecasts: Forecasts, bins: int = 10) -> Floats:
    """Expected normalised calibration error, shape (T,) (Levi et al. 2022).

    Rows are sorted by stated sd and cut into bins of equal size; the mean over bins of
    |root mean variance - root mean squared error| / root mean variance. Errors of equal sd are
    averaged first, so that their order does not matter. It grows with the root of the number of
    bins even where calibration is perfect: read it beside `ence_null`.

    Raises:
        InputError: weights, an sd of 0, or fewer observations than bins.
    """
    forecasts.refuse_weights("ENCE")
    forecasts.refuse_points("ENCE")
    values = [_ence(variance, error[None, :], bins) for variance, error in _by_track(forecasts)]
    return np.array([value[0] for value in values])


def ence_null(forecasts: Forecasts, seed: int, bins: int = 10, rounds: int = 200) -> Floats:
    """ENCE where the forecasts are right: observations are drawn from them.

    Args:
        forecasts: stated sds; observations say only what is measured.
        seed: of the draws.
        bins: as in `ence`.
        rounds: number of draws.

    Returns:
        Mean and 97.5 % point over the rounds, shape (2, T).
    """
    forecasts.refuse_weights("ENCE")
    forecasts.refuse_points("ENCE")
    rng = np.random.default_rng(seed)
    found = []
    for variance, _ in _by_track(forecasts):
        drawn = np.stack(
            [variance * rng.standard_normal(len(variance)) ** 2 for _ in range(rounds)]
        )
        values = _ence(variance, drawn, bins)
        found.append((values.mean(), np.quantile(values, 0.975)))
    return np.array(found).T


def rank_correlation(forecasts: Forecasts) -> Floats:
    """Spearman correlation of stated sd and absolute error, shape (T,); NaN of constant sds."""
    forecasts.refuse_weights("the rank correlation")
    values = [
        spearmanr(variance, error).statistic if np.ptp(variance) and np.ptp(error) else np.nan
        for variance, error in _by_track(forecasts)
    ]
    return np.array(values, dtype=np.float64)


def _by_track(forecasts: Forecasts) -> list[tuple[Floats, Floats]]:
    """Variances and squared errors of the measured rows of every track."""
    parts = zip(forecasts.sd.T**2, forecasts.errors.T**2, forecasts.measured.T, strict=True)
    return [(variance[known], error[known]) for variance, error, known in parts]


def _ence(variance: Floats, squared_errors: Floats, bins: int) -> Floats:
    """ENCE of several draws of squared errors, shape (rounds, N), with the same variances."""
    if len(variance) < bins:
        raise InputError(
            f"{len(variance)} observations for {bins} bins leave bins empty: use fewer bins"
        )
    order = np.argsort(variance, kind="stable")
    keys = np.repeat(variance[order, None], len(squared_errors), axis=1)
    errors = tie_means(squared_errors[:, order].T, keys)
    gaps = []
    for part in np.array_split(np.arange(len(variance)), bins):
        stated = np.sqrt(variance[order][part].mean())
        gaps.append(np.abs(stated - np.sqrt(errors[part].mean(axis=0))) / stated)
    return np.mean(gaps, axis=0)
