"""The calibration of an ensemble: a table of statistics per track and method, with intervals."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqtrust.calibration import regression, selective
from seqtrust.calibration.conformal import ConformalIntervals, ConformalQuantiles
from seqtrust.calibration.ensembles import CalibrationData, EnsembleForecasts
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.grouping import Floats, Groups
from seqtrust.calibration.recalibration import fit_isotonic, fit_variance_scaling
from seqtrust.calibration.regression import LEVELS, REPORTED_LEVELS, Key
from seqtrust.errors import InputError
from seqtrust.statistics import locus_bootstrap
from seqtrust.tables import Column, TableSchema

NONE = "none"
VARIANCE_SCALING = "variance_scaling"
ISOTONIC_QUANTILES, ISOTONIC_INTERVALS = "isotonic_quantiles", "isotonic_intervals"
SPLIT, NORMALISED, MONDRIAN, CQR = "split", "normalised", "mondrian", "cqr"
METHODS = (
    VARIANCE_SCALING, ISOTONIC_QUANTILES, ISOTONIC_INTERVALS, SPLIT, NORMALISED, MONDRIAN, CQR,
)  # fmt: skip

EVERY = "all"
STRATA = ("low", "middle", "high")
# risk-coverage curves are kept at these points
CURVE: Floats = np.arange(1, 51) / 50
AREA_LEVELS: Floats = np.linspace(0, 1, 101)
ROUNDS = 200
ENCE_BINS = 10

SCHEMA = TableSchema(
    name="calibration",
    version=1,
    path="calibration/{calibration}.parquet",
    description=(
        "How far the stated uncertainty of an ensemble is right on test windows, as it is and "
        "after methods that were fitted on validation windows of other groups. Intervals (`low`, "
        "`high`) are 95 % bootstraps over groups. The metadata hold the scale of errors (`scale`) "
        "and the number of validation windows that were left out because they share a group with "
        "a test window (`left_out`). What the statistics are is in docs/calibration.md."
    ),
    columns=(
        Column("track", pa.string(), "track of the model"),
        Column("method", pa.string(), "`none`, or a method of the config"),
        Column("metric", pa.string(), "statistic"),
        Column("level", pa.float64(), "nominal coverage, quantile, or fraction kept", "", True),
        Column("subset", pa.string(), "`all`, or the third of rows by predicted mean: `low`, "
               "`middle`, `high`; limits are those of validation rows"),
        Column("value", pa.float64(), "of the statistic; infinite where intervals are", "", True),
        Column("low", pa.float64(), "lower end of its interval", "", True),
        Column("high", pa.float64(), "upper end of its interval", "", True),
        Column("rows", pa.int64(), "measured bins"),
        Column("groups", pa.int64(), "groups that they come from"),
    ),
)  # fmt: skip

Row = tuple[str, str, str, float | None, str, float, float | None, float | None, int, int]


def assess(data: CalibrationData, methods: Sequence[str], seed: int) -> dict[str, list[Any]]:
    """The columns of the calibration table.

    Args:
        data: forecasts on validation and test windows.
        methods: of `METHODS`; the forecasts as they are (`none`) always come first.
        seed: of bootstraps and of the null of ENCE.
    """
    rows: list[Row] = []
    for index, track in enumerate(data.tracks):
        try:
            rows += _track_rows(data, index, methods, seed)
        except InputError as error:
            raise InputError(f"calibration of {track!r}: {error}") from None
    names = [column.name for column in SCHEMA.columns]
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _track_rows(
    data: CalibrationData, index: int, methods: Sequence[str], seed: int
) -> Iterator[Row]:
    track = data.tracks[index]
    calibration = data.calibration.forecasts.track(index)
    evaluation = data.evaluation.forecasts.track(index)
    strata = _strata(calibration, evaluation)
    for method in (NONE, *methods):
        judged = _judged(method, calibration, evaluation, strata)
        yield from _statistics(track, method, EVERY, judged, seed)
        for subset in STRATA:
            yield from _statistics(track, method, subset, judged.rows(strata[1] == subset), seed)
    yield from _stated_rows(track, NONE, evaluation, seed, _parts(data.evaluation, index))
    if VARIANCE_SCALING in methods:
        scaled = fit_variance_scaling(calibration)
        factor = {"variance_factor": float(scaled.factor[0])}
        yield from _stated_rows(track, VARIANCE_SCALING, scaled.apply(evaluation), seed, factor)
    yield from _selective_rows(track, calibration, evaluation, strata[1], seed)


class _Judged:
    """Components of one method's statistics on the measured rows of one track."""

    def __init__(self, components: dict[Key, Floats], groups: Groups) -> None:
        self.components = components
        self.groups = groups

    def rows(self, chosen: npt.NDArray[np.bool_]) -> "_Judged":
        """Some of the rows."""
        parts = {key: values[chosen] for key, values in self.components.items()}
        return _Judged(parts, self.groups[chosen])


