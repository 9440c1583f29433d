"""Curves behind the scores: reliability, and risk against the share that is kept, also by group."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqtrust.calibration import regression, selective
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.methods import NONE, VARIANCE_SCALING
from seqtrust.calibration.recalibration import fit_variance_scaling
from seqtrust.calibration.regression import LEVELS, REPORTED_LEVELS
from seqtrust.robustness.shift_rows import SHIFT_COLUMNS
from seqtrust.robustness.shift_scores import LEAST_GROUP, forecasts
from seqtrust.robustness.stated_tables import Stated
from seqtrust.robustness.world_tables import CALIBRATION, WorldTable
from seqtrust.tables import Column, TableSchema

Floats = npt.NDArray[np.float64]

RELIABILITY, RISK = "reliability", "risk_coverage"
KEPT: Floats = np.arange(1, 21) / 20
KEPT_OF_GROUPS: Floats = np.arange(1, 11) / 10

SCHEMA = TableSchema(
    "robustness_curves",
    1,
    "robustness/{robustness}/curves/{model}/{world}.{replicate}.parquet",
    "Reliability and risk-coverage curves of one replicate in one world, of all sequences of a "
    "condition and of groups of at least 30.",
    (
        *SHIFT_COLUMNS,
        Column("curve", pa.string(), "reliability or risk_coverage"),
        Column("calibrator", pa.string(), "none or variance_scaling, which keeps every order"),
        Column("by", pa.string(), "column of groups, or empty"),
        Column("group", pa.string(), "group, or empty"),
        Column("x", pa.float64(), "nominal coverage; share that is kept"),
        Column("rows", pa.int32(), "sequences"),
        Column("value", pa.float64(), "observed coverage; mean squared error of what is kept"),
    ),
)


@dataclass(frozen=True)
class CurvePoint:
    """One point of one curve; see `SCHEMA`."""

    data_set: str
    curve: str
    calibrator: str
    by: str
    group: str
    x: float
    rows: int
    value: float


def shift_curves(world: WorldTable, stated: Mapping[str, Stated]) -> Iterator[CurvePoint]:
    """All curves of a fit.

    Args:
        world: with its data sets.
        stated: of the fit, by data set.
    """
    scaling = fit_variance_scaling(
        forecasts(CALIBRATION, world.condition(CALIBRATION), stated[CALIBRATION])
    )
    for name in world.conditions:
        plain = forecasts(name, world.condition(name), stated[name])
        both = {NONE: plain, VARIANCE_SCALING: scaling.apply(plain)}
        yield from _points(name, both, "", "", LEVELS, KEPT)
        for by, labels in world.groups(name).items():
            for group in np.unique(labels).tolist():
                mine = labels == group
                if mine.sum() >= LEAST_GROUP:
                    parts = {key: one.rows(mine) for key, one in both.items()}
                    levels = np.array(REPORTED_LEVELS)
                    yield from _points(name, parts, by, str(group), levels, KEPT_OF_GROUPS)


def _points(
    name: str,
    parts: Mapping[str, Forecasts],
    by: str,
    group: str,
    levels: Floats,
    kept: Floats,
) -> Iterator[CurvePoint]:
    rows = len(parts[NONE].mean)
    for calibrator, tested in parts.items():
        observed = regression.coverage_curve(tested, levels)[:, 0]
        for x, value in zip(levels.tolist(), observed.tolist(), strict=True):
            yield CurvePoint(name, RELIABILITY, calibrator, by, group, x, rows, value)
    plain = parts[NONE]
    risks = selective.risk_at(plain.errors**2, plain.sd, kept)[:, 0]
    for x, value in zip(kept.tolist(), risks.tolist(), strict=True):
        yield CurvePoint(name, RISK, NONE, by, group, x, rows, value)
