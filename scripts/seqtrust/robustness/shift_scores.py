"""Scores of what a model states of the data sets of a world, under every shift and calibrator.

Calibrators are fitted on the calibration data alone, which are not shifted. Oracle and ideal model
go through the same code as networks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.calibration import regression, selective
from seqtrust.calibration.conformal import effective_size, weighted_quantile
from seqtrust.calibration.density_ratio import density_ratio
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.grouping import Groups
from seqtrust.calibration.methods import METHODS, NONE, VARIANCE_SCALING, judged_components
from seqtrust.calibration.recalibration import fit_variance_scaling
from seqtrust.calibration.regression import LEVELS, REPORTED_LEVELS, Key
from seqtrust.robustness.conditions import Condition
from seqtrust.robustness.expectations import coverage, error_parts, excess_risk
from seqtrust.robustness.gc_ratio import gc_density_ratio
from seqtrust.robustness.groups import group_columns
from seqtrust.robustness.stated_tables import Stated
from seqtrust.robustness.world_tables import CALIBRATION, WorldTable
from seqtrust.sources.seeds import named_generator

Floats = npt.NDArray[np.float64]

KNOWN_RATIO, GC_RATIO = "weighted_known", "weighted_gc"
CALIBRATORS = (NONE, *METHODS, KNOWN_RATIO, GC_RATIO)
LEVEL = 0.9
# smaller groups are left out of the worst ones
LEAST_GROUP = 30
_NULL_ROUNDS = 1000
_KEPT = 0.5


@dataclass(frozen=True)
class Score:
    """One number of one condition.

    Attributes:
        data_set: name of the condition.
        calibrator: of `CALIBRATORS`.
        metric: its name.
        by: column of groups, or "".
        value: may be infinite (a width) or NaN (nothing was kept).
    """

    data_set: str
    calibrator: str
    metric: str
    by: str
    value: float


def shift_scores(
    world: WorldTable, stated: Mapping[str, Stated], calibrators: Sequence[str], seed: int
) -> Iterator[Score]:
    """All scores of a replicate.

    Args:
        world: with its data sets.
        stated: of the replicate, by data set.
        calibrators: of `CALIBRATORS`; `weighted_known` is left out where the density ratio is not
            known.
        seed: of nulls.
    """
    fitted = world.condition(CALIBRATION)
    calibration = forecasts(CALIBRATION, fitted, stated[CALIBRATION])
    for name in world.conditions:
        condition = world.condition(name)
        tested = forecasts(name, condition, stated[name])
        groups = group_columns(condition, world.edges)
        rng = named_generator(seed, "nulls", name)
        found = point_scores(condition, stated[name])
        found |= selection_scores(tested)
        found |= ence_scores(tested, seed)
        yield from (Score(name, NONE, metric, "", value) for metric, value in found.items())
        for column, labels in groups.items():
            yield Score(name, NONE, "worst_mse", column, worst_error(tested, labels))
            yield Score(name, NONE, "worst_gap90_null", column, null_gap(labels, rng))
        for calibrator in calibrators:
            components = _components(calibrator, calibration, tested, world, fitted, condition)
            if components is None:
                continue
            own = interval_scores(components)
            if calibrator in (NONE, VARIANCE_SCALING):
                own |= threshold_scores(*_stated_by(calibrator, calibration, tested))
            yield from (Score(name, calibrator, metric, "", value) for metric, value in own.items())
            covered = components["coverage", LEVEL][:, 0]
            for column, labels in groups.items():
                yield Score(name, calibrator, "worst_gap90", column, worst_gap(covered, labels))


def forecasts(name: str, condition: Condition, stated: Stated) -> Forecasts:
    """Predictions of a data set beside its measurements, with its groups or every row alone."""
    rows = condition.groups
    if rows is None:
        rows = np.char.add(f"{name} ", np.arange(len(stated.mean)).astype(np.str_))
    return Forecasts(stated.mean[:, None], stated.sd[:, None], condition.observed[:, None], rows)


def point_scores(condition: Condition, stated: Stated) -> dict[str, float]:
    """Accuracy, parts of the error, and means of what is stated.

    Where the truth is not known, noise is part of the residual, and nothing is said of excess risk;
    `measured_noise` is the mean variance of a measurement, if an assay tells it.
    """
    observed, mean = condition.observed, stated.mean
    error = float(np.mean((observed - mean) ** 2))
    parts = error_parts(mean, condition.mean if condition.known else observed, observed)
    truths: dict[str, float] = {}
    if condition.known:
        excess = excess_risk(mean, condition.mean)
        truths = {
            "excess": excess,
            "relative_excess": excess / float(condition.activity.var()),
            "error_noise": parts.noise,
            "error_cross": parts.cross,
        }
    elif np.isfinite(condition.sd).all():
        truths["measured_noise"] = float(np.mean(condition.sd**2))
    return truths | {
        "r2": 1 - error / float(observed.var()),
        "pearson": _correlation(mean, observed),
        "spearman": _correlation(_ranks(mean), _ranks(observed)),
        "error_offset": parts.offset,
        "error_gain": parts.gain,
        "error_residual": parts.residual,
        "variance": float(stated.variance.mean()),
        "aleatoric": float(stated.aleatoric.mean()),
        "epistemic": float(stated.epistemic.mean()),
    }


def selection_scores(tested: Forecasts) -> dict[str, float]:
    """What is gained by leaving out the sequences of the largest stated sd."""
    losses, sd = tested.errors**2, tested.sd
    found = selective.areas(losses, sd)
    whole, half, fifth = selective.risk_at(losses, sd, (1.0, 0.5, 0.2))[:, 0]
    return {
        "aurc": float(found.aurc[0]),
        "excess_aurc": float(found.excess[0]),
        "normalised_aurc": float(found.normalised[0]),
        "augrc": float(found.augrc[0]),
        "r50": float(half / whole),
        "r20": float(fifth / whole),
        "sd_error_correlation": float(regression.rank_correlation(tested)[0]),
    }


def ence_scores(tested: Forecasts, seed: int) -> dict[str, float]:
    """ENCE, and what it would be of right forecasts: mean and 97.5 % point."""
    null = regression.ence_null(tested, seed, rounds=100)[:, 0]
    return {
        "ence": float(regression.ence(tested)[0]),
        "ence_null": float(null[0]),
        "ence_null_high": float(null[1]),
    }


def interval_scores(components: Mapping[Key, Floats]) -> dict[str, float]:
    """Statistics that are means over rows; only reported levels of those that have levels."""
    weights = np.ones_like(components["coverage", LEVEL])
    found: dict[str, float] = {}
    for (name, level), value in regression.statistics(
        regression.means_of(components, weights)
    ).items():
        number = float(value[0])
        if level is None:
            found[_SHORT.get(name, name)] = number
        elif name in _LEVELLED and np.isclose(level, REPORTED_LEVELS).any():
            found[f"{_LEVELLED[name]}{round(100 * level)}"] = number
    if "vr" in found:
        found["expected_cov90"] = coverage(LEVEL, found["vr"])
    return found


_SHORT = {"variance_ratio": "vr"}
_LEVELLED = {
    "coverage": "cov", "width": "width", "interval_score": "interval_score", "infinite": "infinite",
}  # fmt: skip


def threshold_scores(calibration: Forecasts, tested: Forecasts) -> dict[str, float]:
    """What a threshold of the stated sd, fixed on calibration data to keep half, does.

    Share that is kept, and of what is kept mean squared error and coverage of 90 %.
    """
    fixed = selective.fix_thresholds(calibration.sd, calibration.groups, (_KEPT,))
    covered = _inside(tested)
    kept, risk = fixed.reached(tested.errors**2, tested.sd, tested.groups)
    _, held = fixed.reached(covered, tested.sd, tested.groups)
    return {
        "kept": float(kept[0, 0]),
        "kept_mse": float(risk[0, 0]),
        "kept_cov90": float(held[0, 0]),
    }


def worst_error(tested: Forecasts, labels: Groups) -> float:
    """Largest mean squared error of a group; NaN where all are small."""
    means, _ = _by_group(tested.errors[:, 0] ** 2, labels)
    return float(means.max()) if len(means) else np.nan


def worst_gap(covered: Floats, labels: Groups) -> float:
    """Largest |coverage - .9| of a group; NaN where all are small.

    Args:
        covered: 1 where an interval holds the measurement, shape (N,).
        labels: of the groups, shape (N,).
    """
    means, _ = _by_group(covered, labels)
    return float(np.abs(means - LEVEL).max()) if len(means) else np.nan


def null_gap(labels: Groups, rng: np.random.Generator) -> float:
    """95 % point of `worst_gap` where every group has .9: the largest of several is not small.

    Args:
        labels: of the groups, shape (N,).
        rng: of the draws.
    """
    _, sizes = _by_group(np.zeros(len(labels)), labels)
    if not len(sizes):
        return np.nan
    drawn = rng.binomial(sizes, LEVEL, size=(_NULL_ROUNDS, len(sizes))) / sizes
    return float(np.quantile(np.abs(drawn - LEVEL).max(axis=1), 0.95))


def known_gc_mean(condition: Condition) -> float | None:
    """The GC content of a shift whose density ratio to the training data is known, else None."""
    return condition.shift.gc_mean if condition.shift.changed == ("gc_mean",) else None


def _components(
    calibrator: str,
    calibration: Forecasts,
    tested: Forecasts,
    world: WorldTable,
    fitted: Condition,
    condition: Condition,
) -> dict[Key, Floats] | None:
    if calibrator == GC_RATIO:
        weights, own = density_ratio(fitted.gc[:, None], condition.gc[:, None])
        return weighted_components(calibration, tested, weights, own)
    if calibrator != KNOWN_RATIO:
        edges = np.quantile(calibration.mean[:, 0], [1 / 3, 2 / 3])
        strata = tuple(
            np.searchsorted(edges, part.mean).astype(np.str_) for part in (calibration, tested)
        )
        return judged_components(calibrator, calibration, tested, (strata[0], strata[1]))
    mean = known_gc_mean(condition)
    if mean is None or world.world.pool is not None:
        return None
    weights, own = (gc_density_ratio(world.world, part, mean) for part in (fitted, condition))
    return weighted_components(calibration, tested, weights, own)


def weighted_components(
    calibration: Forecasts, tested: Forecasts, weights: Floats, own: Floats
) -> dict[Key, Floats]:
    """Statistics of weighted conformal intervals are means of these.

    Args:
        calibration: what intervals are fitted on, N rows.
        tested: what they are judged on, M rows.
        weights: density ratio at the calibration rows, shape (N,).
        own: at the tested rows, shape (M,).
    """
    half = weighted_quantile(np.abs(calibration.errors), weights, own, LEVELS)
    found = regression.interval_components(
        tested.mean - half, tested.mean + half, tested.observed, LEVELS, REPORTED_LEVELS
    )
    found["effective_size", None] = np.full(tested.mean.shape, effective_size(weights))
    place = int(np.flatnonzero(np.isclose(LEVELS, LEVEL))[0])
    found["infinite", LEVEL] = np.isinf(half[place]) * 1.0
    return found


def _stated_by(
    calibrator: str, calibration: Forecasts, tested: Forecasts
) -> tuple[Forecasts, Forecasts]:
    if calibrator == NONE:
        return calibration, tested
    scaling = fit_variance_scaling(calibration)
    return calibration.with_sd(calibration.sd * np.sqrt(scaling.factor)), scaling.apply(tested)


def _inside(tested: Forecasts) -> Floats:
    lower, upper = regression.gaussian_intervals(tested, [LEVEL])
    return ((lower[0] <= tested.observed) & (tested.observed <= upper[0])) * 1.0


def _by_group(values: Floats, labels: Groups) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Means and sizes of the groups that are not small."""
    _, places = np.unique(labels, return_inverse=True)
    sizes = np.bincount(places)
    means = np.bincount(places, values) / sizes
    large = sizes >= LEAST_GROUP
    return means[large], sizes[large]


def _correlation(first: Floats, second: Floats) -> float:
    if first.std() <= 1e-12 * np.abs(first).max() or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return (ends - (counts - 1) / 2)[places]
