"""How far scores of an assay would move with other peaks.

Rows of one peak (an enhancer with its mutants) are not independent, and test sets of several splits
share peaks. So groups get random weights: exponential ones, the Bayesian bootstrap (Rubin 1981). A
group has the same weight in every split, model and data set of a round, in calibration data too,
whose calibrators are fitted anew; differences are paired. Networks are not trained again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.special import ndtri

from seqtrust.calibration import regression, selective
from seqtrust.calibration.conformal import conformal_quantile, thresholds_under_shift
from seqtrust.calibration.density_ratio import density_ratio
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.grouping import Groups
from seqtrust.calibration.methods import NONE, NORMALISED, SPLIT, VARIANCE_SCALING
from seqtrust.robustness.score_tables import CONDITION
from seqtrust.robustness.shift_scores import GC_RATIO, LEVEL, forecasts
from seqtrust.robustness.stated_tables import Stated
from seqtrust.robustness.world_tables import CALIBRATION, WorldTable
from seqtrust.sources.seeds import named_generator
from seqtrust.tables import Column, TableSchema, read_table, write_table

Floats = npt.NDArray[np.float64]

ROUNDS = 200
# whose intervals are drawn; those of others are fitted once
DRAWN = (NONE, VARIANCE_SCALING, SPLIT, NORMALISED, GC_RATIO)
_Z = float(ndtri((1 + LEVEL) / 2))

PEAKS = TableSchema(
    "robustness_peaks",
    1,
    "robustness/{robustness}/peaks/{model}/{world}.{replicate}.parquet",
    "Scores of one replicate in one split of an assay, with random weights of the groups; the same "
    "round has the same weights in all splits and models.",
    (
        *(column for column in CONDITION if column.name in ("data_set", "calibrator", "metric")),
        Column("draws", pa.list_(pa.float64()), "of every round", "of the metric"),
    ),
)


@dataclass(frozen=True)
class PeakDraws:
    """One score in every round.

    Attributes:
        data_set: name of the condition.
        calibrator: of `DRAWN`.
        metric: its name.
        draws: shape (rounds,).
    """

    data_set: str
    calibrator: str
    metric: str
    draws: Floats


def group_weights(groups: Groups, rounds: int, seed: int) -> Floats:
    """Weights of rows in every round, shape (rounds, N); rows weigh 1 on average.

    Args:
        groups: of the rows, shape (N,); a name has the same draws wherever it stands.
        rounds: number of rounds.
        seed: of the draws.
    """
    names, places = np.unique(groups, return_inverse=True)
    drawn = np.stack(
        [named_generator(seed, "peak", str(name)).exponential(size=rounds) for name in names],
        axis=1,
    )
    found = drawn[:, places]
    normalised: Floats = found / found.mean(axis=1, keepdims=True)
    return normalised


def peak_draws(
    world: WorldTable,
    stated: Mapping[str, Stated],
    calibrators: Sequence[str],
    seed: int,
    rounds: int = ROUNDS,
) -> Iterator[PeakDraws]:
    """Scores of a replicate in every round.

    Args:
        world: a split of an assay.
        stated: of the replicate, by data set.
        calibrators: those in `DRAWN` are.
        seed: of the weights.
        rounds: number of rounds.
    """
    fitted = world.condition(CALIBRATION)
    known = forecasts(CALIBRATION, fitted, stated[CALIBRATION])
    before = group_weights(known.groups, rounds, seed)
    for name in world.conditions:
        condition = world.condition(name)
        tested = forecasts(name, condition, stated[name])
        weights = group_weights(tested.groups, rounds, seed)
        ratios = None
        if GC_RATIO in calibrators:
            ratios = density_ratio(fitted.gc[:, None], condition.gc[:, None])
        for (calibrator, metric), draws in draws_of(known, before, tested, weights, ratios).items():
            if calibrator == NONE or calibrator in calibrators:
                yield PeakDraws(name, calibrator, metric, draws)


def draws_of(
    known: Forecasts,
    before: Floats,
    tested: Forecasts,
    weights: Floats,
    ratios: tuple[Floats, Floats] | None = None,
) -> dict[tuple[str, str], Floats]:
    """Scores by calibrator and metric, shape (rounds,) each.

    Args:
        known: calibration data, M rows.
        before: their weights, shape (rounds, M).
        tested: N rows.
        weights: their weights, shape (rounds, N); rows weigh 1 on average.
        ratios: density ratio of tested to calibration data, at both.
    """
    found = _plain(tested, weights)
    factor = (before * known.z[:, 0] ** 2).mean(axis=1)
    found |= _scaled(tested, weights, factor)
    errors, sd = np.abs(tested.errors[:, 0]), tested.sd[:, 0]
    spread = {SPLIT: np.ones_like(sd), NORMALISED: sd}
    scores = {SPLIT: np.abs(known.errors), NORMALISED: np.abs(known.z)}
    for name, scale in spread.items():
        half = np.array([conformal_quantile(scores[name], [LEVEL], one)[0, 0] for one in before])
        inside = errors <= half[:, None] * scale
        found[name, "cov90"] = (weights * inside).mean(axis=1)
        found[name, "width90"] = 2 * half * (weights * scale).mean(axis=1)
    if ratios is not None:
        found |= _reweighted(scores[SPLIT][:, 0], before, errors, weights, ratios)
    return found


def _plain(tested: Forecasts, weights: Floats) -> dict[tuple[str, str], Floats]:
    mean, observed = tested.mean[:, 0], tested.observed[:, 0]
    errors, sd = tested.errors[:, 0], tested.sd[:, 0]

    def average(values: Floats) -> Floats:
        found: Floats = weights @ values / weights.shape[1]
        return found

    error, variance = average(errors**2), average(sd**2)
    centres = average(mean), average(observed)
    spreads = average(mean**2) - centres[0] ** 2, average(observed**2) - centres[1] ** 2
    crossed = average(mean * observed) - centres[0] * centres[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        pearson = np.where(spreads[0] > 0, crossed / np.sqrt(spreads[0] * spreads[1]), np.nan)
    risks = np.array(
        [selective.risk_at(tested.errors**2, tested.sd, (0.5, 0.2), one)[:, 0] for one in weights]
    )
    found = {
        "mse": error,
        "r2": 1 - error / spreads[1],
        "pearson": pearson,
        "error_offset": average(errors) ** 2,
        "variance": variance,
        "vr": variance / error,
        "zms": average(tested.z[:, 0] ** 2),
        "nll": average(regression.nll(tested)[:, 0]),
        "cov90": average(np.asarray(np.abs(errors) <= _Z * sd, dtype=np.float64)),
        "width90": 2 * _Z * average(sd),
        "r50": risks[:, 0] / error,
        "r20": risks[:, 1] / error,
    }
    return {(NONE, name): draws for name, draws in found.items()}


def _scaled(tested: Forecasts, weights: Floats, factor: Floats) -> dict[tuple[str, str], Floats]:
    """After variance scaling by a factor of the variance in every round, shape (rounds,)."""
    errors, sd = np.abs(tested.errors[:, 0]), tested.sd[:, 0]
    squares, rows = tested.z[:, 0] ** 2, weights.shape[1]
    error, variance = weights @ errors**2 / rows, factor * (weights @ sd**2) / rows
    zms = weights @ squares / rows / factor
    logs = weights @ np.log(2 * np.pi * sd**2) / rows + np.log(factor)
    inside = errors <= _Z * np.sqrt(factor)[:, None] * sd
    found = {
        "mse": error,
        "vr": variance / error,
        "zms": zms,
        "nll": 0.5 * (logs + zms),
        "cov90": (weights * inside).mean(axis=1),
        "width90": 2 * _Z * np.sqrt(factor) * (weights @ sd) / rows,
    }
    return {(VARIANCE_SCALING, name): draws for name, draws in found.items()}


def _reweighted(
    scores: Floats,
    before: Floats,
    errors: Floats,
    weights: Floats,
    ratios: tuple[Floats, Floats],
) -> dict[tuple[str, str], Floats]:
    """Of weighted conformal intervals by the density ratio of GC contents."""
    covered, widths = [], []
    for own, now in zip(before, weights, strict=True):
        half = thresholds_under_shift(scores, own * ratios[0], ratios[1], np.array([LEVEL]))[0]
        covered.append((now * (errors <= half)).mean())
        widths.append(2 * (now * half).mean())
    return {(GC_RATIO, "cov90"): np.array(covered), (GC_RATIO, "width90"): np.array(widths)}


def write_peaks(path: str | Path, draws: Iterator[PeakDraws]) -> int:
    """Write the draws of a replicate; returns their number."""
    rows = list(draws)
    columns = {
        key: [getattr(row, key) for row in rows] for key in ("data_set", "calibrator", "metric")
    }
    write_table(path, PEAKS, {**columns, "draws": [row.draws.tolist() for row in rows]})
    return len(rows)


def read_peaks(path: str | Path, model: str, world: int, replicate: int) -> pd.DataFrame:
    """Draws of a replicate with its name in the columns model, world and replicate."""
    table = read_table(path, PEAKS).to_pandas()
    return table.assign(model=model, world=world, replicate=replicate)
