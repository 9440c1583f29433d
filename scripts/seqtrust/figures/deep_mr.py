"""Deep MR over all loci: global effects, controls, published choices, distances, recalibration."""

from collections.abc import Hashable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.figures.style import SETTINGS, new_figure
from seqtrust.mendelian.published_choices import CHOICES

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#888888"
DIVERGING = "RdBu_r"
CELL, FLAT_CELL = 0.72, 0.42  # inches
MANY_ROWS = 12
CONTROLS = {
    "no_path": "no path",
    "shuffled_heads": "shuffled heads",
    "reversed": "both directions",
}


def joined_effects(effects: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The main global effects of all loci with their verdicts."""
    main = effects[effects["main"] & (effects["split"] == "all")]
    kept = ["entry", "exposure", "outcome", "applicable", "reasons"]
    return main.merge(verdicts[kept], how="left", on=kept[:3])


def effects_figure(table: pd.DataFrame) -> Figure:
    """A heat map per entry: exposure by outcome, value with interval, verdict and value beside.

    Args:
        table: of `joined_effects`.
    """
    entries = list(table["entry"].unique())
    sizes = [_tasks(table[table["entry"] == entry]) for entry in entries]
    rows = [len(exposures) for exposures, _ in sizes]
    widest = max(len(outcomes) for _, outcomes in sizes)
    width = 2.6 + 1.25 * CELL * widest
    with mpl.rc_context(SETTINGS):
        if widest <= 2 and max(rows) > MANY_ROWS:
            # tall columns stand side by side
            figure = new_figure(width * len(entries), FLAT_CELL * max(rows) + 0.9)
            axes = figure.subplots(1, len(entries), squeeze=False)[0]
        else:
            heights = [CELL * number + 0.9 for number in rows]
            figure = new_figure(width, sum(heights))
            axes = figure.subplots(
                len(entries), 1, squeeze=False, gridspec_kw={"height_ratios": heights}
            )[:, 0]
        for axis, entry, (exposures, outcomes) in zip(axes, entries, sizes, strict=True):
            _heat_map(figure, axis, table[table["entry"] == entry], exposures, outcomes)
    return figure


def _tasks(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Exposures and outcomes, both in the order of the exposures."""
    exposures, outcomes = list(table["exposure"].unique()), set(table["outcome"])
    order = dict.fromkeys([*exposures, *table["outcome"]])
    return exposures, [task for task in order if task in outcomes]


def _heat_map(
    figure: Figure, axis: Axes, table: pd.DataFrame, exposures: list[str], outcomes: list[str]
) -> None:
    values = np.full((len(exposures), len(outcomes)), np.nan)
    largest = float(table["estimate"].abs().max())
    limit = largest if np.isfinite(largest) and largest > 0 else 1.0
    for row in table.to_dict("records"):
        at = exposures.index(row["exposure"]), outcomes.index(row["outcome"])
        values[at] = row["estimate"]
        dark = abs(row["estimate"]) > 0.6 * limit
        axis.text(
            at[1], at[0], _cell_text(row), ha="center", va="center", fontsize=6,
            color="white" if dark else "black", fontweight="bold" if row["applicable"] else None,
        )  # fmt: skip
    picture = axis.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
    axis.set_xticks(range(len(outcomes)), outcomes, rotation=30, ha="right")
    axis.set_yticks(range(len(exposures)), exposures)
    axis.set_xlabel("outcome")
    axis.set_ylabel("exposure")
    axis.set_title(table["label"].iloc[0], loc="left")
    axis.spines[:].set_visible(False)
    figure.colorbar(picture, ax=axis, shrink=0.7, label="outcome per exposure unit")


def _cell_text(row: Mapping[Hashable, Any]) -> str:
    if not np.isfinite(_number(row["estimate"])):
        return "none"
    star = "*" if row["q"] is not None and _number(row["q"]) < 0.05 else ""
    text = f"{_number(row['estimate']):.2f}{star}\n"
    text += f"[{_number(row['low']):.2f}, {_number(row['high']):.2f}]"
    beside = row.get("published_estimate")
    return f"{text}\n({_number(beside):.2f})" if np.isfinite(_number(beside)) else text


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def controls_figure(table: pd.DataFrame, effects: pd.DataFrame) -> Figure:
    """How often controls are called, and how large their effects are, a row per entry."""
    entries = list(table["entry"].unique())
    figure = new_figure(6.8, 1.9 * len(entries) + 0.5)
    with mpl.rc_context(SETTINGS):
        grid = figure.subplots(len(entries), 2, squeeze=False)
        for (left, right), entry in zip(grid, entries, strict=True):
            _called(left, table[table["entry"] == entry])
            _control_sizes(right, effects[effects["entry"] == entry])
        grid[-1, 0].set_xlabel("share called (type I error where there is no path)")
        grid[-1, 1].set_xlabel("estimate and 95 % interval")
    return figure


def _called(axis: Axes, table: pd.DataFrame) -> None:
    names = [
        f"{CONTROLS[row['control']]}, {row['what']}\n{row['called']} of {row['total']}"
        for row in table.to_dict("records")
    ]
    errors = [table["error"] - table["low"], table["high"] - table["error"]]
    axis.errorbar(table["error"], names, xerr=np.abs(errors), fmt="o", markersize=4, color=BLUE)
    axis.axvline(0.05, color=ORANGE, linestyle="--", linewidth=1)
    axis.set_xlim(-0.03, 1.03)
    axis.invert_yaxis()
    axis.margins(y=0.2)
    axis.set_title(table["label"].iloc[0], loc="left")


def _control_sizes(axis: Axes, table: pd.DataFrame) -> None:
    """Pairs without a path by name; of shuffled heads all rounds of all pairs in one row."""
    named = table[table["control"] == "no_path"]
    for place, row in enumerate(named.to_dict("records")):
        axis.errorbar(
            row["estimate"], place, xerr=[[row["estimate"] - row["low"]],
                                          [row["high"] - row["estimate"]]],
            fmt="o", markersize=4, color=BLUE,
        )  # fmt: skip
    names = [f"{row['exposure']} on {row['outcome']}" for row in named.to_dict("records")]
    shuffled = table[table["control"] == "shuffled_heads"]
    if len(shuffled):
        spread = np.linspace(-0.3, 0.3, len(shuffled))
        axis.plot(shuffled["estimate"], len(names) + spread, ".", markersize=2, color=GREY)
        names.append("shuffled heads")
    axis.set_yticks(range(len(names)), names)
    axis.locator_params(axis="x", nbins=5)
    axis.axvline(0, color=ORANGE, linestyle="--", linewidth=1)
    axis.invert_yaxis()


def changes_figure(table: pd.DataFrame) -> Figure:
    """A panel per pair: the estimate and its interval by choice."""
    pairs = list(dict.fromkeys(zip(table["entry"], table["exposure"], table["outcome"],
                                   strict=True)))  # fmt: skip
    columns = min(3, len(pairs))
    lines = -(-len(pairs) // columns)
    known = set(table["choice"])
    choices = [choice for choice in CHOICES if choice in known]
    figure = new_figure(1.4 + 2.3 * columns, lines * (0.19 * len(choices) + 0.8))
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for axis, (entry, exposure, outcome) in zip(axes.flat, pairs, strict=False):
            mine = table[
                (table["entry"] == entry)
                & (table["exposure"] == exposure)
                & (table["outcome"] == outcome)
            ].set_index("choice")
            _changes_panel(axis, mine, choices)
            axis.set_title(pair_title(mine, exposure, outcome), loc="left", fontsize=7)
        for axis in list(axes.flat)[len(pairs) :]:
            axis.set_visible(False)
        axes[0, 0].invert_yaxis()
        for axis in axes[:, 0]:
            axis.set_yticks(range(len(choices)), choices)
    return figure


def pair_title(table: pd.DataFrame, exposure: Hashable, outcome: Hashable) -> str:
    """The pair, and below it the entry of the config."""
    return f"{exposure} on {outcome}\n{table['label'].iloc[0]}"


def _changes_panel(axis: Axes, mine: pd.DataFrame, choices: list[str]) -> None:
    right = mine["estimate"].get("right", np.nan)
    for place, choice in enumerate(choices):
        if choice not in mine.index or not np.isfinite(mine["estimate"][choice]):
            continue
        row = mine.loc[choice]
        colour = {"right": GREEN, "all published": ORANGE}.get(choice, BLUE)
        error = [[row["estimate"] - row["low"]], [row["high"] - row["estimate"]]]
        axis.errorbar(row["estimate"], place, xerr=error, fmt="o", markersize=4, color=colour)
    axis.axvline(right, color=GREEN, linewidth=0.8, linestyle=":")
    axis.axvline(0, color="black", linewidth=0.5)


def spacing_figure(table: pd.DataFrame) -> Figure:
    """A panel per pair: global effects by the distance between motifs."""
    pairs = list(dict.fromkeys(zip(table["entry"], table["exposure"], table["outcome"],
                                   strict=True)))  # fmt: skip
    columns = min(3, len(pairs))
    lines = -(-len(pairs) // columns)
    figure = new_figure(0.8 + 2.6 * columns, 2.4 * lines)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(lines, columns, squeeze=False)
        for axis, (entry, exposure, outcome) in zip(axes.flat, pairs, strict=False):
            mine = table[
                (table["entry"] == entry)
                & (table["exposure"] == exposure)
                & (table["outcome"] == outcome)
            ]
            names = [
                f"{row['nearest']:g} to {row['farthest']:g}\nK = {row['loci_in_bin']:g}"
                for row in mine.to_dict("records")
            ]
            errors = np.abs([mine["estimate"] - mine["low"], mine["high"] - mine["estimate"]])
            places = np.arange(len(mine))
            axis.errorbar(places, mine["estimate"], yerr=errors, fmt="o", markersize=4, color=BLUE)
            if "published_estimate" in mine and mine["published_estimate"].notna().any():
                beside = mine["published_estimate"]
                axis.plot(places + 0.15, beside, "D", markersize=4, color=ORANGE, label="published")
                axis.legend(frameon=False, fontsize=6)
            axis.axhline(0, color="black", linewidth=0.5)
            axis.set_xticks(places, names, fontsize=6)
            axis.set_xlim(-0.5, len(mine) - 0.5)
            axis.set_title(pair_title(mine, exposure, outcome), loc="left", fontsize=7)
        for axis in list(axes.flat)[len(pairs) :]:
            axis.set_visible(False)
        axes[-1, 0].set_xlabel("distance between motifs, bp")
        axes[0, 0].set_ylabel("global effect")
    return figure


def reliability_figure(table: pd.DataFrame) -> Figure:
    """A panel per entry and task: observed shares against stated levels, before and after."""
    tasks = list(dict.fromkeys(zip(table["entry"], table["task"], strict=True)))
    columns = min(4, len(tasks))
    lines = -(-len(tasks) // columns)
    figure = new_figure(1.9 * columns + 0.5, 2.1 * lines)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for axis, (entry, task) in zip(axes.flat, tasks, strict=False):
            mine = table[(table["entry"] == entry) & (table["task"] == task)]
            axis.plot([0, 1], [0, 1], color="black", linewidth=0.5)
            for when, colour in (("before", GREY), ("after", BLUE)):
                part = mine[mine["when"] == when]
                far = part["miscalibration"].iloc[0]
                axis.plot(part["level"], part["observed"], ".-", color=colour,
                          label=f"{when}, off by {far:.2f}")  # fmt: skip
            axis.legend(frameon=False, fontsize=6, loc="upper left")
            axis.set_title(f"{task} (n = {mine['windows'].iloc[0]})", loc="left")
        for axis in list(axes.flat)[len(tasks) :]:
            axis.set_visible(False)
        axes[-1, 0].set_xlabel("stated level")
        axes[0, 0].set_ylabel("observed share")
    return figure
