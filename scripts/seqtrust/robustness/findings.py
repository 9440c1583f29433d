"""What a benchmark found, over worlds: detection, repair, headlines, and a page of the tests."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from seqtrust.headlines import COLUMNS
from seqtrust.robustness import shift_curves
from seqtrust.robustness.few_label_repair import NOTHING, labels_needed
from seqtrust.robustness.over_worlds import CONDITION_COLUMNS, over_worlds
from seqtrust.robustness.shift_detection import (
    CLASSIFIER,
    DETECTED,
    LABELS,
    MARTINGALE,
    SEQUENCES,
)
from seqtrust.robustness.shift_summary import UNSHIFTED
from seqtrust.tables import Column, TableSchema, write_table

TOY_NOTES = (
    "A toy: no test is decided. It shows what the tests look like, not whether claims hold.",
)
CURVES = TableSchema(
    "robustness_curve_means",
    1,
    "robustness/{robustness}.curves.parquet",
    "Curves over worlds and replicates, with 95 % intervals of worlds that were not drawn.",
    (
        Column("model", pa.string(), "of the config, or oracle, ideal"),
        *(column for column in shift_curves.SCHEMA.columns if column.name not in ("rows", "value")),
        Column("worlds", pa.int16(), "with a value"),
        Column("fits", pa.int32(), "replicates of all worlds with a value"),
        Column("value", pa.float64(), "mean over worlds", "", True),
        Column("low", pa.float64(), "lower end of its interval", "", True),
        Column("high", pa.float64(), "upper end", "", True),
    ),
)
_INFO = CONDITION_COLUMNS[1:]
_SHARES = (DETECTED, "cov90", "mended")
# ladders whose strongest step makes headlines, where there is one
_TOLD = ("GC", "REW", "NOISE-A", "BATCH")
_MOST_TOLD = 4


def detection_table(fits: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Detection over worlds (`over_worlds`)."""
    keys = ["data_set", "test", "looks_at", "samples", "metric"]
    return _within_one(over_worlds(fits, keys, _INFO, seed))


