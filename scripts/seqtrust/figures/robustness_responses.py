"""Figures of curves under shift, of detection, and of repair."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from seqtrust.calibration.methods import NONE
from seqtrust.figures.robustness_panels import (
    COLOURS,
    GREY,
    LEAST_WORLDS,
    coloured_labels,
    condition_order,
    conditions_down,
    grid,
    legend_below,
    line_with_bars,
    panel_title,
    strongest_conditions,
    styles,
)
from seqtrust.figures.style import SETTINGS, new_figure
from seqtrust.robustness.few_label_repair import NOTHING, REPAIRS
from seqtrust.robustness.findings import needed_table
from seqtrust.robustness.shift_curves import RELIABILITY, RISK
from seqtrust.robustness.shift_detection import (
    CLASSIFIER,
    CUSUM_MEAN,
    CUSUM_SPREAD,
    DELAY,
    DETECTED,
    LABELS,
    MARTINGALE,
    MMD,
    SEQUENCES,
    STATED,
)

Entry = Mapping[str, Any]
Drawn = tuple[Figure, pd.DataFrame]

_LABELLED = {CUSUM_MEAN: "CUSUM of z", CUSUM_SPREAD: "CUSUM of z²", MARTINGALE: "martingale"}
_UNLABELLED = {CLASSIFIER: "classifier", MMD: "MMD"}
_SEEN = {SEQUENCES: "sequences", STATED: "mean and sd"}
_REPAIR_METRICS = {"cov90": "coverage of 90 %", "width90": "width", "mse": "MSE"}


def reliability_figure(curves: pd.DataFrame, entry: Entry) -> Drawn:
    """Observed against nominal coverage as stated, without a shift and at every last step.

    Args:
        curves: over worlds.
        entry: of the benchmark.
    """
    return _curves(curves, entry, RELIABILITY, "nominal coverage", "observed coverage")


def selection_figure(curves: pd.DataFrame, entry: Entry) -> Drawn:
    """Risk of the sequences of smallest stated sd, over that of all.

    Args:
        curves: over worlds.
        entry: of the benchmark.
    """
    return _curves(curves, entry, RISK, "share that is kept", "error of kept / of all")


def _curves(curves: pd.DataFrame, entry: Entry, curve: str, x: str, y: str) -> Drawn:
    drawn = styles(entry, curves)
    kinds = strongest_conditions(curves)
    table = curves[
        (curves["curve"] == curve)
        & (curves["calibrator"] == NONE)
        & (curves["by"] == "")
        & curves["model"].isin(list(drawn))
        & curves["data_set"].isin(list(kinds))
    ].copy()
    if curve == RISK:
        whole = table[np.isclose(table["x"], 1)].set_index(["model", "data_set"])["value"]
        keys = pd.MultiIndex.from_frame(table[["model", "data_set"]])
        table["value"] = table["value"] / whole.reindex(keys).to_numpy()
        table[["low", "high"]] = np.nan
    figure, axes = grid(len(kinds), 5, 1.55, 1.6)
    with mpl.rc_context(SETTINGS):
        for axis, (name, kind) in zip(axes, kinds.items(), strict=True):
            for model, style in drawn.items():
                mine = table[(table["data_set"] == name) & (table["model"] == model)]
                mine = mine.sort_values("x")
                axis.plot(mine["x"], mine["value"], label=model, **style)
            ends = ([0, 1], [0, 1]) if curve == RELIABILITY else ([0, 1], [1, 1])
            axis.plot(*ends, color=GREY, linewidth=0.5, zorder=0)
            panel_title(axis, name, kind)
            axis.set_xlabel(x, fontsize=7)
        figure.supylabel(y, fontsize=8)
        legend_below(figure, axes[0])
    return figure, table


def detection_figure(detection: pd.DataFrame, entry: Entry) -> Drawn:
    """Share of draws in which each test sees each condition.

    Args:
        detection: over worlds.
        entry: of the benchmark.
    """
    model, table = _watched(detection, entry, DETECTED)
    kinds = condition_order(table)
    rows = {}
    order_of = {SEQUENCES: 0, STATED: 1, LABELS: 2}
    for (_, test, looks_at, samples), part in table.assign(
        place=table["looks_at"].map(order_of)
    ).groupby(["place", "test", "looks_at", "samples"]):
        words = _LABELLED.get(
            str(test), f"{_UNLABELLED.get(str(test))} of {_SEEN.get(str(looks_at))}"
        )
        rows[f"{words}, n = {samples}"] = (
            looks_at != LABELS, part.set_index("data_set")["value"].reindex(list(kinds)),
        )  # fmt: skip
    order = list(rows)
    values = np.array([rows[name][1] for name in order])
    unlabelled = sum(rows[name][0] for name in order)
    figure = new_figure(0.28 * len(kinds) + 2.4, 0.2 * len(order) + 1.3)
    with mpl.rc_context(SETTINGS):
        axis = figure.subplots()
        image = axis.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = "white" if value > 0.6 else "black"
                text = f"{value:.2f}".lstrip("0") if value < 1 else "1"
                axis.text(column, row, text, ha="center", va="center", fontsize=5, color=colour)
        axis.axhline(unlabelled - 0.5, color="black", linewidth=1)
        axis.set_yticks(range(len(order)), order, fontsize=6)
        coloured_labels(axis, kinds, "x")
        axis.spines[:].set_visible(False)
        axis.set_title(
            f"{model}: without labels above the line, with n labels below;\n"
            f"false alarms (ID): {entry['level']:g} are allowed",
            loc="left",
            fontsize=7,
        )
        figure.colorbar(image, ax=axis, label="share that notices", fraction=0.02)
    return figure, table


def delay_figure(detection: pd.DataFrame, entry: Entry) -> Drawn:
    """Mean number of labelled samples up to an alarm, per test and condition.

    Args:
        detection: over worlds.
        entry: of the benchmark.
    """
    model, table = _watched(detection, entry, DELAY)
    kinds = condition_order(table)
    figure = new_figure(4.6, 0.16 * len(kinds) + 1.1)
    with mpl.rc_context(SETTINGS):
        axis = figure.subplots()
        for number, (test, words) in enumerate(_LABELLED.items()):
            mine = table[table["test"] == test].set_index("data_set").reindex(list(kinds))
            places = np.arange(len(kinds)) + 0.25 * (number - 1)
            axis.plot(mine["value"], places, "o", color=COLOURS[number], markersize=3, label=words)
            if mine["worlds"].max() >= LEAST_WORLDS:
                axis.hlines(places, mine["low"].clip(lower=1), mine["high"],
                            color=COLOURS[number], linewidth=0.7)  # fmt: skip
        most = int(table["samples"].max())
        axis.axvline(most, color=GREY, linestyle=":", linewidth=0.8)
        axis.set(xscale="log", xlabel=f"labelled samples up to an alarm (none: {most})")
        conditions_down(axis, kinds)
        axis.set_title(model, loc="left")
        legend_below(figure, axis)
    return figure, table


def _watched(detection: pd.DataFrame, entry: Entry, metric: str) -> tuple[str, pd.DataFrame]:
    """The model whose shifts are shown, and its rows of a metric."""
    model = entry["watched"]["detection"]
    return model, detection[(detection["model"] == model) & (detection["metric"] == metric)]


def repair_figure(repair: pd.DataFrame, entry: Entry) -> Drawn:
    """Coverage, width and error against the number of labels, at every last step.

    Args:
        repair: over worlds.
        entry: of the benchmark.
    """
    model = entry["watched"]["repair"]
    kinds = strongest_conditions(repair)
    table = repair[
        (repair["model"] == model)
        & repair["metric"].isin(list(_REPAIR_METRICS))
        & repair["data_set"].isin(list(kinds))
    ]
    figure = new_figure(1.25 * len(kinds) + 0.8, 4.6)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(3, len(kinds), squeeze=False, sharex=True)
        for line, (metric, label) in zip(axes, _REPAIR_METRICS.items(), strict=True):
            for axis, (name, kind) in zip(line, kinds.items(), strict=True):
                mine = table[(table["metric"] == metric) & (table["data_set"] == name)]
                before = mine.loc[mine["repair"] == NOTHING, "value"].mean()
                axis.axhline(before, color="black", linewidth=0.8, linestyle=":", label="before")
                for number, done in enumerate(REPAIRS):
                    part = mine[mine["repair"] == done].sort_values("labels")
                    part = part[np.isfinite(part["value"])]
                    if len(part) and not (metric == "mse" and done in ("scale", "conformal")):
                        line_with_bars(axis, part["labels"].to_numpy(), part, linewidth=0.9,
                                       color=COLOURS[number],
                                       label=done.replace("_", ", "))  # fmt: skip
                if metric == "cov90":
                    axis.axhline(0.9, color=GREY, linewidth=0.5)
                    axis.set_ylim(min(0.45, before - 0.05), 1)
                    panel_title(axis, name, kind)
                axis.set_xscale("log")
                axis.set_xticks(ticks := sorted(set(table["labels"]) - {0}), map(str, ticks),
                                fontsize=6, rotation=90)  # fmt: skip
                axis.minorticks_off()
            line[0].set_ylabel(label, fontsize=7)
        for axis in axes[-1]:
            axis.set_xlabel("labels", fontsize=7)
        legend_below(figure, axes[0][0])
    return figure, table


def labels_figure(repair: pd.DataFrame, entry: Entry) -> Drawn:
    """Fewest labels from which on coverage is mended in nine of ten draws.

    Args:
        repair: over worlds.
        entry: of the benchmark.
    """
    model = entry["watched"]["repair"]
    table = needed_table(repair[repair["model"] == model])
    kinds = condition_order(table)
    wide = table.pivot(index="repair", columns="data_set", values="labels_needed")
    wide = wide.reindex(index=list(REPAIRS), columns=list(kinds))
    most = int(table["most_labels"].max())
    values = wide.to_numpy()
    shades = np.where(np.isfinite(values), np.log1p(values), np.log1p(2.5 * most))
    figure = new_figure(0.28 * len(kinds) + 1.6, 2.1)
    with mpl.rc_context(SETTINGS):
        axis = figure.subplots()
        axis.imshow(shades, cmap="Oranges", vmin=0, vmax=np.log1p(5 * most), aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            text = f"{value:.0f}" if np.isfinite(value) else f">{most}"
            axis.text(column, row, text, ha="center", va="center", fontsize=5)
        axis.set_yticks(range(len(wide)), [name.replace("_", ", ") for name in wide.index])
        coloured_labels(axis, kinds, "x")
        axis.spines[:].set_visible(False)
        axis.set_title(f"{model}: labels from which on coverage is .85 or more\nin nine of ten "
                       "draws; 0: nothing to mend", loc="left", fontsize=7)  # fmt: skip
    return figure, table
