"""Deep MR at single loci: forest, instruments with fitted lines, funnel, diagnostics."""

from collections.abc import Hashable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.figures.deep_mr import BLUE, GREEN, GREY, ORANGE, pair_title
from seqtrust.figures.style import SETTINGS, log_scale, new_figure

LINES = {"ivw": (BLUE, "-"), "egger": (ORANGE, "--"), "weighted_median": (GREEN, ":")}
MOST = 60  # loci in a forest
SHOWN = {
    "F": "mean F",
    "I2_GX": "I$^2_{GX}$",
    "intercept_p": "intercept\nof MR-Egger, p",
    "curvature_p": "curvature, p",
}


def forest_rows(local: pd.DataFrame, effects: pd.DataFrame, scatter: pd.DataFrame) -> pd.DataFrame:
    """Local effects of the shown pairs by the main estimator, and their global effect.

    Args:
        local: local effects of all entries.
        effects: global effects.
        scatter: the shown instruments, which name the pairs.

    Returns:
        Rows of `local`, at most 60 loci per pair (evenly along their order by size), and a row
        `global` per pair with its prediction interval.
    """
    pairs = scatter[["entry", "label", "exposure", "outcome"]].drop_duplicates()
    keys = ["entry", "exposure", "outcome"]
    parts = []
    for pair in pairs.to_dict("records"):
        whole_rows = _of(effects, pair, keys)
        main = whole_rows[whole_rows["main"] & (whole_rows["split"] == "all")].iloc[0]
        mine = _of(local, pair, keys)
        mine = mine[(mine["estimator"] == main["estimator"]) & (mine["reason"] == "")]
        mine = mine.sort_values("estimate", kind="stable")
        if len(mine) > MOST:
            mine = mine.iloc[np.linspace(0, len(mine) - 1, MOST).round().astype(int)]
        kept = [*keys, "label", "locus", "split", "estimate", "low", "high", "instruments"]
        whole = pd.DataFrame(
            [
                {name: pair[name] for name in (*keys, "label")}
                | {"locus": "global", "split": "all", "instruments": main["loci"]}
                | {name: main[name] for name in ("estimate", "low", "high")}
                | {name: main[name] for name in ("prediction_low", "prediction_high")}
            ]
        )
        parts += [mine[kept], whole]
    return pd.concat(parts, ignore_index=True)


def _of(table: pd.DataFrame, pair: Mapping[Hashable, Any], keys: list[str]) -> pd.DataFrame:
    return table[np.logical_and.reduce([table[key] == pair[key] for key in keys])]


def forest_figure(table: pd.DataFrame) -> Figure:
    """A panel per pair: loci by effect, coloured by data split; the global effect below.

    Args:
        table: of `forest_rows`.
    """
    pairs = list(table.groupby(["entry", "exposure", "outcome"], sort=False))
    tallest = max(len(mine) for _, mine in pairs)
    figure = new_figure(2.5 * len(pairs) + 0.6, 1.5 + 0.08 * tallest)
    splits = [split for split in dict.fromkeys(table["split"]) if split != "all"]
    colours = dict(zip(splits, (GREY, BLUE, ORANGE, GREEN), strict=False))
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(pairs), squeeze=False)[0]
        for axis, ((_, exposure, outcome), mine) in zip(axes, pairs, strict=True):
            _forest_panel(axis, mine, colours)
            axis.set_title(pair_title(mine, exposure, outcome), loc="left", fontsize=7)
        axes[0].set_ylabel("loci")
        axes[0].set_xlabel("effect and 95 % interval;\ngrey: prediction interval")
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper right", ncols=4, frameon=False, fontsize=7)
    return figure


def _forest_panel(axis: Axes, table: pd.DataFrame, colours: dict[str, str]) -> None:
    loci, whole = table[table["locus"] != "global"], table[table["locus"] == "global"].iloc[0]
    places = np.arange(len(loci))
    for split, colour in colours.items():
        rows = (loci["split"] == split).to_numpy()
        mine = loci[rows]
        errors = np.abs([mine["estimate"] - mine["low"], mine["high"] - mine["estimate"]])
        axis.errorbar(mine["estimate"], places[rows], xerr=errors, fmt="o", markersize=2,
                      linewidth=0.6, color=colour, label=split)  # fmt: skip
    bottom = -2
    ends = [whole["prediction_low"], whole["prediction_high"]]
    axis.plot(ends, [bottom, bottom], color="#cccccc", linewidth=4, solid_capstyle="butt")
    error = [[whole["estimate"] - whole["low"]], [whole["high"] - whole["estimate"]]]
    axis.errorbar(whole["estimate"], bottom, xerr=error, fmt="D", markersize=4, color="black")
    axis.axvline(0, color="black", linewidth=0.5)
    axis.set_yticks([bottom], ["global"])
    axis.set_ylim(bottom - 1, len(loci))


def lines_of(scatter: pd.DataFrame, local: pd.DataFrame) -> pd.DataFrame:
    """The instruments with the slopes (and MR-Egger's intercept) of their locus in columns."""
    keys = ["entry", "exposure", "outcome", "locus"]
    shown = local[local["estimator"].isin(LINES)]
    slopes = shown.pivot_table(index=keys, columns="estimator", values="estimate")
    slopes.columns = [f"slope_{name}" for name in slopes.columns]
    egger = shown[shown["estimator"] == "egger"].set_index(keys)["intercept"]
    return scatter.join(slopes, on=keys).join(egger.rename("intercept_egger"), on=keys)


