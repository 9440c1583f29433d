"""Deep MR simulations: bias and coverage, estimates against truths, published values beside."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.figures.style import SETTINGS, new_figure
from seqtrust.mendelian.simulated_summary import CELL, EVERY, LEAST, slope
from seqtrust.statistics import Floats, wilson

NOMINAL = 0.95
# shares of rounds, each of which counts whole or not
_OF_ROUNDS = ("coverage", "coverage_z", "coverage_2tau", "coverage_2se", "type_I", "power")
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
_MARKERS = {"population": "o", "ensemble": "s", "oracle": "D", "ideal": "v", "loci": "^"}
# metric and truths of the columns of the figure of coverage
_COLUMNS = {
    "bias": ("bias of the mean", "bias", ("population", "oracle", "ideal", "loci")),
    "mean": ("coverage of the mean", "coverage", ("population", "ensemble", "oracle", "loci")),
    "loci": ("coverage of loci", "local_coverage", ("oracle", "loci")),
    "new": ("prediction interval", "prediction_coverage", ("loci",)),
    "null": ("type I error", "type_I", ("",)),
}
_WORDS = {
    "population": "loci like these, no noise",
    "ensemble": "further networks",
    "oracle": "these loci, no noise",
    "ideal": "ideal network",
    "loci": "mean of true slopes",
}


def shown_tables(panel: str, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows that a figure shows: of the first rule, without calibration, of most members."""
    if panel == "published":
        return tables["published"]
    table = tables["summary" if panel == "coverage" else "rounds"]
    published = table["estimator"].str.startswith("published")
    first = table.loc[~published, "rule"].iloc[0]
    plain = ~published & (table["rule"] == first) & (table["calibration"] == "none")
    plain &= table["members"] == table.groupby("path")["members"].transform("max")
    if panel == "coverage":
        metrics = [metric for _, metric, _ in _COLUMNS.values()]
        return table[plain & (table["cluster"] == EVERY) & table["metric"].isin(metrics)]
    main = table.loc[plain, "estimator"].iloc[0]
    kept = ["truth_population", "truth_loci", "estimate", "low", "high", "cluster", "round"]
    chosen = (plain & (table["estimator"] == main)) | (table["estimator"] == "published")
    return table.loc[chosen, [*CELL, "estimator", *kept]]


def monte_carlo_bars(table: pd.DataFrame, value: str) -> Floats:
    """Lengths of 95 % bars to the left and right, shape (2, rows): Wilson's for shares of rounds.

    Args:
        table: columns metric, mc_se, rounds.
        value: the column of what was found.
    """
    bars = []
    for row in table[["metric", "mc_se", "rounds", value]].to_dict("records"):
        found, rounds = row[value], row["rounds"]
        reach = 1.96 * float(np.nan_to_num(row["mc_se"]))
        low, high = found - reach, found + reach
        if row["metric"] in _OF_ROUNDS and pd.notna(found):
            low, high = wilson(round(found * rounds), int(rounds))
        bars.append((found - low, high - found))
    return np.maximum(np.array(bars).reshape(-1, 2).T, 0)


def coverage_figure(table: pd.DataFrame, label: str) -> Figure:
    """A row per path and cell, a column per metric; a colour per estimator, a marker per truth.

    Args:
        table: rows of the summary.
        label: of the simulation.
    """
    paths = list(table["path"].unique())
    estimators = list(table["estimator"].unique())
    cells = {path: _cells(table[table["path"] == path]) for path in paths}
    heights = [len(cells[path]) for path in paths]
    columns = [name for name, (_, metric, _) in _COLUMNS.items() if metric in set(table["metric"])]
    tall = 0.11 * len(estimators) + 0.18
    figure = new_figure(1.9 * len(columns) + 1.6, sum(heights) * tall + 0.75 * len(paths) + 0.6)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(
            len(paths), len(columns), squeeze=False, sharey="row", height_ratios=heights
        )
        shown: set[str] = set()
        for line, path in zip(axes, paths, strict=True):
            mine = table[table["path"] == path]
            for axis, column in zip(line, columns, strict=True):
                shown |= _metric_panel(axis, mine, cells[path], estimators, column)
            line[0].set_yticks(range(len(cells[path])), [_cell_name(one) for one in cells[path]])
            line[0].set_ylim(len(cells[path]) - 0.5, -0.5)
            line[0].set_title(f"{label}: {_path_name(path)}", loc="left")
        figure.legend(
            handles=_legend(estimators, [truth for truth in _MARKERS if truth in shown]),
            loc="outside upper center",
            ncols=3,
            frameon=False,
        )
    return figure


