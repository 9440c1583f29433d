"""How far stated uncertainties of measured values are right.

Every statistic that is a function of means over rows is made of `components`, so that rows can
arrive in parts (`RunningMeans`, and `resampling.GroupSums` for bootstraps). ENCE and the rank
correlation need all rows of a track in order. All are per track.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from seqtrust.calibration.forecasts import Forecasts, weighted_mean
from seqtrust.calibration.grouping import Floats
from seqtrust.calibration.ordered import Order, bin_edges, binned_means
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


def variance_components(between: Floats, within: Floats) -> dict[Key, Floats]:
    """The two parts of an ensemble's variance, which are statistics themselves, (N, T) each."""
    return {("between_variance", None): between, ("within_variance", None): within}


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
    lower: Floats,
    upper: Floats,
    observed: Floats,
    levels: Sequence[float] | Floats = LEVELS,
    scored: Sequence[float] | Floats = LEVELS,
) -> dict[Key, Floats]:
    """Coverage, width and interval score (Gneiting and Raftery 2007), shape (N, T) each.

    Args:
        lower: lower ends, shape (L, N, T).
        upper: upper ends, shape (L, N, T); an infinite interval has an infinite score.
        observed: shape (N, T), NaN where not measured.
        levels: nominal coverage of each.
        scored: those of the levels that width and score are wanted of.
    """
    found: dict[Key, Floats] = {}
    missing = np.isnan(observed)
    for index, level in enumerate(map(float, levels)):
        low, high = lower[index], upper[index]
        inside = (low <= observed) & (observed <= high)
        found["coverage", level] = np.where(missing, np.nan, inside)
        if np.isclose(level, scored).any():
            found["width", level] = high - low
            found["interval_score", level] = interval_score(low, high, observed, level)
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
    """Weighted means of components whose rows arrive in parts (shards).

    Attributes:
        weights: total weight per track, shape (T,).
    """

    def __init__(self) -> None:
        self._sums: dict[Key, Floats] = {}
        self.weights: Floats = np.zeros(())

    def add(self, components: Mapping[Key, Floats], weights: Floats) -> None:
        """Add rows.

        Args:
            components: shape (N, T) each, the same keys in every part.
            weights: shape (N, T), 0 where there is no observation.
        """
        for key, values in components.items():
            total = (np.where(weights > 0, values, 0.0) * weights).sum(axis=0)
            self._sums[key] = self._sums.get(key, np.zeros_like(total)) + total
        self.weights = self.weights + weights.sum(axis=0)

    def merge(self, other: "RunningMeans") -> None:
        """Add the rows of another, of the same components."""
        for key, total in other._sums.items():
            self._sums[key] = self._sums.get(key, np.zeros_like(total)) + total
        self.weights = self.weights + other.weights

    def result(self) -> dict[Key, Floats]:
        """The mean of every component, shape (T,); NaN for a track without a row."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return {key: total / self.weights for key, total in self._sums.items()}


def statistics(means: Mapping[Key, Floats]) -> dict[Key, Floats]:
    """The statistics of robustness under shift, from means of components of any shape.

    Levels are those of the components. Calibration errors are means over their levels of
    |observed - nominal| (Kuleshov et al. 2018).
    """
    kept = (
        "zms", "nll", "crps", "between_variance", "within_variance", "effective_size",
    )  # fmt: skip
    found = {key: value for key, value in means.items() if key[0] in kept}
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
    shown = ("coverage", "below", "width", "interval_score", "infinite")
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

    Rows are sorted by stated sd and cut into bins of equal size (equal weight, if there are
    weights, which count rows); the mean over bins of
    |root mean variance - root mean squared error| / root mean variance. Errors of equal sd are
    averaged first, so that their order does not matter. It grows with the root of the number of
    bins even where calibration is perfect: read it beside `ence_null`.

    Raises:
        InputError: an sd of 0, or fewer observations than bins.
    """
    forecasts.refuse_points("ENCE")
    found = []
    for variance, error, weights in _by_track(forecasts):
        _refuse_empty_bins(weights, bins)
        order = Order.of(variance)
        ordered = weights[order.rows]
        mass = order.cumulative(ordered)
        sums = [order.cumulative(part[order.rows] * ordered) for part in (variance, error)]
        found.append(ence_of_bins(*root_means(mass, sums[0], sums[1], bins)))
    return np.array(found)


def root_means(mass: Floats, variance: Floats, error: Floats, bins: int) -> tuple[Floats, Floats]:
    """Root mean variance and root mean squared error of every bin, shape (..., bins) each.

    NaN where the total weight is less than the number of bins.

    Args:
        mass: cumulative weights in the order of the stated sd, shape (..., B + 1).
        variance: of weighted stated variances, the same shape.
        error: of weighted squared errors, the same shape.
        bins: number of bins of equal weight.
    """
    edges = bin_edges(mass[..., -1], bins)
    stated, made = map(np.sqrt, binned_means(mass, edges, variance, error))
    few = mass[..., -1:] < bins
    return np.where(few, np.nan, stated), np.where(few, np.nan, made)


