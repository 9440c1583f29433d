"""Figures of calibration: reliability, coverage and width, risk against coverage."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.calibration.assessment import STRATA
from seqtrust.calibration.methods import (
    CQR,
    ISOTONIC_INTERVALS,
    ISOTONIC_QUANTILES,
    MONDRIAN,
    NONE,
    NORMALISED,
    SPLIT,
    VARIANCE_SCALING,
    WEIGHTED,
)
from seqtrust.calibration.track_orders import EVERY
from seqtrust.figures.style import SETTINGS, new_figure

# Okabe and Ito's palette, with the marker that tells equal hues apart
_STYLES: dict[str, dict[str, Any]] = {
    NONE: {"color": "#000000", "marker": "o"},
    VARIANCE_SCALING: {"color": "#E69F00", "marker": "s"},
    ISOTONIC_QUANTILES: {"color": "#56B4E9", "marker": "^"},
    ISOTONIC_INTERVALS: {"color": "#0072B2", "marker": "v"},
    SPLIT: {"color": "#009E73", "marker": "D"},
    NORMALISED: {"color": "#CC79A7", "marker": "P"},
    MONDRIAN: {"color": "#D55E00", "marker": "X"},
    CQR: {"color": "#999999", "marker": "*"},
    WEIGHTED: {"color": "#8B4513", "marker": "p"},
}
_STRATUM_COLOURS = dict(zip(STRATA, ("#56B4E9", "#0072B2", "#D55E00"), strict=True))
DRAWN_LEVEL = 0.9
# the error of fewer rows is mostly chance
LEAST_KEPT = 0.1
_CURVES = ("coverage", "below")
_STRIPS = {
    "coverage": "coverage of the 90 % interval",
    "width": "its mean width",
    "interval_score": "its interval score (lower is better)",
}
_RISKS = ("risk", "ideal_risk", "kept", "kept_risk")


def calibration_table(
    tables: Sequence[pd.DataFrame], calibrations: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Coverage and quantile curves of all rows, and what is drawn of 90 % intervals.

    Args:
        tables: calibration tables, in the order of the entries.
        calibrations: `calibration` of the config.
    """
    table = _joined(tables, calibrations)
    strips = table["metric"].isin(_STRIPS) & np.isclose(table["level"], DRAWN_LEVEL)
    shown = (table["metric"].isin(_CURVES) | strips) & (table["subset"] == EVERY)
    return table[shown].reset_index(drop=True)


