"""The calibration of an ensemble: a table of statistics per track and method, with intervals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import ndtr

from seqtrust.calibration import regression, selective
from seqtrust.calibration.ensembles import CalibrationData
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.grouping import Floats, Groups
from seqtrust.calibration.methods import (
    NONE,
    VARIANCE_SCALING,
    Strata,
    judged_components,
)
from seqtrust.calibration.recalibration import fit_variance_scaling
from seqtrust.calibration.regression import REPORTED_LEVELS, Key
from seqtrust.calibration.resampling import ORDER_ROUNDS, Resamples, percentile_interval
from seqtrust.calibration.track_orders import EVERY, TrackOrders
from seqtrust.errors import InputError
from seqtrust.tables import Column, TableSchema

STRATA = ("low", "middle", "high")
# risk-coverage curves are kept at these points
CURVE: Floats = np.arange(1, 51) / 50
AREA_LEVELS: Floats = np.linspace(0, 1, 101)
ENCE_BINS = 10
# numbers in one array of rows x tracks
_CHUNK = 2**16

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
Rows = list[list[Row]]


def assess(data: CalibrationData, methods: Sequence[str], seed: int) -> dict[str, list[Any]]:
    """The columns of the calibration table.

    Args:
        data: forecasts on validation and test windows.
        methods: of `METHODS`; the forecasts as they are (`none`) always come first.
        seed: of bootstraps and of the null of ENCE.

    Raises:
        InputError: the data do not allow a method; the message names the track.
    """
    found: dict[str, list[Any]] = {column.name: [] for column in SCHEMA.columns}
    for part in assessed(data, methods, seed):
        for name, values in part.items():
            found[name] += values
    return found


def assessed(
    data: CalibrationData, methods: Sequence[str], seed: int
) -> Iterator[dict[str, list[Any]]]:
    """`assess` in parts of some tracks, so that memory does not grow with their number."""
    resamples = Resamples(data.evaluation.forecasts.groups, seed)
    rows = max(len(part.forecasts.mean) for part in (data.calibration, data.evaluation))
    step = max(1, _CHUNK // rows)
    for start in range(0, len(data.tracks), step):
        chosen = slice(start, start + step)
        try:
            found = _Chunk(data, chosen, seed, resamples).rows(methods)
        except InputError:
            found = _one_by_one(data, chosen, methods, seed, resamples)
        columns = zip(*(row for track in found for row in track), strict=True)
        yield {
            column.name: list(values)
            for column, values in zip(SCHEMA.columns, columns, strict=True)
        }


def _one_by_one(
    data: CalibrationData, chosen: slice, methods: Sequence[str], seed: int, resamples: Resamples
) -> Rows:
    """The same track by track, so that an error can name the track."""
    found: Rows = []
    for index in range(len(data.tracks))[chosen]:
        try:
            found += _Chunk(data, slice(index, index + 1), seed, resamples).rows(methods)
        except InputError as error:
            raise InputError(f"calibration of {data.tracks[index]!r}: {error}") from None
    return found


@dataclass(frozen=True)
class _Part:
    """Statistics of T tracks, with the ends of their intervals, shape (T,) each."""

    values: Mapping[Key, Floats]
    low: Mapping[Key, Floats]
    high: Mapping[Key, Floats]


class _Chunk:
    """Some tracks, which share all computations but those that need their rows in order."""

    def __init__(
        self, data: CalibrationData, chosen: slice, seed: int, resamples: Resamples
    ) -> None:
        self.tracks = data.tracks[chosen]
        self.calibration = data.calibration.forecasts.tracks(chosen)
        self.evaluation = data.evaluation.forecasts.tracks(chosen)
        self.parts = regression.variance_components(
            data.evaluation.between[:, chosen], data.evaluation.within[:, chosen]
        )
        self.seed = seed
        self.resamples = resamples
        self.weights = self.evaluation.row_weights
        self.strata = self._strata()
        self.made: Rows = [[] for _ in self.tracks]

    def rows(self, methods: Sequence[str]) -> Rows:
        """The table's rows per track."""
        for forecasts in (self.calibration, self.evaluation):
            forecasts.refuse_unmeasured("calibration")
        for method in (NONE, *methods):
            components = judged_components(method, self.calibration, self.evaluation, self.strata)
            if method == NONE:
                components |= self.parts
            self._add_means(method, EVERY, components, self.weights)
            covered = {
                key: values
                for key, values in components.items()
                if key[0] == "coverage"
                and key[1] is not None
                and np.isclose(key[1], REPORTED_LEVELS).any()
            }
            for subset in STRATA:
                mine = np.where(self.strata[1] == subset, self.weights, 0.0)
                self._add_means(method, subset, covered, mine)
        stated = {NONE: self.evaluation}
        factors = {NONE: np.ones(len(self.tracks))}
        if VARIANCE_SCALING in methods:
            scaling = fit_variance_scaling(self.calibration)
            stated[VARIANCE_SCALING] = scaling.apply(self.evaluation)
            factors[VARIANCE_SCALING] = scaling.factor
        for method, forecasts in stated.items():
            self._add_areas(method, forecasts)
        null = self._ence_null()
        for index in range(len(self.tracks)):
            own = {method: float(factor[index]) for method, factor in factors.items()}
            self._add_orders(index, own, null[:, index])
        return self.made

    def _strata(self) -> Strata:
        """Third of the calibration and evaluation rows by predicted mean, per track."""
        names = np.array(STRATA)
        made = [np.empty(part.mean.shape, dtype=names.dtype)
                for part in (self.calibration, self.evaluation)]  # fmt: skip
        for track in range(len(self.tracks)):
            known = self.calibration.measured[:, track]
            if not known.any():
                continue
            limits = np.quantile(self.calibration.mean[known, track], [1 / 3, 2 / 3])
            for part, labels in zip((self.calibration, self.evaluation), made, strict=True):
                labels[:, track] = names[np.searchsorted(limits, part.mean[:, track])]
        return made[0], made[1]

    def _add_means(
        self, method: str, subset: str, components: Mapping[Key, Floats], weights: Floats
    ) -> None:
        """Statistics that are functions of means; of a third of the rows coverage only."""
        shown = regression.statistics if subset == EVERY else dict
        values = shown(regression.means_of(components, weights))
        ends = self.resamples.intervals(components, weights, shown)
        sizes = self._sizes(weights)
        low, high = ({key: pair[side] for key, pair in ends.items()} for side in (0, 1))
        self._add(method, subset, _Part(values, low, high), sizes)

    def _add(self, method: str, subset: str, part: _Part, sizes: Sequence[tuple[int, int]]) -> None:
        for index, track in enumerate(self.tracks):
            if sizes[index][0] == 0:
                continue
            self.made[index] += [
                (track, method, metric, level, subset, float(value[index]),
                 float(part.low[metric, level][index]), float(part.high[metric, level][index]),
                 *sizes[index])
                for (metric, level), value in part.values.items()
            ]  # fmt: skip

    def _sizes(self, weights: Floats) -> list[tuple[int, int]]:
        """Number of rows and groups per track."""
        rows = weights > 0
        groups = self.resamples.group_sums(rows.astype(np.float64)) > 0
        return list(zip(rows.sum(axis=0).tolist(), groups.sum(axis=0).tolist(), strict=True))

    def _add_areas(self, method: str, forecasts: Forecasts) -> None:
        """Miscalibration areas; the curve is a function of counts of groups at each level."""
        inside = 2 * ndtr(np.abs(forecasts.z)) - 1
        first = np.searchsorted(AREA_LEVELS, inside)
        groups, levels = len(self.resamples.names), len(AREA_LEVELS)
        draws = self.resamples.draws[:ORDER_ROUNDS]
        values, low, high = np.empty((3, len(self.tracks)))
        for index in range(len(self.tracks)):
            place = self.resamples.index * levels + np.minimum(first[:, index], levels - 1)
            counts = np.bincount(place, self.weights[:, index], minlength=groups * levels)
            below = counts.reshape(groups, levels).cumsum(axis=1)
            totals = np.vstack([below.sum(axis=0), draws @ below])
            with np.errstate(invalid="ignore", divide="ignore"):
                curve = (totals / totals[:, -1:]).T
            areas = regression.miscalibration_area(AREA_LEVELS, curve)
            values[index] = areas[0]
            low[index], high[index] = percentile_interval(areas[1:])
        key: Key = ("miscalibration_area", None)
        part = _Part({key: values}, {key: low}, {key: high})
        self._add(method, EVERY, part, self._sizes(self.weights))

    def _has_ence(self, index: int) -> bool:
        """It is not defined of point forecasts, nor of bins without rows."""
        known = self.weights[:, index] > 0
        enough = self.weights[:, index].sum() >= ENCE_BINS
        return bool(enough and (self.evaluation.sd[known, index] > 0).all())

    def _ence_null(self) -> Floats:
        """Mean and 97.5 % point of ENCE of right forecasts, shape (2, T)."""
        found = np.full((2, len(self.tracks)), np.nan)
        mine = [index for index in range(len(self.tracks)) if self._has_ence(index)]
        if mine:
            chosen = self.evaluation.tracks(np.array(mine))
            found[:, mine] = regression.ence_null(chosen, self.seed, ENCE_BINS)
        return found

    def _add_orders(self, index: int, factors: dict[str, float], null: Floats) -> None:
        """What needs the rows of a track in order, and what limits on the sd reach."""
        track, made = self.tracks[index], self.made[index]
        own = self.weights[:, index]
        places = np.flatnonzero(own > 0)
        sd, losses = self.evaluation.sd[places, index], self.evaluation.errors[places, index] ** 2
        labels = self.strata[1][places, index]
        orders = TrackOrders.of(sd, losses, labels)
        rated = factors if self._has_ence(index) else {}
        values, low, high = orders.with_intervals(
            self.resamples, places, own[places], CURVE, ENCE_BINS, rated
        )
        size = self._sizes(self.weights[:, index : index + 1])[0]
        parts = values, low, high
        rank = tuple(float(part["rank_correlation", EVERY]) for part in parts)
        for method, factor in factors.items():
            ence = tuple(float(part.get(("ence", method), np.nan)) for part in parts)
            ends: dict[str, tuple[float, float | None, float | None]] = {
                "rank_correlation": (rank[0], rank[1], rank[2]),
                "ence": (ence[0], ence[1], ence[2]),
                "ence_null": (float(null[0]), None, float(null[1])),
            }
            if method != NONE:
                ends["variance_factor"] = factor, None, None
            for metric, three in ends.items():
                made.append((track, method, metric, None, EVERY, *three, *size))
        for (metric, subset), value in values.items():
            if metric in ("ence", "rank_correlation"):
                continue
            of_part = size if subset == EVERY else self._size_of(places[labels == subset])
            levels: list[float | None] = [None] if value.ndim == 0 else CURVE.tolist()
            nothing = np.full_like(value, np.nan)
            others = [part.get((metric, subset), nothing) for part in (low, high)]
            columns = [np.atleast_1d(part).tolist() for part in (value, *others)]
            for level, point, below, above in zip(levels, *columns, strict=True):
                made.append((track, NONE, metric, level, subset, point, below, above, *of_part))
        self._add_thresholds(index, size)

    def _size_of(self, places: Groups) -> tuple[int, int]:
        return len(places), len(np.unique(self.resamples.index[places]))

    def _add_thresholds(self, index: int, size: tuple[int, int]) -> None:
        track, made = self.tracks[index], self.made[index]
        calibration = self.calibration.tracks(slice(index, index + 1))
        known = calibration.rows(calibration.measured[:, 0])
        fixed = selective.fix_thresholds(known.sd, known.groups, weights=known.weights)
        one = self.evaluation.tracks(slice(index, index + 1))
        kept, risks = fixed.reached(one.errors**2, one.sd, one.groups, one.weights)
        for level, share, risk in zip(fixed.coverages, kept[:, 0], risks[:, 0], strict=True):
            for metric, value in (("kept", share), ("kept_risk", risk)):
                made.append((track, NONE, metric, level, EVERY, float(value), None, None, *size))
