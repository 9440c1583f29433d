"""The calibration of signs: a table of statistics per track and data split, with intervals."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import xlog1py, xlogy

from seqtrust.calibration.assessment import CURVE
from seqtrust.calibration.grouping import Floats
from seqtrust.calibration.ordered import Order, bin_edges, binned_means
from seqtrust.calibration.regression import Key, means_of
from seqtrust.calibration.resampling import Resamples, percentile_interval
from seqtrust.calibration.selective import COVERAGES
from seqtrust.calibration.sign_fits import (
    NONE,
    VALIDATION,
    SignFits,
    fit_signs,
    fold_plan,
    validation_plan,
)
from seqtrust.calibration.sign_rows import SignRows, sign_rows
from seqtrust.calibration.track_orders import EVERY, TrackOrders
from seqtrust.errors import InputError
from seqtrust.tables import Column, TableSchema

ROWS = "rows"
LEAST_PER_BIN, MOST_BINS = 10, 10

SCHEMA = TableSchema(
    name="sign_calibration",
    version=1,
    path="sign_calibration/{sign_calibration}.parquet",
    description=(
        "How far the stated probability of a sign is right, and what leaving out uncertain signs "
        "gains, on loci that nothing was fitted on. Intervals (`low`, `high`) are 95 % bootstraps "
        "over groups. What the statistics are is in docs/calibration.md."
    ),
    columns=(
        Column("track", pa.string(), "track of the model"),
        Column("split", pa.string(), "data split of the rows; `all` of cross-fitted rows"),
        Column("score", pa.string(), "`spread` or `votes`: what the probability is of; `z`, "
               "`effect` or `unanimity`: what rows are left out by; `rows`: counts"),
        Column("method", pa.string(), "`none`, `platt` or `isotonic`"),
        Column("metric", pa.string(), "statistic"),
        Column("level", pa.float64(), "coverage, fraction kept, mean stated probability of a bin, "
               "or number of bins (`ece`)", "", True),
        Column("value", pa.float64(), "of the statistic", "", True),
        Column("low", pa.float64(), "lower end of its interval", "", True),
        Column("high", pa.float64(), "upper end of its interval", "", True),
        Column("rows", pa.int64(), "judged rows, of `reliability` those of the bin"),
        Column("groups", pa.int64(), "groups that they come from"),
    ),
)  # fmt: skip

Ends = tuple[float, float | None, float | None]
# score, method, metric, level, value with its interval, rows
Found = tuple[str, str, str, float | None, Ends, int]


def assess_signs(
    table: pd.DataFrame,
    fit: str,
    folds: int,
    methods: Sequence[str],
    seed: int,
    group_of: Mapping[str, str] | None = None,
) -> dict[str, list[Any]]:
    """The columns of the sign calibration table.

    A track of which no row can be judged has its counts only.

    Args:
        table: a verdicts table of signs.
        fit: `validation`, judged on the other splits, each apart; or `folds` of groups.
        folds: number of folds.
        methods: of `sign_fits.METHODS`.
        seed: of folds and bootstraps.
        group_of: group of every locus; without, a locus is a group.

    Raises:
        InputError: no row can be judged, there are fewer groups than folds, a split has no row,
            or there is one replicate.
    """
    columns: dict[str, list[Any]] = {column.name: [] for column in SCHEMA.columns}
    judged = 0
    counted: dict[str, int] = {}
    for track, mine in table.groupby("track", sort=False):
        try:
            rows = sign_rows(mine, group_of)
            found = list(_track_rows(rows, fit, folds, methods, seed))
        except InputError as error:
            raise InputError(f"signs of {track!r}: {error}") from None
        judged += len(rows.labels)
        for name, number in rows.counts.items():
            counted[name] = counted.get(name, 0) + number
        for row in found:
            for column, value in zip(columns.values(), (track, *row), strict=True):
                column.append(value)
    if not judged:
        told = ", ".join(f"{number} {name}" for name, number in counted.items())
        raise InputError(
            f"no row of the verdict can be judged ({told}): calibration needs signs that "
            "replicates call and whose truth is known"
        )
    return columns


def _track_rows(
    rows: SignRows, fit: str, folds: int, methods: Sequence[str], seed: int
) -> Iterator[tuple[Any, ...]]:
    total = len(rows.labels), len(np.unique(rows.groups))
    counts: dict[str, float] = {"judged": 0, **rows.counts}
    if not total[0]:
        yield from ((EVERY, ROWS, NONE, *_count(item), *total) for item in counts.items())
        return
    by_validation = fit == VALIDATION
    plan = (
        validation_plan(rows.splits, rows.groups)
        if by_validation
        else fold_plan(rows.groups, folds, seed)
    )
    judged = plan.judged
    more = {"fitted": float((rows.splits == VALIDATION).sum() - plan.left_out)}
    counts |= {"judged": float(judged.sum()), "left_out": plan.left_out}
    counts |= more if by_validation else {"fitted": float(total[0])}
    counts["mirrored"] = float(rows.one_sign)
    yield from ((EVERY, ROWS, NONE, *_count(item), *total) for item in counts.items())
    fits = fit_signs(rows, plan, methods, rows.one_sign)
    for split in [*([] if by_validation else [EVERY]), *sorted(set(rows.splits[judged].tolist()))]:
        chosen = np.flatnonzero(judged & ((rows.splits == split) | (split == EVERY)))
        groups = len(np.unique(rows.groups[chosen]))
        part = _Judged(rows, fits, chosen, seed)
        for score, method, metric, level, ends, size in part.found():
            yield split, score, method, metric, level, *ends, size, groups


def _count(item: tuple[str, float]) -> tuple[str, None, float, None, None]:
    return item[0], None, float(item[1]), None, None


class _Judged:
    """The judged rows of one data split."""

    def __init__(self, rows: SignRows, fits: SignFits, chosen: Any, seed: int) -> None:
        self.rows, self.fits, self.chosen = rows, fits, chosen
        self.labels = rows.labels[chosen]
        self.resamples = Resamples(rows.groups[chosen], seed)
        self.size = len(chosen)

    def found(self) -> Iterator[Found]:
        """Statistics with their intervals."""
        for (kind, method), probability in self.fits.probabilities.items():
            p = probability[self.chosen]
            scores = self._means(_scores(p, self.labels))
            for (metric, level), ends in scores.items():
                yield kind, method, metric, level, ends, self.size
            yield from self._reliability(kind, method, p)
        for (kind, level), sets in self.fits.sets.items():
            shares = self._means(_set_shares(sets[self.chosen], self.labels, level))
            for (metric, _), ends in shares.items():
                yield kind, NONE, metric, level, ends, self.size
        for order, kept in self.fits.kept.items():
            yield from self._selective(order, kept[:, self.chosen])

    def _means(self, components: Mapping[Key, Floats]) -> dict[Key, Ends]:
        """Means over rows, and ratios of what is kept, with intervals."""
        columns = {key: values[:, None].astype(np.float64) for key, values in components.items()}
        weights = np.ones((self.size, 1))
        values = _ratios(means_of(columns, weights))
        ends = self.resamples.intervals(columns, weights, _ratios)
        return {
            key: (float(value[0]), float(ends[key][0][0]), float(ends[key][1][0]))
            for key, value in values.items()
        }

    def _reliability(self, kind: str, method: str, p: Floats) -> Iterator[Found]:
        """ECE with bins of equal mass, and what happened in every bin."""
        bins = int(np.clip(self.size // LEAST_PER_BIN, 2, MOST_BINS))
        if self.size < bins:
            return
        labels, places = self.labels, np.arange(self.size)
        weights = np.ones(self.size)
        if self.rows.one_sign:
            # 1 - .8 must be .2
            p = np.asarray(np.round(np.append(p, 1 - p), 12), dtype=np.float64)
            labels = np.append(labels, 1 - labels)
            places, weights = np.append(places, places), np.full(2 * self.size, 0.5)
        order = Order.of(p)
        stated, happened = (part[order.rows] for part in (p, labels))

        def binned(drawn: Floats) -> tuple[Floats, Floats]:
            mass = order.cumulative(drawn)
            edges = bin_edges(mass[..., -1], bins)
            sums = [order.cumulative(drawn * part) for part in (stated, happened)]
            one, two = binned_means(mass, edges, *sums)
            width = np.diff(edges) / mass[..., -1:]
            return (np.abs(one - two) * width).sum(axis=-1), np.stack([one, two, width], axis=-1)

        own = weights[order.rows]
        error, curve = binned(own)
        drawn = [binned(block) for block in self.resamples.weights(places[order.rows], own)]
        low, high = percentile_interval(np.concatenate([part[0] for part in drawn]))
        ends = float(error), float(low), float(high)
        yield kind, method, "ece", float(bins), ends, self.size
        lows, highs = percentile_interval(np.concatenate([part[1][..., 1] for part in drawn]).T)
        for (mean, share, width), below, above in zip(curve, lows, highs, strict=True):
            ends = float(share), float(below), float(above)
            count = round(float(width) * self.size)
            yield kind, method, "reliability", float(mean), ends, count

    def _selective(self, order: str, kept: Any) -> Iterator[Found]:
        """Wrong signs among what is kept, against the fraction kept."""
        losses = self.rows.wrong[self.chosen]
        uncertainty = self.rows.uncertainty(order)[self.chosen]
        nothing = np.full(self.size, "", dtype=np.str_)
        orders = TrackOrders.of(uncertainty, losses, nothing)
        places, weights = np.arange(self.size), np.ones(self.size)
        values, low, high = orders.with_intervals(self.resamples, places, weights, CURVE, 1, {})
        for (metric, subset), value in values.items():
            if subset != EVERY or metric == "rank_correlation":
                continue
            missing = np.full_like(value, np.nan)
            others = [part.get((metric, subset), missing) for part in (low, high)]
            columns = [np.atleast_1d(part).tolist() for part in (value, *others)]
            levels: list[float | None] = [None] if value.ndim == 0 else CURVE.tolist()
            for at, point, below, above in zip(levels, *columns, strict=True):
                yield order, NONE, metric, at, (point, below, above), self.size
        components: dict[Key, Floats] = {}
        for level, mine in zip(COVERAGES, kept, strict=True):
            components["kept", level] = mine
            components["kept_wrong", level] = mine * losses
        for (metric, wanted), ends in self._means(components).items():
            yield order, NONE, metric, wanted, ends, self.size


def _scores(p: Floats, labels: Floats) -> dict[Key, Floats]:
    with np.errstate(divide="ignore"):
        log_loss = -xlogy(labels, p) - xlog1py(1 - labels, -p)
    # a fit may miss one half by its last bit
    called = (np.sign(np.round(p - 0.5, 9)) + 1) / 2
    right: Floats = 1 - np.abs(called - labels)
    return {
        ("brier", None): np.square(p - labels),
        ("log_loss", None): np.asarray(log_loss, dtype=np.float64),
        ("accuracy", None): right,
    }


def _set_shares(sets: Floats, labels: Floats, level: float) -> dict[Key, Floats]:
    both = sets == 0
    shares = {
        "set_coverage": both | ((sets > 0) == (labels > 0)),
        "set_plus": sets > 0,
        "set_minus": sets < 0,
        "set_both": both,
        "set_size": 1 + both,
    }
    return {(name, level): part.astype(np.float64) for name, part in shares.items()}


def _ratios(means: Mapping[Key, Floats]) -> dict[Key, Floats]:
    """The means, and of what is kept its share and its risk."""
    found: dict[Key, Floats] = {}
    for (metric, level), value in means.items():
        if metric == "kept_wrong":
            with np.errstate(divide="ignore", invalid="ignore"):
                found["kept_risk", level] = value / means["kept", level]
        else:
            found[metric, level] = value
    return found