def _strata(calibration: Forecasts, evaluation: Forecasts) -> tuple[Groups, Groups]:
    """Third of the calibration and evaluation rows by predicted mean."""
    limits = np.quantile(calibration.mean[calibration.measured], [1 / 3, 2 / 3])
    names = np.array(STRATA)
    thirds = [names[np.searchsorted(limits, part.mean[:, 0])] for part in (calibration, evaluation)]
    return thirds[0], thirds[1]


def _judged(
    method: str, calibration: Forecasts, evaluation: Forecasts, strata: tuple[Groups, Groups]
) -> _Judged:
    """What a method's statistics are means of, on the test rows of one track."""
    lower, upper, others = _METHODS[method](calibration, evaluation, strata)
    components = others | regression.interval_components(lower, upper, evaluation.observed)
    return _Judged(components, evaluation.groups)


Ends = tuple[Floats, Floats, dict[Key, Floats]]


def _as_stated(forecasts: Forecasts) -> Ends:
    return *regression.gaussian_intervals(forecasts), regression.gaussian_components(forecasts)


def _isotonic(calibration: Forecasts, evaluation: Forecasts, central: bool) -> Ends:
    fit = fit_isotonic(calibration, central)
    below = regression.below_components(fit.probability(evaluation))
    return *fit.intervals(evaluation), below


def _mondrian(calibration: Forecasts, evaluation: Forecasts, strata: tuple[Groups, Groups]) -> Ends:
    fit = ConformalIntervals.fit(calibration, categories=strata[0])
    return *fit.intervals(evaluation, categories=strata[1]), {}


_METHODS: dict[str, Callable[[Forecasts, Forecasts, tuple[Groups, Groups]], Ends]] = {
    NONE: lambda _, e, __: _as_stated(e),
    VARIANCE_SCALING: lambda c, e, _: _as_stated(fit_variance_scaling(c).apply(e)),
    ISOTONIC_QUANTILES: lambda c, e, _: _isotonic(c, e, central=False),
    ISOTONIC_INTERVALS: lambda c, e, _: _isotonic(c, e, central=True),
    SPLIT: lambda c, e, _: (*ConformalIntervals.fit(c).intervals(e), {}),
    NORMALISED: lambda c, e, _: (*ConformalIntervals.fit(c, normalised=True).intervals(e), {}),
    MONDRIAN: _mondrian,
    CQR: lambda c, e, _: (*ConformalQuantiles.fit(c).intervals(e), {}),
}


def _statistics(track: str, method: str, subset: str, judged: _Judged, seed: int) -> Iterator[Row]:
    """Statistics that are functions of means, with group bootstraps; of a third coverage only."""
    measured = ~np.isnan(judged.components["coverage", LEVELS[0]])
    if not measured.any():
        return
    components = {
        key: values
        for key, values in judged.components.items()
        if (key[0] == "coverage" or subset == EVERY) and _is_kept(key, subset)
    }
    sums, groups = regression.group_sums(components, measured * 1.0, judged.groups)
    keys = list(components)

    def statistic(totals: Floats) -> Floats:
        means = {key: totals[..., 1 + place] / totals[..., 0] for place, key in enumerate(keys)}
        return np.stack(list(regression.statistics(means).values()), axis=-1)

    present = sums[:, 0, 0] > 0
    names = groups[present].tolist()
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = locus_bootstrap(sums[present, 0], names, statistic, seed)
    found = regression.statistics(regression.means_of(components, measured * 1.0))
    size = int(measured.sum()), len(names)
    for place, ((metric, level), value) in enumerate(found.items()):
        ends = float(low[place]), float(high[place])
        yield (track, method, metric, level, subset, float(value[0]), *ends, *size)


def _is_kept(key: Key, subset: str) -> bool:
    """Widths and scores at the reported levels, curves at all; of a third the reported only."""
    if key[0] in ("coverage", "below") and subset == EVERY:
        return True
    return key[1] is None or bool(np.isclose(key[1], REPORTED_LEVELS).any())