def repair_table(fits: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Repair over worlds (`over_worlds`)."""
    keys = ["data_set", "repair", "labels", "metric"]
    return _within_one(over_worlds(fits, keys, _INFO, seed))


def curves_table(fits: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Curves over worlds (`over_worlds`)."""
    keys = ["data_set", "curve", "calibrator", "by", "group", "x"]
    return over_worlds(fits, keys, _INFO, seed)


def _within_one(table: pd.DataFrame) -> pd.DataFrame:
    """Intervals of shares end at 0 and 1."""
    shares = table["metric"].isin(_SHARES)
    for end in ("low", "high"):
        table[end] = table[end].where(~shares, table[end].clip(0, 1))
    return table


def write_curves(path: str | Path, curves: pd.DataFrame) -> None:
    """Write curves over worlds."""
    columns = {column.name: curves[column.name] for column in CURVES.columns}
    write_table(path, CURVES, columns)


def needed_table(repair: pd.DataFrame) -> pd.DataFrame:
    """Fewest labels that mend coverage in nine of ten draws, per model, condition and repair.

    0 where nothing needs to be mended; infinite where no number that was tried is enough.

    Args:
        repair: from `repair_table`.
    """
    mended = repair[repair["metric"] == "mended"]
    rows = []
    for (model, data_set), mine in mended.groupby(["model", "data_set"], sort=False):
        before = mine.loc[mine["repair"] == NOTHING, "value"].mean()
        first = mine.iloc[0]
        for name, part in mine[mine["repair"] != NOTHING].groupby("repair", sort=False):
            shares = dict(zip(part["labels"].tolist(), part["value"].tolist(), strict=True))
            needed = 0.0 if before >= 0.9 else labels_needed(shares)
            rows.append(
                {"model": model, "data_set": data_set, "shift": first["shift"],
                 "severity": first["severity"], "type": first["type"], "repair": name,
                 "labels_needed": needed, "most_labels": max(shares)}
            )  # fmt: skip
    return pd.DataFrame(rows)


def told_conditions(table: pd.DataFrame) -> list[str]:
    """Conditions for headlines: no shift, then the strongest step of a few ladders.

    Args:
        table: with the columns of conditions.
    """
    shifted = table[table["severity"] > 0].drop_duplicates("data_set")
    known = shifted["shift"].drop_duplicates().tolist()
    chosen = [name for name in _TOLD if name in known] or known[:_MOST_TOLD]
    strongest = shifted.sort_values("severity", kind="stable").groupby("shift")["data_set"].last()
    unshifted = [UNSHIFTED] if (table["data_set"] == UNSHIFTED).any() else []
    return [*unshifted, *(str(strongest[name]) for name in chosen)]


def robustness_headlines(
    label: str,
    model: str,
    calibrator: str,
    summary: pd.DataFrame,
    detection: pd.DataFrame,
    repair: pd.DataFrame,
) -> pd.DataFrame:
    """What a benchmark says of its first model.

    Args:
        label: of the benchmark.
        model: that is spoken of.
        calibrator: of the stated sds.
        summary: of all models.
        detection: from `detection_table`; may be of other models.
        repair: from `repair_table`; may be of other models.
    """
    rows: list[tuple[object, ...]] = []
    told = told_conditions(summary)
    mine = summary[(summary["model"] == model) & (summary["calibrator"] == calibrator)]
    by_metric = {
        metric: part.set_index("data_set") for metric, part in mine.groupby("metric", sort=False)
    }
    for name in told:
        covered: Any = by_metric["cov90"].loc[name]
        expected = by_metric["expected_cov90"]["value"].get(name, np.nan)
        rows.append(
            (f"{label}, {model}: coverage of 90 % intervals under {name}", covered["value"],
             max(covered["low"], 0), min(covered["high"], 1), expected,
             "of a Gaussian at the same variance ratio", int(covered["fits"]))
        )  # fmt: skip
    watched = detection[(detection["model"] == model) & (detection["metric"] == DETECTED)]
    for test, looks_at, words in (
        (CLASSIFIER, SEQUENCES, "new sequences without labels"),
        (MARTINGALE, LABELS, "labelled sequences"),
    ):
        part = watched[(watched["test"] == test) & (watched["looks_at"] == looks_at)]
        if part.empty:
            continue
        part = part[part["samples"] == part["samples"].max()].set_index("data_set")
        false = part["value"].get(UNSHIFTED, np.nan)
        for name in (one for one in told if one != UNSHIFTED and one in part.index):
            row: Any = part.loc[name]
            rows.append(
                (f"{label}, {model}: {name} noticed from {row['samples']} {words}", row["value"],
                 row["low"], row["high"], false, "false alarms", int(row["fits"]))
            )  # fmt: skip
    parts = repair[(repair["model"] == model) & (repair["metric"] == "cov90")]
    for name in (one for one in told if one != UNSHIFTED):
        own = parts[parts["data_set"] == name]
        after = own[own["repair"] == "conformal"].sort_values("labels")
        if len(after):
            row, before = after.iloc[-1], own.loc[own["repair"] == NOTHING, "value"].mean()
            rows.append(
                (f"{label}, {model}: coverage under {name} with a conformal quantile of "
                 f"{row['labels']} labels", row["value"], row["low"], row["high"], before,
                 "before", int(row["fits"]))
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def claims_page(label: str, tests: pd.DataFrame, notes: Sequence[str]) -> str:
    """A self-contained HTML page of T1 to T8: verdicts per model, then every part.

    Args:
        label: of the benchmark.
        tests: from `claims.claims_table`.
        notes: paragraphs before the tables.
    """
    whole = tests[tests["part"] == "all"]
    names = whole.drop_duplicates("test").set_index("test")["statement"]
    models = whole["model"].fillna("").drop_duplicates().tolist()
    head = "".join(f"<th>{html.escape(model or 'all models')}</th>" for model in models)
    rows = []
    for test, statement in names.items():
        mine = whole[whole["test"] == test].assign(model=whole["model"].fillna(""))
        by_model = mine.set_index("model")
        cells = "".join(_verdict_cell(by_model, model) for model in models)
        rows.append(f"<tr><td><b>{test}</b></td><td>{html.escape(str(statement))}</td>{cells}</tr>")
    parts = tests[tests["part"] != "all"].fillna({"model": "", "reason": "", "needs": ""})
    shown = pd.DataFrame(
        {
            "test": parts["test"], "model": parts["model"], "condition": parts["condition"],
            "what": parts["metric"] + ", " + parts["part"],
            "passes where": parts["criterion"],
            "value": [_number(value) for value in parts["value"]],
            "interval": [
                f"{_number(low)} to {_number(high)}" if pd.notna(low) else ""
                for low, high in zip(parts["low"], parts["high"], strict=True)
            ],
            "worlds": parts["worlds"], "fits": parts["fits"], "verdict": parts["verdict"],
            "reason": parts["reason"], "needs": parts["needs"],
        }
    )  # fmt: skip
    paragraphs = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Tests of claims</title>"
        "<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;"
        "margin-bottom:2em}td,th{padding:.25em .6em;border-bottom:1px solid #ddd;text-align:left}"
        ".pass{background:#cfe8df}.fail{background:#f6d5c3}.open{color:#777}</style></head><body>"
        f"<h1>{html.escape(label)}: tests of claims</h1>{paragraphs}"
        f"<table><tr><th></th><th>statement</th>{head}</tr>{''.join(rows)}</table>"
        f"<h2>Parts</h2>{shown.to_html(index=False, border=0)}</body></html>\n"
    )


_CLASSES: Mapping[str, str] = {"pass": "pass", "fail": "fail"}


def _verdict_cell(by_model: pd.DataFrame, model: str) -> str:
    if model not in by_model.index:
        return "<td></td>"
    verdict = str(by_model.loc[model, "verdict"])
    title = html.escape(str(by_model.loc[model, "reason"]))
    return f"<td class='{_CLASSES.get(verdict, 'open')}' title='{title}'>{verdict}</td>"


def _number(value: float) -> str:
    return f"{value:.3g}" if pd.notna(value) else ""