def risk_table(
    tables: Sequence[pd.DataFrame], calibrations: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Risk-coverage curves, and what limits of validation rows keep and reach.

    Args:
        tables: calibration tables, in the order of the entries.
        calibrations: `calibration` of the config.
    """
    table = _joined(tables, calibrations)
    return table[table["metric"].isin(_RISKS)].reset_index(drop=True)


def _joined(
    tables: Sequence[pd.DataFrame], calibrations: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    parts = [
        table.assign(calibration=name) for table, name in zip(tables, calibrations, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[["calibration", *(name for name in table.columns if name != "calibration")]]


def calibration_figure(
    table: pd.DataFrame, calibrations: Mapping[str, Mapping[str, Any]]
) -> Figure:
    """Quantiles and coverage of every entry, and below them its 90 % intervals.

    Args:
        table: from `calibration_table`.
        calibrations: `calibration` of the config.
    """
    figure = new_figure(8.2, 5.2 * len(calibrations))
    with mpl.rc_context(SETTINGS):
        rows = figure.subplots(2 * len(calibrations), 3, squeeze=False)
        for place, (name, entry) in enumerate(calibrations.items()):
            mine = table[table["calibration"] == name]
            methods = [method for method in _STYLES if (mine["method"] == method).any()]
            (quantiles, coverage, legend), strips = rows[2 * place], rows[2 * place + 1]
            _quantile_panel(quantiles, mine[mine["metric"] == "below"], methods)
            _coverage_panel(coverage, mine[mine["metric"] == "coverage"], methods)
            quantiles.set_title(_title(entry["label"], mine), loc="left")
            handles = coverage.get_legend_handles_labels()
            legend.legend(*handles, frameon=False, loc="center", fontsize=8)
            legend.set_axis_off()
            _strips(strips.tolist(), mine, methods)
    return figure


def _quantile_panel(axis: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    axis.plot([0, 1], [0, 1], color="#777777", linewidth=0.8, linestyle="--")
    for method in methods:
        _band(axis, table[table["method"] == method], "value", label=method, **_STYLES[method])
    axis.set_xlabel("stated quantile")
    axis.set_ylabel("fraction of measurements below")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)


def _coverage_panel(axis: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    axis.axhline(0, color="#777777", linewidth=0.8, linestyle="--")
    gaps = table.assign(gap=table["value"] - table["level"])
    for method in methods:
        _band(axis, gaps[gaps["method"] == method], "gap", label=method, **_STYLES[method])
    axis.set_xlabel("nominal coverage")
    axis.set_ylabel("coverage - nominal")
    axis.set_xlim(0, 1)


def _band(
    axis: Axes, table: pd.DataFrame, column: str, label: str, color: str, marker: str
) -> None:
    """Median over tracks with a band over their range."""
    if table.empty:
        return
    by_level = table.groupby("level")[column]
    median = by_level.median()
    levels = median.index.to_numpy(dtype=float)
    axis.fill_between(levels, by_level.min(), by_level.max(), color=color, alpha=0.12, linewidth=0)
    axis.plot(
        levels, median, color=color, marker=marker, markersize=3, markevery=3, linewidth=1.2,
        label=label.replace("_", " "),
    )  # fmt: skip


def _strips(axes: Sequence[Axes], table: pd.DataFrame, methods: Sequence[str]) -> None:
    """Coverage, width and score of the drawn interval: a line per method, a mark per track."""
    drawn = table[np.isclose(table["level"], DRAWN_LEVEL)]
    for axis, (metric, label) in zip(axes, _STRIPS.items(), strict=True):
        for place, method in enumerate(methods):
            mine = drawn[(drawn["metric"] == metric) & (drawn["method"] == method)]
            _strip(axis, mine[np.isfinite(mine["value"])], place, method)
        axis.set_xlabel(label)
        axis.set_ylim(len(methods) - 0.5, -0.5)
        axis.set_yticks(range(len(methods)), [])
    axes[0].set_yticks(range(len(methods)), [method.replace("_", " ") for method in methods])
    axes[0].axvline(DRAWN_LEVEL, color="#777777", linewidth=0.8, linestyle="--")
    axes[0].set_xlim(0, 1.02)
    for axis in axes[1:]:
        axis.set_xlim(left=0)


def _strip(axis: Axes, table: pd.DataFrame, place: int, method: str) -> None:
    value, low, high = (table[name].to_numpy(dtype=float) for name in ("value", "low", "high"))
    # a percentile interval need not hold the value that it is of
    error = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
    spread = np.linspace(-0.3, 0.3, len(table)) if len(table) > 1 else np.zeros(len(table))
    axis.errorbar(
        value, place + spread, xerr=error, linestyle="none", markersize=3, elinewidth=0.7,
        **_STYLES[method],
    )  # fmt: skip


def risk_figure(table: pd.DataFrame, calibrations: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Relative error of what is kept against the fraction kept, a row of two panels per entry.

    Args:
        table: from `risk_table`.
        calibrations: `calibration` of the config.
    """
    figure = new_figure(6.8, 2.9 * len(calibrations) + 0.5)
    with mpl.rc_context(SETTINGS):
        rows = figure.subplots(len(calibrations), 2, squeeze=False)
        for (left, right), (name, entry) in zip(rows, calibrations.items(), strict=True):
            mine = _relative(table[table["calibration"] == name])
            _risk_panel(left, mine)
            _strata_panel(right, mine)
            left.set_title(_title(entry["label"], mine), loc="left")
            right.set_title("within thirds of the rows", loc="left")
            for axis in (left, right):
                axis.axhline(1, color="#777777", linewidth=0.8, linestyle="--")
                axis.set_xlabel("fraction kept")
                axis.set_xlim(0, 1.02)
                axis.set_ylim(bottom=0)
                axis.legend(frameon=False, fontsize=7)
            left.set_ylabel("squared error of what is kept / of all")
    return figure


def _relative(table: pd.DataFrame) -> pd.DataFrame:
    """The risks of what is drawn over that of all rows of the same track and subset."""
    table = table[table["level"] >= LEAST_KEPT]
    risk = table[(table["metric"] == "risk") & (table["level"] == 1)]
    of_all = risk.set_index(["track", "subset"])["value"]
    keys = pd.MultiIndex.from_frame(table[["track", "subset"]])
    divisor = np.where(table["metric"] == "kept", 1.0, of_all.reindex(keys).to_numpy(dtype=float))
    return table.assign(relative=table["value"] / divisor)


def _risk_panel(axis: Axes, table: pd.DataFrame) -> None:
    whole = table[table["subset"] == EVERY]
    for metric, label, style in (
        ("risk", "by stated variance", {"color": "#0072B2", "marker": ""}),
        ("ideal_risk", "best order", {"color": "#009E73", "marker": ""}),
    ):
        _band(axis, whole[whole["metric"] == metric], "relative", label=label, **style)
    kept = whole[whole["metric"] == "kept"].groupby("level")["value"].median()
    reached = whole[whole["metric"] == "kept_risk"].groupby("level")["relative"].median()
    axis.plot(
        kept, reached, linestyle="none", marker="o", color="#D55E00", markersize=5,
        fillstyle="none", label="limit fixed on validation",
    )  # fmt: skip


def _strata_panel(axis: Axes, table: pd.DataFrame) -> None:
    risks = table[table["metric"] == "risk"]
    for subset, colour in _STRATUM_COLOURS.items():
        mine = risks[risks["subset"] == subset]
        _band(axis, mine, "relative", label=f"{subset} predictions", color=colour, marker="")


def _title(label: str, table: pd.DataFrame) -> str:
    whole = table[table["subset"] == EVERY]
    rows, tracks = int(whole["rows"].max()), whole["track"].nunique()
    groups = int(whole["groups"].max())
    return f"{label}\n{tracks} track{'s' * (tracks != 1)}, {rows:,} test rows in {groups} groups"
