"""Figures of shifts: what they do to data, to scores by severity, to parts of the error."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.calibration.methods import NONE
from seqtrust.figures.robustness_panels import (
    COLOURS,
    GREY,
    LEAST_WORLDS,
    NO_TRUTH,
    TYPE_COLOURS,
    blank,
    clipped,
    coloured_labels,
    condition_order,
    conditions_down,
    ladders,
    legend_below,
    line_with_bars,
    panel_title,
    say_unknown,
    styles,
    unshifted,
)
from seqtrust.figures.style import SETTINGS, new_figure
from seqtrust.robustness.suite import QUANTITIES

Entry = Mapping[str, Any]
Drawn = tuple[Figure, pd.DataFrame]

_SAME = "same"
# metric, of which calibrator (None: that of the tests), label, log scale, what is right
_BY_SEVERITY = (
    ("mse", NONE, "mean squared error", True, None),
    ("relative_excess", NONE, "excess error\n/ var. of activity", True, None),
    ("cov90", None, "coverage of 90 %", False, 0.9),
    ("vr", None, "variance ratio", True, 1.0),
    ("width90", None, "width of 90 %\nintervals", False, None),
)
_PARTS = {"error_noise": "noise", "error_offset": "offset", "error_gain": "gain",
          "error_residual": "residual"}  # fmt: skip
_PRIOR_METRICS = (
    ("relative_excess", NONE, "excess error / var. of activity", -1),
    ("mse", NONE, "mean squared error", -1),
    ("nll", None, "negative log likelihood", -1),
    ("cov90", None, "coverage of 90 %", 1),
)


def suite_figure(table: pd.DataFrame, entry: Entry) -> Drawn:
    """GC content, activity, noise and measurement of every condition, means over worlds.

    Args:
        table: from `suite_table`.
        entry: of the benchmark.
    """
    kinds = condition_order(table)
    means = table.groupby(["quantity", "data_set"], sort=False)[
        ["mean", "low", "high", _SAME]
    ].mean()
    rows = [*QUANTITIES, _SAME]
    figure = new_figure(max(0.22 * len(kinds) + 1.6, 5.0), 1.25 * len(rows) + 0.8)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(rows), 1, sharex=True)
        for axis, quantity in zip(axes, rows, strict=True):
            part = "observed" if quantity == _SAME else quantity
            known = part in means.index.get_level_values(0)
            if not known or (quantity == _SAME and means[_SAME].isna().all()):
                say_unknown(axis)
            else:
                _spans(axis, means.xs(part, level="quantity"), kinds, quantity)
            name = "correlation with the\nactivity without a shift"
            axis.set_ylabel(name if quantity == _SAME else QUANTITIES[quantity], fontsize=7)
        coloured_labels(axes[-1], kinds, "x")
        axes[0].set_title(entry["label"], loc="left")
        _type_legend(figure, kinds)
    return figure, table


def _spans(axis: Axes, means: Any, kinds: Mapping[str, str], quantity: str) -> None:
    for place, (name, kind) in enumerate(kinds.items()):
        if name in means.index:
            row: Any = means.loc[name]
            colour = TYPE_COLOURS[kind]
            if quantity != _SAME:
                axis.vlines(place, row["low"], row["high"], color=colour, linewidth=1)
            value = row[_SAME if quantity == _SAME else "mean"]
            axis.plot(place, value, "o", color=colour, markersize=3)
    axis.margins(x=0.01, y=0.1)


def _type_legend(figure: Figure, kinds: Mapping[str, str]) -> None:
    handles = [
        mpl.lines.Line2D([], [], color=TYPE_COLOURS[kind], marker="o", markersize=3, label=kind)
        for kind in dict.fromkeys(kinds.values())
        if kind != "none"
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=7, frameon=False)


def severity_figure(summary: pd.DataFrame, entry: Entry) -> Drawn:
    """Error, coverage, variance ratio and width against the step of every ladder, per model.

    Args:
        summary: of the benchmark.
        entry: of the benchmark.
    """
    found, drawn = ladders(summary), styles(entry, summary)
    parts = [
        summary[(summary["metric"] == metric) & (summary["by"] == "")
                & (summary["calibrator"] == (by or entry["calibrator"]))
                & summary["model"].isin(list(drawn))]
        for metric, by, *_ in _BY_SEVERITY
    ]  # fmt: skip
    figure = new_figure(1.2 * len(found) + 0.8, 1.25 * len(parts) + 0.8)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(parts), len(found), squeeze=False, sharey="row", sharex="col")
        for line, part, (_, _, label, log, right) in zip(axes, parts, _BY_SEVERITY, strict=True):
            shown = clipped(part)[np.isfinite(part["value"]) & (~log | (part["value"] > 0))]
            if shown.empty:
                say_unknown(line[0])
            for axis, ladder in zip(line, found, strict=True):
                names, steps = (unshifted(summary), *ladder.conditions), (0, *ladder.steps)
                for model, style in drawn.items():
                    mine = shown[shown["model"] == model].set_index("data_set")
                    mine = mine.reindex([name for name in names if name in mine.index])
                    places = [steps[names.index(name)] for name in mine.index]
                    line_with_bars(axis, places, mine, label=model, **style)
                if right is not None:
                    axis.axhline(right, color=GREY, linewidth=0.5)
                axis.set_xticks(steps)
            if log and len(shown):
                line[0].set_yscale("log")
            line[0].set_ylabel(label, fontsize=7)
        for axis, ladder in zip(axes[0], found, strict=True):
            panel_title(axis, ladder.name, ladder.type)
        for axis in axes[-1]:
            axis.set_xlabel("step")
        legend_below(figure, axes[0][0])
    return figure, pd.concat(parts, ignore_index=True)


def priors_figure(summary: pd.DataFrame, entry: Entry) -> Drawn:
    """Differences of models with a prior to the model without, per condition.

    Args:
        summary: of the benchmark.
        entry: of the benchmark.
    """
    models = [name for name, base in entry["priors"].items() if base]
    mine = summary[summary["model"].isin(models) & (summary["by"] == "")]
    parts = [
        mine[(mine["metric"] == metric) & (mine["calibrator"] == (by or entry["calibrator"]))]
        for metric, by, *_ in _PRIOR_METRICS
    ]
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        return blank("no model with a structural prior"), table
    kinds = condition_order(summary)
    figure = new_figure(9.6, 0.07 * len(kinds) * (len(models) + 1) + 1.2)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(parts), sharey=True)
        for axis, part, (_, _, label, better) in zip(axes, parts, _PRIOR_METRICS, strict=True):
            axis.set_xlabel(label, fontsize=7)
            if part["to_base"].isna().all():
                axis.set_title(NO_TRUTH, fontsize=7, color=GREY)
                continue
            for number, model in enumerate(models):
                own = part[part["model"] == model].set_index("data_set").reindex(list(kinds))
                places = np.arange(len(kinds)) + 0.7 * ((number + 0.5) / len(models) - 0.5)
                colour = COLOURS[number % len(COLOURS)]
                axis.plot(own["to_base"], places, "o", color=colour, markersize=2.5,
                          label=f"{model} minus {entry['priors'][model]}")  # fmt: skip
                if own["worlds"].max() >= LEAST_WORLDS:
                    axis.hlines(places, own["to_base_low"], own["to_base_high"], color=colour,
                                linewidth=0.8)  # fmt: skip
            axis.axvline(0, color=GREY, linewidth=0.6)
            axis.set_title("better ←" if better < 0 else "→ better", fontsize=7, color=GREY)
        conditions_down(axes[0], kinds)
        legend_below(figure, axes[-1])
    return figure, table


def errors_figure(summary: pd.DataFrame, entry: Entry) -> Drawn:
    """Shares of noise, offset, gain and residual in the mean squared error.

    Of the first model, and of the first one with a prior, else of the second.

    Args:
        summary: of the benchmark.
        entry: of the benchmark.
    """
    models = _two_models(entry)
    table = summary[
        summary["model"].isin(models)
        & summary["metric"].isin([*_PARTS, "mse"])
        & (summary["calibrator"] == NONE)
    ]
    if not table["metric"].isin(list(_PARTS)).any():
        return blank(f"parts of the error: {NO_TRUTH}"), table
    kinds = condition_order(table)
    figure = new_figure(3.6 * len(models) + 0.8, 0.17 * len(kinds) + 1.1)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(models), squeeze=False, sharey=True)[0]
        for axis, model in zip(axes, models, strict=True):
            mine = table[table["model"] == model]
            wide = mine.pivot(index="data_set", columns="metric", values="value").reindex(
                list(kinds)
            )
            left = np.zeros(len(wide))
            known = [metric for metric in _PARTS if metric in wide]
            for colour, (metric, name) in zip(COLOURS, _PARTS.items(), strict=False):
                if metric not in known:
                    continue
                share = (wide[metric] / wide[known].sum(axis=1)).to_numpy()
                axis.barh(np.arange(len(wide)), share, left=left, color=colour, label=name)
                left = left + share
            for place, value in enumerate(wide["mse"]):
                axis.text(1.01, place, f"{value:.2g}", va="center", fontsize=6)
            axis.set(xlim=(0, 1), xlabel="share of the mean squared error")
            missing = "" if "error_noise" in known else " (noise is part of the residual)"
            axis.set_title(f"{model}{missing}", loc="left")
            axis.text(1.01, -1.2, "MSE", va="center", fontsize=6)
        conditions_down(axes[0], kinds)
        legend_below(figure, axes[0])
    return figure, table


def conformal_figure(summary: pd.DataFrame, entry: Entry) -> Drawn:
    """Coverage of 90 % intervals by calibrator and step of every ladder.

    Of the first model, and of the first one with a prior, else of the second.

    Args:
        summary: of the benchmark.
        entry: of the benchmark.
    """
    models = [name for name in _two_models(entry) if name in set(summary["model"])]
    table = clipped(summary[(summary["metric"] == "cov90") & summary["model"].isin(models)])
    found = ladders(table)
    calibrators = list(table["calibrator"].unique())
    figure = new_figure(1.2 * len(found) + 0.8, 1.9 * len(models) + 0.9)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(models), len(found), squeeze=False, sharey=True, sharex="col")
        for line, model in zip(axes, models, strict=True):
            own = table[table["model"] == model]
            for axis, ladder in zip(line, found, strict=True):
                names, steps = (unshifted(table), *ladder.conditions), (0, *ladder.steps)
                for number, calibrator in enumerate(calibrators):
                    mine = own[own["calibrator"] == calibrator].set_index("data_set")
                    colour = mpl.colormaps["tab10"](number % 10)
                    line_with_bars(axis, steps, mine.reindex(names), color=colour, linewidth=0.9,
                                   label=calibrator.replace("_", " "))  # fmt: skip
                axis.axhline(0.9, color=GREY, linewidth=0.6)
                axis.set_xticks(steps)
            line[0].set_ylabel(f"coverage of 90 %,\n{model}", fontsize=7)
        for axis, ladder in zip(axes[0], found, strict=True):
            panel_title(axis, ladder.name, ladder.type)
        for axis in axes[-1]:
            axis.set_xlabel("step")
        legend_below(figure, axes[0][0])
    return figure, table


def _two_models(entry: Entry) -> list[str]:
    """The first model, and the first one with a prior, else the second."""
    first = entry["show"][0]
    others = [*entry["priors"], *entry["show"][1:]]
    return [first, *[name for name in others if name != first][:1]]