def ence_of_bins(stated: Floats, made: Floats) -> Floats:
    """ENCE from the two roots of `root_means`, shape (...)."""
    return (np.abs(stated - made) / stated).mean(axis=-1)


def _refuse_empty_bins(weights: Floats, bins: int) -> None:
    if weights.sum() < bins:
        raise InputError(
            f"{weights.sum():g} observations for {bins} bins leave bins empty: use fewer bins "
            "(weights count rows: a weight of 2 is two rows)"
        )


def ence_null(forecasts: Forecasts, seed: int, bins: int = 10, rounds: int = 200) -> Floats:
    """ENCE where the forecasts are right: observations are drawn from them.

    A row with a weight has one draw, which counts as often as the row.

    Args:
        forecasts: stated sds; observations say only what is measured.
        seed: of the draws.
        bins: as in `ence`.
        rounds: number of draws.

    Returns:
        Mean and 97.5 % point over the rounds, shape (2, T).

    Raises:
        InputError: as in `ence`.
    """
    forecasts.refuse_points("ENCE")
    rng = np.random.default_rng(seed)
    # tracks share the draws: what is stated of one track does not depend on the others
    squares = rng.standard_normal((rounds, len(forecasts.mean))) ** 2
    found = []
    for variance, _, weights in _by_track(forecasts):
        values = _drawn_ence(variance, weights, squares[:, : len(variance)], bins)
        found.append((values.mean(), np.quantile(values, 0.975)))
    return np.array(found).T


def _drawn_ence(variance: Floats, weights: Floats, squares: Floats, bins: int) -> Floats:
    """ENCE of every draw of z^2 of n rows, shape (rounds, n), by sums over bins."""
    _refuse_empty_bins(weights, bins)
    order = Order.of(variance)
    ordered, stated = weights[order.rows], variance[order.rows]
    mass = order.cumulative(ordered)
    sums = order.cumulative(stated * ordered)
    edges = bin_edges(mass[-1], bins)
    (means,) = binned_means(mass, edges, sums)
    # share of every key that lies in each bin: (bins, keys), then of its rows
    inside = np.minimum(mass[1:], edges[1:, None]) - np.maximum(mass[:-1], edges[:-1, None])
    shares = np.maximum(inside, 0) / np.diff(mass)
    per_row = np.repeat(shares, np.diff(order.ends, prepend=-1), axis=1)
    errors = squares @ (per_row * (stated * ordered)).T / np.diff(edges)
    return ence_of_bins(np.sqrt(means), np.sqrt(errors))


def rank_correlation(forecasts: Forecasts) -> Floats:
    """Spearman correlation of stated sd and absolute error, shape (T,); NaN of constant sds.

    Weights count rows: a weight of 2 is two rows of equal rank.
    """
    values = []
    for variance, error, weights in _by_track(forecasts):
        stated, made = Order.of(variance), Order.of(error)
        masses = [order.cumulative(weights[order.rows]) for order in (stated, made)]
        rows = np.arange(len(weights))
        ranks = stated.ranks(masses[0], rows), made.ranks(masses[1], rows)
        values.append(rank_product(*ranks, weights))
    return np.array(values, dtype=np.float64)


def rank_product(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Weighted correlation of ranks over the last axis; NaN where either is constant.

    Args:
        first: mean ranks of rows, shape (..., n).
        second: the same.
        weights: of the rows, the same shape.
    """
    total = weights.sum(axis=-1, keepdims=True, dtype=np.float64)
    middle = (total + 1) / 2
    a, b = first - middle, second - middle
    first_part, second_part = weights * a, weights * b
    pairs = ((first_part, b), (first_part, a), (second_part, b))
    product, left, right = (np.einsum("...n,...n->...", one, other) for one, other in pairs)
    scale = np.sqrt(left * right)
    return np.divide(
        product, scale, out=np.full_like(scale, np.nan), where=scale > 1e-12 * total[..., 0] ** 3
    )


def _by_track(forecasts: Forecasts) -> list[tuple[Floats, Floats, Floats]]:
    """Variances, squared errors and weights of the measured rows of every track."""
    parts = zip(
        forecasts.sd.T**2, forecasts.errors.T**2, forecasts.row_weights.T, forecasts.measured.T,
        strict=True,
    )  # fmt: skip
    return [(variance[on], error[on], weights[on]) for variance, error, weights, on in parts]
