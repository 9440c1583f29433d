"""Tables of scores: of one replicate in one world, and over worlds and replicates."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from seqtrust.robustness.shift_scores import Score
from seqtrust.robustness.world_tables import WorldTable
from seqtrust.tables import Column, TableSchema, read_table, write_table

CONDITION = (
    Column("data_set", pa.string(), "condition: ID, or ladder and step of a shift"),
    Column("shift", pa.string(), "ladder; ID without a shift"),
    Column("severity", pa.int16(), "step of the ladder"),
    Column("type", pa.string(), "none, covariate, concept, technical or mixed"),
    Column("calibrator", pa.string(), "fitted on calibration data; none: as stated"),
    Column("metric", pa.string(), "see docs/robustness.md"),
    Column("by", pa.string(), "column of groups of a worst group, or empty"),
)

SCORES = TableSchema(
    "robustness_scores",
    1,
    "robustness/{robustness}/scores/{model}/{world}.{replicate}.parquet",
    "Scores of one replicate in one world, one row per condition, calibrator and metric.",
    (
        *CONDITION,
        Column("value", pa.float64(), "may be infinite (a width), or empty", "of the metric", True),
    ),
)

SUMMARY = TableSchema(
    "robustness_summary",
    1,
    "robustness/{robustness}.summary.parquet",
    "Scores over worlds and replicates. Intervals are of worlds that were not drawn (95 %); they "
    "are empty with fewer than two worlds. Differences are taken within world and replicate.",
    (
        Column("model", pa.string(), "of the config, or oracle, ideal"),
        *CONDITION,
        Column("worlds", pa.int16(), "with a finite value"),
        Column("fits", pa.int32(), "replicates of all worlds with a finite value"),
        Column("value", pa.float64(), "mean over worlds of means over replicates", "", True),
        Column("low", pa.float64(), "lower end of its interval", "", True),
        Column("high", pa.float64(), "upper end", "", True),
        Column("base", pa.string(), "model that it is compared with, or empty"),
        Column("to_base", pa.float64(), "value minus that of the base model", "", True),
        Column("to_base_low", pa.float64(), "lower end", "", True),
        Column("to_base_high", pa.float64(), "upper end", "", True),
        Column("to_base_p", pa.float64(), "of no difference", "", True),
        Column("to_base_holm", pa.float64(), "p, Holm over the conditions", "", True),
        Column("to_id", pa.float64(), "value minus that without a shift", "", True),
        Column("to_id_low", pa.float64(), "lower end", "", True),
        Column("to_id_high", pa.float64(), "upper end", "", True),
        Column("to_id_p", pa.float64(), "of no difference", "", True),
        Column("to_id_holm", pa.float64(), "p, Holm over the shifted conditions", "", True),
    ),
)


def write_scores(path: str | Path, world: WorldTable, scores: Iterable[Score]) -> int:
    """Write the scores of a replicate; returns their number."""
    rows = list(scores)
    shifts = [world.shifts[row.data_set] for row in rows]
    columns = {
        "data_set": [row.data_set for row in rows],
        "shift": [shift.name for shift in shifts],
        "severity": [shift.severity for shift in shifts],
        "type": [shift.type for shift in shifts],
        "calibrator": [row.calibrator for row in rows],
        "metric": [row.metric for row in rows],
        "by": [row.by for row in rows],
        "value": [row.value for row in rows],
    }
    write_table(path, SCORES, columns)
    return len(rows)


def read_scores(path: str | Path, model: str, world: int, replicate: int) -> pd.DataFrame:
    """Scores of a replicate with its name in the columns model, world and replicate."""
    table = read_table(path, SCORES).to_pandas()
    return table.assign(model=model, world=world, replicate=replicate)


def write_summary(path: str | Path, table: pd.DataFrame) -> None:
    """Write a summary."""
    write_table(path, SUMMARY, {column.name: table[column.name] for column in SUMMARY.columns})
