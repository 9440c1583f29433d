"""Figures of eQTL effects: classes per tissue, agreement, votes, two scores, more replicates."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.consistency import CORRELATED, OBSERVED, PERMUTED
from seqtrust.figures.eqtl_causal import causal_figure
from seqtrust.figures.eqtl_effects import attributes_figure, pairs_figure, states_figure
from seqtrust.figures.style import CLASS_COLOURS, CLASS_LABELS, SETTINGS, new_figure
from seqtrust.genome import SPLITS
from seqtrust.uncertainty.bounds import EXACT, SAMPLED
from seqtrust.uncertainty.eqtl_classes import BY_ROW, CLASSES, MEAN_OF_TISSUES
from seqtrust.uncertainty.eqtl_report import PUBLISHED
from seqtrust.uncertainty.eqtl_votes import ESTIMATORS
from seqtrust.uncertainty.eqtls import EVERY, POOLED

_ESTIMATOR_COLOURS = dict(
    zip(ESTIMATORS, ("#0072B2", "#009E73", "#CC79A7", "#777777"), strict=True)
)
_LEVELS: dict[str, dict[str, Any]] = {
    PERMUTED: {"marker": "_", "markersize": 11, "markeredgewidth": 1.6},
    CORRELATED: {"marker": "D", "markersize": 4, "fillstyle": "none"},
    PUBLISHED: {"marker": "*", "markersize": 8},
}


def labelled(
    tables: Sequence[pd.DataFrame], analyses: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """The tables of all analyses, each row with the panel that it belongs to.

    Args:
        tables: one table of every analysis, in their order.
        analyses: `eqtl_analyses` of the config.
    """
    parts = []
    for (name, entry), table in zip(analyses.items(), tables, strict=True):
        labels = {score: parts["label"] for score, parts in entry["scores"].items()}
        sources = {
            score: parts["published"]["source"]
            for score, parts in entry["scores"].items()
            if "published" in parts
        }
        part = table.copy()
        for column in ("score", "first", "second"):
            if column in part and set(part[column]) <= set(labels):
                part[f"{column}_label"] = part[column].map(labels)
        if "score" in part:
            part["published_by"] = part["score"].map(sources)
        part.insert(0, "title", entry["label"])
        part.insert(0, "analysis", name)
        parts.append(part)
    return pd.concat([part for part in parts if not part.empty], ignore_index=True)


def panels(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """(title, rows) of every analysis and score."""
    for (_, _), rows in table.groupby(["analysis", "score"], sort=False):
        yield f"{rows['title'].iloc[0]}: {rows['score_label'].iloc[0]}", rows


def classes_figure(table: pd.DataFrame) -> Figure:
    """Class fractions per tissue, pooled and per data split, beside published ones.

    Bars are 95 % bootstrap intervals over loci. Pooled columns also have the reference levels.

    Args:
        table: from `labelled`, of the class tables.
    """
    parts = list(panels(table))
    widest = max(len(_columns(rows)) for _, rows in parts)
    figure = new_figure(max(4.6, 0.62 * widest + 1.6), 2.7 * len(parts) + 0.8)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
        for axis, (title, rows) in zip(axes, parts, strict=True):
            _class_panel(axis, rows)
            axis.set_title(title, loc="left")
            axis.set_ylabel("fraction of decided eQTLs")
        _legend(figure, list(axes))
    return figure


def _columns(rows: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """(label, tissue, split, weighting) of every column of a panel."""
    seen = rows[rows["level"] == OBSERVED]
    tissues = [name for name in seen["tissue"].unique() if name not in (POOLED, MEAN_OF_TISSUES)]
    columns = [(name.replace("_", " "), name, EVERY, BY_ROW) for name in tissues]
    columns.append((POOLED, POOLED, EVERY, BY_ROW))
    other = seen[seen["weighting"] != BY_ROW][["tissue", "weighting"]].drop_duplicates()
    for tissue, weighting in other.to_numpy(dtype=str).tolist():
        label = MEAN_OF_TISSUES if tissue == MEAN_OF_TISSUES else f"by {weighting[:-1]}"
        columns.append((label, tissue, EVERY, weighting))
    splits = [name for name in SPLITS if (seen["split"] == name).any()]
    return columns + [(f"{POOLED},\n{name}", POOLED, name, BY_ROW) for name in splits]


def _class_panel(axis: Axes, rows: pd.DataFrame) -> None:
    columns = _columns(rows)
    for place, (_, tissue, split, weighting) in enumerate(columns):
        mine = rows[(rows["tissue"] == tissue) & (rows["split"] == split)]
        mine = mine[mine["weighting"] == weighting]
        for offset, name in zip((-0.22, 0.0, 0.22), CLASSES, strict=True):
            here = mine[mine["class"] == name]
            colour = CLASS_COLOURS[name]
            for _, row in here[here["level"] == OBSERVED].iterrows():
                errors = [[row["fraction"] - row["boot_low"]], [row["boot_high"] - row["fraction"]]]
                axis.errorbar(place + offset, row["fraction"], np.maximum(errors, 0), fmt="o",
                              markersize=4, capsize=2, linewidth=1, color=colour,
                              label=CLASS_LABELS[name].replace("\n", " "))  # fmt: skip
            for level, style in _LEVELS.items():
                for _, row in here[here["level"] == level].iterrows():
                    label = f"{PUBLISHED}: {row['published_by']}" if level == PUBLISHED else level
                    axis.plot(place + offset + 0.09, row["fraction"], linestyle="none",
                              color=colour, label=label, **style)  # fmt: skip
    crowded = len(columns) > 8
    axis.set_xticks(
        range(len(columns)),
        [_counted(rows, column) for column in columns],
        rotation=45 if crowded else 0,
        ha="right" if crowded else "center",
        fontsize=7,
    )
    axis.set_ylim(-0.02, 1.02)


def _counted(rows: pd.DataFrame, column: tuple[str, str, str, str]) -> str:
    label, tissue, split, weighting = column
    here = rows[(rows["tissue"] == tissue) & (rows["split"] == split) & (rows["level"] == OBSERVED)]
    here = here[(here["weighting"] == weighting) & here["class"].isin(CLASSES)]
    return f"{label}\nn = {int(here['total'].max()):,}" if len(here) else label


def agreement_figure(table: pd.DataFrame) -> Figure:
    """How many replicates agree and how many are right, with the sign of beta in every cell.

    Args:
        table: from `labelled`, of the agreement tables.
    """
    parts = list(panels(table[table["split"] == EVERY]))
    figure = new_figure(4.4 * len(parts) + 0.4, 2.6)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(parts), squeeze=False)[0]
        for axis, (title, rows) in zip(axes, parts, strict=True):
            replicates = int(rows["n_agree"].max())
            levels = sorted(rows["n_agree"].astype(int).unique())
            grid = np.full((len(levels), replicates + 1), np.nan)
            for _, row in rows.iterrows():
                y, x = levels.index(int(row["n_agree"])), int(row["n_correct"])
                grid[y, x] = row["share"]
                text = f"{row['share']:.1%}\n{row['positive_beta']:.0%} +"
                dark = row["share"] > 0.6 * rows["share"].max()
                axis.text(x, y, text, ha="center", va="center", fontsize=6.5,
                          color="white" if dark else "black")  # fmt: skip
            axis.imshow(grid, cmap="Blues", vmin=0, aspect="auto", origin="lower")
            axis.set_xticks(range(replicates + 1))
            axis.set_yticks(range(len(levels)), [str(level) for level in levels])
            axis.set_xlabel("replicates that are right")
            axis.set_ylabel("replicates that agree")
            axis.set_title(f"{title}\nn = {int(rows['total'].iloc[0]):,}", loc="left")
            axis.spines[:].set_visible(False)
    return figure


def majority_figure(table: pd.DataFrame) -> Figure:
    """Accuracy of votes and of one replicate by distance to the TSS.

    Args:
        table: from `labelled`, of the tables of votes.
    """
    parts = [(title, _pooled_votes(rows)) for title, rows in panels(table)]
    figure = new_figure(max(4.6, 3.5 * len(parts)), 3.4)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(parts), squeeze=False, sharey=True)[0]
        for axis, (title, rows) in zip(axes, parts, strict=True):
            labels = list(rows["distance"].unique())
            for offset, name in zip((-0.24, -0.08, 0.08, 0.24), ESTIMATORS, strict=True):
                mine = rows[rows["estimator"] == name]
                places = [labels.index(label) + offset for label in mine["distance"]]
                below, above = mine["accuracy"] - mine["low"], mine["high"] - mine["accuracy"]
                errors = np.maximum([below, above], 0)
                axis.errorbar(places, mine["accuracy"], errors, fmt="o", markersize=4, capsize=2,
                              color=_ESTIMATOR_COLOURS[name], label=name)  # fmt: skip
            axis.axhline(0.5, color="#AAAAAA", linewidth=0.8)
            _published_lines(axis, rows)
            single = rows[rows["estimator"] == ESTIMATORS[-1]].set_index("distance")["units"]
            axis.set_xticks(
                range(len(labels)),
                [f"{label}\nn = {int(single[label]):,}" for label in labels],
                fontsize=6.5,
            )
            axis.set_xlabel("distance to the TSS, bp")
            axis.set_title(title, loc="left")
        axes[0].set_ylabel("accuracy of the sign")
        _legend(figure, list(axes))
    return figure


def _pooled_votes(rows: pd.DataFrame) -> pd.DataFrame:
    """The pooled rows of all splits and, of published ones, the mean of tissues."""
    published = rows["estimator"].str.startswith(PUBLISHED)
    shown = (rows["tissue"] == POOLED) & (rows["split"] == EVERY) & ~published
    return rows[shown | (published & (rows["tissue"] == MEAN_OF_TISSUES))]


def _published_lines(axis: Axes, rows: pd.DataFrame) -> None:
    published = rows[rows["estimator"].str.startswith(PUBLISHED)]
    for style, (_, row) in zip(("--", ":"), published.iterrows(), strict=False):
        label = f"{row['estimator']}, {MEAN_OF_TISSUES}: {row['published_by']}"
        axis.axhline(row["accuracy"], color="#D55E00", linestyle=style, linewidth=1, label=label)


def tracks_figure(table: pd.DataFrame) -> Figure:
    """Correct replicates of one score against those of another, as shares of eQTLs.

    Args:
        table: from `labelled`, of the tables of two scores.
    """
    mine = table[(table["level"] == "n_correct") & (table["split"] == EVERY)]
    parts = list(mine.groupby(["analysis", "first", "second"], sort=False))
    figure = new_figure(3.6 * len(parts) + 0.4, 3.3)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(parts), squeeze=False)[0]
        for axis, (_, rows) in zip(axes, parts, strict=True):
            numbers = rows.astype({"value_first": int, "value_second": int})
            grid = numbers.pivot_table(
                index="value_first", columns="value_second", values="share", sort=True
            )
            axis.imshow(grid, cmap="Blues", vmin=0, origin="lower")
            for _, row in numbers.iterrows():
                dark = row["share"] > 0.6 * numbers["share"].max()
                axis.text(row["value_second"], row["value_first"], f"{row['share']:.1%}",
                          ha="center", va="center", fontsize=6.5,
                          color="white" if dark else "black")  # fmt: skip
            axis.set_xticks(range(grid.shape[1]))
            axis.set_yticks(range(grid.shape[0]))
            axis.set_xlabel(f"right replicates: {rows['second_label'].iloc[0]}")
            axis.set_ylabel(f"right replicates: {rows['first_label'].iloc[0]}")
            title = f"{rows['title'].iloc[0]}, n = {int(rows['total'].iloc[0]):,}"
            axis.set_title(title, loc="left")
            axis.spines[:].set_visible(False)
    return figure


def bounds_figure(table: pd.DataFrame) -> Figure:
    """Class fractions that more replicates would give: bounds and a labelled guess.

    Args:
        table: from `labelled`, of the tables of bounds.
    """
    parts = list(panels(table[(table["split"] == EVERY) & (table["tissue"] == POOLED)]))
    figure = new_figure(7.4, 2.1 * len(parts) + 0.7)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(parts), len(CLASSES), squeeze=False, sharey=True)
        for row, (title, rows) in zip(axes, parts, strict=True):
            for axis, name in zip(row, CLASSES, strict=True):
                _bound_panel(axis, rows[rows["class"] == name].sort_values("replicates"), name)
            row[0].set_title(f"{title}, n = {int(rows['units'].iloc[0]):,}", loc="left")
            row[0].set_ylabel("fraction of decided eQTLs")
        for axis in axes[-1]:
            axis.set_xlabel("number of replicates")
        _legend(figure, list(axes.ravel()))
    return figure


def _bound_panel(axis: Axes, rows: pd.DataFrame, name: str) -> None:
    label, colour = CLASS_LABELS[name].replace("\n", " "), CLASS_COLOURS[name]
    for matching, alpha in ((SAMPLED, 0.2), (EXACT, 0.55)):
        band = rows[rows["matching"] == matching]
        axis.fill_between(band["replicates"], band["lower"], band["upper"], color=colour,
                          alpha=alpha, linewidth=0.8, label=f"{label}: {matching}")  # fmt: skip
        if matching == EXACT and band["lower"].isna().all():
            axis.text(0.03, 0.94, "no law gives the observed counts", fontsize=6.5,
                      transform=axis.transAxes, color="#555555")  # fmt: skip
    guess = rows[rows["matching"] == EXACT]
    axis.plot(guess["replicates"], guess["beta_binomial"], color="#000000", linestyle=":",
              linewidth=1.2, label="guess: beta-binomial")  # fmt: skip
    axis.set_xscale("log")
    numbers = sorted(rows["replicates"].unique())
    axis.set_xticks(numbers, [str(int(number)) for number in numbers])
    axis.set_xticks([], minor=True)
    axis.set_ylim(-0.02, 1.02)


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2,
                  frameon=False, fontsize=7)  # fmt: skip


FIGURES: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "classes": classes_figure,
    "agreement": agreement_figure,
    "pairs": pairs_figure,
    "majority": majority_figure,
    "tracks": tracks_figure,
    "attributes": attributes_figure,
    "states": states_figure,
    "bounds": bounds_figure,
    "causal": causal_figure,
}
