"""Tables with one row per condition and score of a fit: of detection, of repair, of curves."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from seqtrust.robustness.score_tables import CONDITION
from seqtrust.robustness.world_tables import WorldTable
from seqtrust.tables import TableSchema, read_table, write_table

# data_set, shift, severity, type
SHIFT_COLUMNS = CONDITION[:4]


def write_rows(
    path: str | Path, schema: TableSchema, world: WorldTable, rows: Iterable[Any]
) -> int:
    """Write rows of a fit; returns their number.

    Args:
        path: of the table.
        schema: `SHIFT_COLUMNS`, then fields of the rows.
        world: that knows the shift of every condition.
        rows: with `data_set` and one attribute per further column.
    """
    listed = list(rows)
    shifts = [world.shifts[row.data_set] for row in listed]
    columns: dict[str, Any] = {
        "data_set": [row.data_set for row in listed],
        "shift": [shift.name for shift in shifts],
        "severity": [shift.severity for shift in shifts],
        "type": [shift.type for shift in shifts],
    }
    for column in schema.columns[len(SHIFT_COLUMNS) :]:
        columns[column.name] = [getattr(row, column.name) for row in listed]
    write_table(path, schema, columns)
    return len(listed)


def read_fits(
    paths: Sequence[str | Path], names: Sequence[tuple[str, int, int]], schema: TableSchema
) -> pd.DataFrame:
    """Rows of several fits with their names in the columns model, world and replicate.

    Args:
        paths: of their tables.
        names: model, world and replicate of each.
        schema: of the tables.
    """
    parts = [
        read_table(path, schema).to_pandas().assign(model=model, world=world, replicate=replicate)
        for path, (model, world, replicate) in zip(paths, names, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
