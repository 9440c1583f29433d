"""Instruments from a plain table of summary statistics."""

from pathlib import Path

import numpy as np
import pandas as pd

from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.genome import UNKNOWN_SPLIT
from seqtrust.mendelian.effects import Flags
from seqtrust.mendelian.instrument_tables import PUBLISHED, RULE, Instruments
from seqtrust.mendelian.selected_instruments import Rule, beyond_z
from seqtrust.statistics import Floats

COLUMNS = ("instrument", "task", "beta", "se")


def read_summary_statistics(
    path: str | Path, rule: Rule, published_threshold: float | None = None
) -> Instruments:
    """Read a tab-separated table with a row per instrument and task.

    Columns: `instrument` (name), `task`, `beta` (effect), `se` (its standard error); where there
    are several loci `locus`; where known `position` (0-based, in the locus) and `split`.

    Args:
        path: the table.
        rule: what is an instrument; nothing is chosen by replicates.
        published_threshold: of the published rule, where it is compared.

    Raises:
        InputError: a column is missing, a standard error is not positive, an effect is no number,
            an instrument stands twice or lacks a task, or there is one task only.
    """
    words = dict.fromkeys(("instrument", "task", "locus", "split"), str)
    table = read_input_table(path, words)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(
            f"{path}: there is no column {missing[0]!r}; summary statistics need the columns "
            f"{', '.join(COLUMNS)}, found: {', '.join(map(str, table.columns))}"
        )
    if "locus" not in table.columns:
        table["locus"] = "all"
    if "split" not in table.columns:
        table["split"] = UNKNOWN_SPLIT
    for name in ("beta", "se", *(["position"] if "position" in table.columns else [])):
        values = _numbers(table[name])
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(
                f"{path}, line {row + 2}: {name} is {table[name].iloc[row]!r}, which is no number"
            )
    if (table["se"] <= 0).any():
        row = int(np.flatnonzero(table["se"] <= 0)[0])
        raise InputError(
            f"{path}, line {row + 2}: se is {table['se'].iloc[row]:g}; a standard error is "
            "positive: remove the row, or give its error"
        )
    keys = ["locus", "instrument"]
    twice = table.duplicated([*keys, "task"])
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise InputError(
            f"{path}, line {row + 2}: instrument {table['instrument'].iloc[row]!r} has task "
            f"{table['task'].iloc[row]!r} twice in locus {table['locus'].iloc[row]!r}"
        )
    tasks = tuple(table["task"].unique())
    if len(tasks) < 2:
        raise InputError(f"{path} has one task, {tasks[0]!r}; Deep MR needs two at least")
    rows = table.drop_duplicates(keys)
    loci = tuple(rows["locus"].unique())
    rows = rows.assign(at=rows["locus"].map({name: at for at, name in enumerate(loci)}))
    rows = rows.sort_values("at", kind="stable")
    wide = {
        name: table.pivot(index=keys, columns="task", values=name).loc[
            list(zip(rows["locus"], rows["instrument"], strict=True)), list(tasks)
        ]
        for name in ("beta", "se")
    }
    absent = wide["beta"].isna()
    if absent.any(axis=None):
        row, column = np.argwhere(absent.to_numpy())[0]
        raise InputError(
            f"{path}: instrument {rows['instrument'].iloc[row]!r} of locus "
            f"{rows['locus'].iloc[row]!r} has no row of task {tasks[column]!r}: every instrument "
            "needs an effect on every task"
        )
    beta, se = (wide[name].to_numpy(dtype=np.float64) for name in ("beta", "se"))
    chosen = np.zeros(beta.shape, dtype=np.int8)
    for task in range(len(tasks)):
        of_all = float(beta[:, task].mean()), float(beta[:, task].std())
        chosen[:, task] |= np.where(_kept(rule, beta[:, task], se[:, task], of_all), RULE, 0)
        if published_threshold is not None:
            kept = beyond_z(beta[:, task], of_all, published_threshold)
            chosen[:, task] |= np.where(kept, PUBLISHED, 0)
    splits = rows.drop_duplicates("locus").set_index("locus")["split"]
    return Instruments(
        tasks,
        loci,
        tuple(splits[name] for name in loci),
        rows["at"].to_numpy(dtype=np.int64),
        tuple(rows["instrument"]),
        rows["position"].to_numpy(dtype=np.int64) if "position" in table.columns else None,
        beta,
        se,
        None,
        None,
        chosen,
        np.full(len(tasks), np.nan),
        "given",
    )


def _kept(rule: Rule, beta: Floats, se: Floats, of_all: tuple[float, float]) -> Flags:
    size = np.abs(beta) / se
    if rule.rule == "strong":
        return size**2 >= rule.limit
    if rule.rule == "surer_than":
        return size >= rule.limit
    if rule.rule == "published_z":
        return beyond_z(beta, of_all, rule.limit)
    return np.ones(len(beta), dtype=bool)


def _numbers(column: pd.Series) -> Floats:
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