def loci_figure(table: pd.DataFrame) -> Figure:
    """Two panels per locus: effects on outcome against exposure with lines, and the funnel.

    Args:
        table: of `lines_of`; effects are turned so that those on the exposure are positive.
    """
    loci = list(table.groupby(["entry", "exposure", "outcome", "locus"], sort=False))
    columns = min(3, len(loci))
    lines = -(-len(loci) // columns)
    figure = new_figure(2.4 * columns + 0.5, 4.0 * lines)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(2 * lines, columns, squeeze=False)
        for number, ((_, exposure, outcome, locus), mine) in enumerate(loci):
            row, column = 2 * (number // columns), number % columns
            _scatter(axes[row, column], mine)
            _funnel(axes[row + 1, column], mine)
            title = f"{pair_title(mine, exposure, outcome)}\n{locus}"
            axes[row, column].set_title(title, loc="left", fontsize=6)
            axes[row, column].set_xlabel("effect on exposure")
            axes[row + 1, column].set_xlabel("ratio of effects")
        for axis in axes[:, 0][::2]:
            axis.set_ylabel("effect on outcome")
        for axis in axes[:, 0][1::2]:
            axis.set_ylabel("|exposure effect| / outcome error")
        for number in range(len(loci), lines * columns):
            for offset in (0, 1):
                axes[2 * (number // columns) + offset, number % columns].set_visible(False)
        handles, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper right", ncols=3, frameon=False, fontsize=6)
    return figure


def _scatter(axis: Axes, table: pd.DataFrame) -> None:
    sign = np.sign(table["exposure_effect"])
    x, y = table["exposure_effect"].abs(), table["outcome_effect"] * sign
    axis.errorbar(x, y, xerr=table["exposure_se"], yerr=table["outcome_se"], fmt=".", markersize=3,
                  linewidth=0.4, color=GREY)  # fmt: skip
    ends = np.array([0.0, float(x.max())])
    for name, (colour, style) in LINES.items():
        if f"slope_{name}" in table and np.isfinite(table[f"slope_{name}"].iloc[0]):
            start = table["intercept_egger"].iloc[0] if name == "egger" else 0.0
            height = start + table[f"slope_{name}"].iloc[0] * ends
            axis.plot(ends, height, style, color=colour, linewidth=1, label=name.replace("_", " "))
    axis.axhline(0, color="black", linewidth=0.4)


def _funnel(axis: Axes, table: pd.DataFrame) -> None:
    ratio = table["outcome_effect"] / table["exposure_effect"]
    precision = table["exposure_effect"].abs() / table["outcome_se"]
    axis.plot(ratio, precision, ".", markersize=3, color=GREY)
    log_scale(axis, "y")
    slope = table["slope_ivw"].iloc[0] if "slope_ivw" in table else np.nan
    centre = slope if np.isfinite(slope) else float(ratio.median())
    axis.axvline(centre, color=BLUE, linewidth=1)
    # ratios of weak instruments are far away and would hide the others
    reach = max(1.0, 2 * abs(centre), float(np.nanquantile(np.abs(ratio - centre), 0.8)))
    axis.set_xlim(centre - reach, centre + reach)


def diagnostic_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Quartiles over loci of every diagnostic, and the shares of small p, per pair."""
    rows = []
    keys = ["entry", "label", "exposure", "outcome"]
    for key, mine in table.groupby(keys, sort=False):
        fine = mine[mine["reason"] == ""]
        row = dict(zip(keys, key, strict=True)) | {
            "loci": len(fine),
            "without": len(mine) - len(fine),
        }
        for name in ("instruments", "effective", *SHOWN):
            values = fine[name].quantile([0.25, 0.5, 0.75]) if len(fine) else [np.nan] * 3
            row |= dict(zip((f"{name}_q1", f"{name}_median", f"{name}_q3"), values, strict=True))
        for name in ("intercept_p", "curvature_p", "Q_ivw_p"):
            row[f"{name}_below_05"] = float((fine[name] < 0.05).mean()) if len(fine) else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def diagnostics_figure(table: pd.DataFrame) -> Figure:
    """Diagnostics per exposure: medians of pairs with quartiles, or shares of small p.

    Args:
        table: of `diagnostic_rows`.
    """
    several = table["entry"].nunique() > 1
    names = [
        f"{row['exposure']} on {row['outcome']}" + (f" ({row['entry']})" if several else "")
        for row in table.to_dict("records")
    ]
    figure = new_figure(7.0, 0.8 + 0.13 * max(len(names), 6))
    places = np.arange(len(names))
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, 4, sharey=True)
        for axis, (name, label) in zip(axes, SHOWN.items(), strict=True):
            if name.endswith("_p"):
                axis.plot(table[f"{name}_below_05"], places, "o", markersize=3, color=ORANGE)
                axis.axvline(0.05, color="black", linewidth=0.5, linestyle="--")
                axis.set_xlim(-0.03, 1.03)
                axis.set_xlabel(f"share of loci:\n{label} < .05")
            elif table[f"{name}_median"].isna().all():
                axis.set_xticks([])
                axis.text(0.5, 0.5, "one network:\nnot known", ha="center", va="center",
                          fontsize=7, color=GREY, transform=axis.transAxes)  # fmt: skip
                axis.set_xlabel(label)
            else:
                middle = table[f"{name}_median"]
                errors = np.abs([middle - table[f"{name}_q1"], table[f"{name}_q3"] - middle])
                axis.errorbar(middle, places, xerr=errors, fmt="o", markersize=3, color=BLUE)
                limit = 10 if name == "F" else 0.9
                axis.axvline(limit, color="black", linewidth=0.5, linestyle="--")
                axis.set_xlabel(f"{label},\nquartiles over loci")
                if name == "F":
                    log_scale(axis, "x")
        axes[0].set_yticks(places, names, fontsize=5)
        axes[0].set_ylim(len(names) - 0.5, -0.5)
    return figure