def _parts(evaluation: EnsembleForecasts, index: int) -> dict[str, float]:
    measured = evaluation.forecasts.measured[:, index]
    return {
        "between_variance": float(evaluation.between[measured, index].mean()),
        "within_variance": float(evaluation.within[measured, index].mean()),
    }


def _stated_rows(
    track: str, method: str, forecasts: Forecasts, seed: int, more: dict[str, float]
) -> Iterator[Row]:
    """Statistics of stated sds that are no functions of means."""
    curve = regression.coverage_curve(forecasts, AREA_LEVELS)
    found = {
        "miscalibration_area": regression.miscalibration_area(AREA_LEVELS, curve)[0],
        "rank_correlation": regression.rank_correlation(forecasts)[0],
    }
    bounds: dict[str, float] = {}
    size = _size(forecasts)
    found["ence"] = found["ence_null"] = np.float64("nan")
    # it is not defined of point forecasts, nor of bins without rows
    if size[0] >= ENCE_BINS and (forecasts.sd[forecasts.measured] > 0).all():
        found["ence"] = regression.ence(forecasts, ENCE_BINS)[0]
        null = regression.ence_null(forecasts, seed, ENCE_BINS)
        found["ence_null"], bounds["ence_null"] = null[0, 0], float(null[1, 0])
    for metric, value in (found | more).items():
        high = bounds.get(metric)
        yield track, method, metric, None, EVERY, float(value), None, high, *size


def _size(forecasts: Forecasts) -> tuple[int, int]:
    known = forecasts.measured[:, 0]
    return int(known.sum()), len(np.unique(forecasts.groups[known]))


def _selective_rows(
    track: str, calibration: Forecasts, evaluation: Forecasts, strata: Groups, seed: int
) -> Iterator[Row]:
    """Risk (mean squared error) against the fraction kept, areas, and fixed thresholds."""
    losses, sd = evaluation.errors**2, evaluation.sd
    size = _size(evaluation)
    for metric, values in _areas(losses, sd, evaluation.groups, seed).items():
        yield (track, NONE, metric, None, EVERY, *values, *size)
    for metric, order in (("risk", sd), ("ideal_risk", np.nan_to_num(losses))):
        risks = selective.risk_at(selective.risk_coverage(losses, order), CURVE.tolist())
        for level, risk in zip(CURVE, risks[:, 0], strict=True):
            yield track, NONE, metric, float(level), EVERY, float(risk), None, None, *size
    known = calibration.measured[:, 0]
    fixed = selective.fix_thresholds(calibration.sd[known], calibration.groups[known])
    kept, risks = fixed.reached(losses, sd, evaluation.groups)
    for level, share, risk in zip(fixed.coverages, kept[:, 0], risks[:, 0], strict=True):
        yield track, NONE, "kept", level, EVERY, float(share), None, None, *size
        yield track, NONE, "kept_risk", level, EVERY, float(risk), None, None, *size
    measured = evaluation.measured[:, 0]
    rows = evaluation.rows(measured)
    curves = selective.group_curves(losses[measured], sd[measured], strata[measured])
    for subset, curve in curves.items():
        part = _size(rows.rows(strata[measured] == subset))
        risks = selective.risk_at(curve, CURVE.tolist())
        for level, risk in zip(CURVE, risks[:, 0], strict=True):
            yield track, NONE, "risk", float(level), subset, float(risk), None, None, *part


def _areas(
    losses: Floats, sd: Floats, groups: Groups, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Areas with percentile intervals of bootstraps over groups."""
    known = ~np.isnan(losses[:, 0])
    losses, sd = losses[known], sd[known]
    _, index = np.unique(groups[known], return_inverse=True)
    members = np.split(np.argsort(index, kind="stable"), np.bincount(index).cumsum()[:-1])
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(ROUNDS):
        chosen = rng.integers(len(members), size=len(members))
        rows = np.concatenate([members[place] for place in chosen])
        draws.append(_area_values(losses[rows], sd[rows]))
    # equal losses have no normalised area in any round
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanpercentile(np.array(draws), [2.5, 97.5], axis=0)
    values = zip(_area_values(losses, sd), low.tolist(), high.tolist(), strict=True)
    return dict(zip(_AREAS, values, strict=True))


_AREAS = ("aurc", "excess_aurc", "normalised_aurc", "augrc")


def _area_values(losses: Floats, sd: Floats) -> list[float]:
    found = selective.areas(losses, sd)
    return [float(part[0]) for part in (found.aurc, found.excess, found.normalised, found.augrc)]
