"""Figure of signs: reliability of their probability, and wrong signs against what is kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.calibration.sign_fits import FOLDS, ISOTONIC, NONE, PLATT
from seqtrust.calibration.sign_rows import EFFECT, SPREAD, UNANIMITY, VOTES, Z
from seqtrust.calibration.track_orders import EVERY
from seqtrust.figures.style import SETTINGS, new_figure

_METHODS: dict[str, dict[str, Any]] = {
    NONE: {"color": "#000000", "marker": "o"},
    PLATT: {"color": "#E69F00", "marker": "s"},
    ISOTONIC: {"color": "#0072B2", "marker": "^"},
}
_KINDS = {SPREAD: "from mean and spread", VOTES: "from votes of replicates"}
_ORDERS = {
    Z: ("by |mean| / sd", "#0072B2"),
    EFFECT: ("by |mean|", "#009E73"),
    UNANIMITY: ("by unanimity", "#D55E00"),
}
# the risk of fewer rows is mostly chance
LEAST_KEPT = 0.1
_DRAWN = ("reliability", "risk", "kept", "kept_risk")


def sign_table(
    tables: Sequence[pd.DataFrame], entries: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Reliability, risk-coverage curves and fixed limits of every entry and data split.

    Args:
        tables: tables of sign calibration, in the order of the entries.
        entries: `sign_calibration` of the config.
    """
    parts = [table.assign(calibration=name) for table, name in zip(tables, entries, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    shown = table[table["metric"].isin(_DRAWN)].reset_index(drop=True)
    return shown[["calibration", *(name for name in shown.columns if name != "calibration")]]


def sign_figure(table: pd.DataFrame, entries: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Three panels per entry: of all cross-fitted rows, or of test rows.

    Args:
        table: from `sign_table`.
        entries: `sign_calibration` of the config.
    """
    figure = new_figure(9.6, 3.3 * len(entries) + 0.2)
    with mpl.rc_context(SETTINGS):
        rows = figure.subplots(len(entries), 3, squeeze=False)
        for (left, middle, right), (name, entry) in zip(rows, entries.items(), strict=True):
            split = EVERY if entry["fit"] == FOLDS else "test"
            mine = table[(table["calibration"] == name) & (table["split"] == split)]
            curves = mine[mine["metric"] == "reliability"]
            for axis, (kind, label) in zip((left, middle), _KINDS.items(), strict=True):
                _reliability_panel(axis, curves[curves["score"] == kind])
                axis.set_xlabel(f"probability of plus, {label}")
            _risk_panel(right, mine)
            left.set_title(_title(entry["label"], split, mine), loc="left")
    return figure


def _reliability_panel(axis: Axes, table: pd.DataFrame) -> None:
    axis.plot([0, 1], [0, 1], color="#777777", linewidth=0.8, linestyle="--")
    alone = table["track"].nunique() == 1
    for place, (method, style) in enumerate(_METHODS.items()):
        mine = table[table["method"] == method]
        for number, (_, part) in enumerate(mine.groupby("track", sort=False)):
            level, value, low, high = (
                part[name].to_numpy(dtype=float) for name in ("level", "value", "low", "high")
            )
            axis.plot(
                level, value, label=method if number == 0 else None, markersize=4, linewidth=1,
                zorder=3 + place, **style,
            )  # fmt: skip
            if alone:
                axis.vlines(level, low, high, color=style["color"], linewidth=0.6, alpha=0.5)
    axis.set_ylabel("fraction that are plus")
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    axis.legend(frameon=False, fontsize=7, loc="lower right")


def _risk_panel(axis: Axes, table: pd.DataFrame) -> None:
    alone = table["track"].nunique() == 1
    curves = table[(table["metric"] == "risk") & (table["level"] >= LEAST_KEPT)]
    whole = curves[np.isclose(curves["level"], 1.0)]["value"].median()
    axis.axhline(whole, color="#777777", linewidth=0.8, linestyle="--")
    for order, (label, colour) in _ORDERS.items():
        by_level = curves[curves["score"] == order].groupby("level")
        median = by_level["value"].median()
        levels = median.index.to_numpy(dtype=float)
        low, high = (by_level["low"].min(), by_level["high"].max()) if alone else (
            by_level["value"].min(), by_level["value"].max(),
        )  # fmt: skip
        axis.fill_between(levels, low, high, color=colour, alpha=0.12, linewidth=0)
        axis.plot(levels, median, color=colour, linewidth=1.2, label=label)
        mine = table[table["score"] == order]
        kept, reached = (
            mine[mine["metric"] == metric].groupby("level")["value"].median()
            for metric in ("kept", "kept_risk")
        )
        drawn = kept >= LEAST_KEPT
        axis.plot(
            kept[drawn], reached[drawn], linestyle="none", marker="o", color=colour, markersize=4,
            fillstyle="none",
        )  # fmt: skip
    axis.set_xlabel("fraction kept")
    axis.set_ylabel("wrong signs among what is kept")
    axis.set_xlim(0, 1.02)
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=7, loc="lower right")


def _title(label: str, split: str, table: pd.DataFrame) -> str:
    risks = table[table["metric"] == "risk"]
    tracks = risks["track"].nunique()
    rows, groups = int(risks["rows"].max()), int(risks["groups"].max())
    words = "cross-fitted rows" if split == EVERY else "test rows"
    return f"{label}\n{tracks} track{'s' * (tracks != 1)}, {rows:,} {words} in {groups:,} groups"