def estimates_figure(table: pd.DataFrame, label: str) -> Figure:
    """A row per path and estimator, a column per mode and law: estimate against truth.

    Lines go through the clusters of effects, with their slopes; the dashed line is equality.

    Args:
        table: rows of the rounds.
        label: of the simulation.
    """
    rows = list(table[["path", "estimator"]].drop_duplicates().itertuples(index=False, name=None))
    cells = _cells(table)
    figure = new_figure(1.75 * len(cells) + 0.8, 1.85 * len(rows) + 0.5)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(rows), len(cells), squeeze=False)
        for line, (path, estimator) in zip(axes, rows, strict=True):
            for axis, cell in zip(line, cells, strict=True):
                mine = _of_cell(table, cell)
                mine = mine[(mine["path"] == path) & (mine["estimator"] == estimator)]
                _scatter(axis, mine.dropna(subset=["estimate"]))
            line[0].set_ylabel(f"{estimator.replace('_', ' ')}\n({_path_name(path)})")
        for axis, cell in zip(axes[0], cells, strict=True):
            axis.set_title(_cell_name(cell), fontsize=8)
        # the figure's own label is the note of toys
        axes[-1, 0].set_xlabel("truth: mean of the true slopes", loc="left")
        figure.suptitle(label, fontsize=9)
    return figure


def published_figure(table: pd.DataFrame, label: str) -> Figure:
    """A panel per mode: published values (rings) and those of this run (dots, Monte Carlo error).

    Args:
        table: of `seqtrust.mendelian.simulated_summary.published_comparison`.
        label: of the simulation.
    """
    modes = list(table["mode"].unique())
    quantities = list(dict.fromkeys(table["quantity"]))
    figure = new_figure(1.9 * len(modes) + 2.2, 0.21 * len(quantities) + 1.2)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(modes), squeeze=False, sharey=True, sharex=True)[0]
        for axis, mode in zip(axes, modes, strict=True):
            mine = table[table["mode"] == mode]
            at = [quantities.index(one) for one in mine["quantity"]]
            axis.plot(mine["published"], at, "o", mfc="none", color="#D55E00", label="published")
            axis.errorbar(
                mine["here"],
                at,
                xerr=monte_carlo_bars(mine, "here"),
                fmt="o",
                markersize=4,
                color="#0072B2",
                label="here",
            )
            axis.axvline(0, color="#BBBBBB", linewidth=0.8)
            axis.axvline(1, color="#BBBBBB", linewidth=0.8)
            rounds = mine["rounds"].max()
            number = f", rounds: {int(rounds)}" if pd.notna(rounds) else ", not run"
            axis.set_title(f"{mode}{number}", loc="left")
        axes[0].set_yticks(range(len(quantities)), quantities)
        axes[0].set_ylim(len(quantities) - 0.5, -0.5)
        values = table[["published", "here"]].to_numpy(float)
        axes[0].set_xlim(np.nanmin(values) - 0.15, np.nanmax(values) + 0.15)
        handles, words = axes[0].get_legend_handles_labels()
        figure.legend(handles, words, loc="outside upper right", frameon=False)
        figure.suptitle(f"{label}: the analysis as published", fontsize=9, x=0.02, ha="left")
    return figure


PANELS: dict[str, Callable[[pd.DataFrame, str], Figure]] = {
    "coverage": coverage_figure,
    "estimates": estimates_figure,
    "published": published_figure,
}


def _cells(table: pd.DataFrame) -> list[tuple[str, str, float, float]]:
    return list(table[CELL[1:]].drop_duplicates().itertuples(index=False, name=None))


def _of_cell(table: pd.DataFrame, cell: Sequence[object]) -> pd.DataFrame:
    return table[(table[CELL[1:]] == list(cell)).all(axis=1)]


def _cell_name(cell: tuple[str, str, float, float]) -> str:
    mode, law, heterogeneity, strength = cell
    words = [law] if mode == "none" else [law, f"{mode} confounder"]
    words += [f"sd {heterogeneity:g}"] if heterogeneity else []
    words += [f"strength {strength:g}"] if mode != "none" and strength != 1 else []
    return ",\n".join(words)


def _path_name(path: str) -> str:
    return {"oracle": "oracle and noise", "networks": "networks"}[path]


def _metric_panel(
    axis: Axes,
    table: pd.DataFrame,
    cells: Sequence[tuple[str, str, float, float]],
    estimators: Sequence[str],
    column: str,
) -> set[str]:
    """Draw one panel; returns the truths that it shows."""
    title, metric, truths = _COLUMNS[column]
    table = table[table["metric"] == metric]
    if "population" in set(table["truth"]):
        truths = ("population",)
    step, shown = 0.8 / len(estimators), set()
    for row, cell in enumerate(cells):
        mine = _of_cell(table, cell)
        for number, estimator in enumerate(estimators):
            ours = mine[mine["estimator"] == estimator]
            for truth in truths:
                found = ours[ours["truth"].fillna("") == truth]
                if found.empty:
                    continue
                shown.add(truth)
                axis.errorbar(
                    found["value"].iloc[0],
                    row + (number - (len(estimators) - 1) / 2) * step,
                    xerr=monte_carlo_bars(found.iloc[:1], "value"),
                    fmt=_MARKERS.get(truth, "o"),
                    markersize=3.5,
                    elinewidth=0.8,
                    color=_COLOURS[number % len(_COLOURS)],
                    mfc="none" if truth in ("loci", "ideal") else None,
                )
    axis.axvline(
        {"bias": 0.0, "null": 1 - NOMINAL}.get(column, NOMINAL),
        color="#555555",
        linestyle="--",
        linewidth=0.8,
    )
    if column != "bias":
        axis.set_xlim(-0.04, 1.04)
    axis.set_xlabel(title)
    return shown


def _legend(estimators: Sequence[str], truths: Sequence[str]) -> list[mpl.lines.Line2D]:
    handles = [
        mpl.lines.Line2D([], [], color=_COLOURS[number % len(_COLOURS)], label=name, linewidth=3)
        for number, name in enumerate(one.replace("_", " ") for one in estimators)
    ]
    return handles + [
        mpl.lines.Line2D(
            [],
            [],
            color="#333333",
            linestyle="",
            marker=_MARKERS[truth],
            markersize=4,
            mfc="none" if truth in ("loci", "ideal") else "#333333",
            label=f"truth: {_WORDS[truth]}",
        )
        for truth in truths
    ]


def _scatter(axis: Axes, table: pd.DataFrame) -> None:
    if table.empty:
        axis.text(0.5, 0.5, "not run", transform=axis.transAxes, ha="center", color="#777777")
        axis.set_xticks([])
        axis.set_yticks([])
        return
    texts = []
    for number, (cluster, mine) in enumerate(table.groupby("cluster", sort=True)):
        colour = _COLOURS[number]
        truth, estimate = mine["truth_loci"].to_numpy(), mine["estimate"].to_numpy()
        errors = np.maximum(0, [estimate - mine["low"], mine["high"] - estimate])
        axis.errorbar(truth, estimate, yerr=errors, fmt="o", markersize=3, elinewidth=0.6,
                      color=colour)  # fmt: skip
        if len(mine) >= LEAST and np.ptp(truth) > 0:
            value, error, _ = slope(truth, estimate)
            ends = np.array([truth.min(), truth.max()])
            axis.plot(ends, estimate.mean() + value * (ends - truth.mean()), color=colour)
            name = "" if cluster == EVERY else f"{cluster}: "
            texts.append(f"{name}slope {value:.2f} ± {error:.2f}")
    both = table[["truth_loci", "estimate"]].to_numpy()
    ends_of_all = table[["truth_loci", "low", "high"]].to_numpy()
    margin = 0.08 * np.ptp(ends_of_all)
    whole = [ends_of_all.min() - margin, ends_of_all.max() + margin]
    axis.set(xlim=whole, ylim=whole)
    axis.plot(whole, whole, color="#555555", linestyle="--", linewidth=0.8, zorder=0)
    if len(table) >= LEAST and np.ptp(both[:, 0]) > 0:
        texts.append(f"r {np.corrcoef(both.T)[0, 1]:.2f} over all")
    axis.text(0.03, 0.97, "\n".join(texts), transform=axis.transAxes, va="top", fontsize=6)
