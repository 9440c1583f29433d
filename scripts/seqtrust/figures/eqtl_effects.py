"""Figures of eQTL effects: correlation of replicates, attributes and chromatin states."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.figures.style import CLASS_COLOURS, CLASS_LABELS, SETTINGS, new_figure
from seqtrust.uncertainty.attributes import ORDER
from seqtrust.uncertainty.eqtl_attributes import BY_CLASS
from seqtrust.uncertainty.eqtl_classes import CLASSES
from seqtrust.uncertainty.eqtl_pairs import (
    COEFFICIENTS,
    MATCHED_NEGATIVES,
    MATCHED_POSITIVES,
    MEAN,
    SCALES,
)
from seqtrust.uncertainty.eqtls import EVERY, NEGATIVES, POSITIVES

_KINDS = (POSITIVES, MATCHED_POSITIVES, MATCHED_NEGATIVES, NEGATIVES)
_KIND_COLOURS = dict(zip(_KINDS, ("#0072B2", "#56B4E9", "#E69F00", "#D55E00"), strict=True))


def pairs_figure(table: pd.DataFrame) -> Figure:
    """Correlations of the effects of two replicates, a dot per pair and tissue.

    Squares are means over pairs with 95 % bootstrap intervals over loci, one per tissue.

    Args:
        table: from `seqtrust.figures.eqtls.labelled`, of the tables of pairs.
    """
    mine = table[table["split"] == EVERY]
    parts = list(mine.groupby(["analysis", "score"], sort=False))
    figure = new_figure(2.9 * len(COEFFICIENTS) * len(SCALES), 2.4 * len(parts) + 0.5)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(
            len(parts), len(COEFFICIENTS) * len(SCALES), squeeze=False, sharey=True
        )
        for row, (_, rows) in zip(axes, parts, strict=True):
            places = [(scale, name) for scale in SCALES for name in COEFFICIENTS]
            for axis, (scale, coefficient) in zip(row, places, strict=True):
                here = rows[(rows["scale"] == scale) & (rows["coefficient"] == coefficient)]
                _pair_panel(axis, here)
                axis.set_title(f"{scale}, {coefficient}", loc="left")
            title = f"{rows['title'].iloc[0]}:\n{rows['score_label'].iloc[0]}"
            row[0].set_ylabel(f"{title}\ncorrelation of two replicates")
    return figure


def _pair_panel(axis: Axes, rows: pd.DataFrame) -> None:
    kinds = [kind for kind in _KINDS if (rows["kind"] == kind).any()]
    for place, kind in enumerate(kinds):
        mine = rows[rows["kind"] == kind]
        pairs, means = mine[mine["first"] != MEAN], mine[mine["first"] == MEAN]
        jitter = np.linspace(-0.3, 0.0, len(pairs)) if len(pairs) > 1 else np.zeros(len(pairs))
        axis.plot(place + jitter, pairs["value"], "o", markersize=2.5, color=_KIND_COLOURS[kind])
        errors = np.maximum([means["value"] - means["low"], means["high"] - means["value"]], 0)
        axis.errorbar(place + np.linspace(0.1, 0.35, len(means)), means["value"], errors, fmt="s",
                      markersize=4, capsize=2, linewidth=1, color="#333333")  # fmt: skip
    counts = [int(rows.loc[rows["kind"] == kind, "units"].max()) for kind in kinds]
    labels = [f"{kind.replace(' ', chr(10))}\n{n:,}" for kind, n in zip(kinds, counts, strict=True)]
    axis.set_xticks(range(len(kinds)), labels, fontsize=6.5)
    axis.set_xlim(-0.6, len(_KINDS) - 0.4)
    axis.axhline(0, color="#AAAAAA", linewidth=0.8)
    axis.set_ylim(-0.4, 1.02)


def attributes_figure(table: pd.DataFrame) -> Figure:
    """Quartiles of every attribute by class.

    Args:
        table: from `seqtrust.figures.eqtls.labelled`, of the tables of quartiles.
    """
    mine = table[(table["split"] == EVERY) & (table["grouping"] == BY_CLASS)]
    names = list(mine["attribute"].unique())
    parts = list(mine.groupby(["analysis", "score"], sort=False))
    figure = new_figure(1.7 * len(names) + 0.6, 2.3 * len(parts) + 0.5)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(parts), len(names), squeeze=False)
        for row, (_, rows) in zip(axes, parts, strict=True):
            for axis, name in zip(row, names, strict=True):
                _quartiles(axis, rows[rows["attribute"] == name])
                axis.set_title(name)
            row[0].set_ylabel(f"{rows['title'].iloc[0]}:\n{rows['score_label'].iloc[0]}")
    return figure


def _quartiles(axis: Axes, rows: pd.DataFrame) -> None:
    classes = [name for name in CLASSES if (rows["class"] == name).any()]
    for place, name in enumerate(classes):
        row = rows[rows["class"] == name].iloc[0]
        colour = CLASS_COLOURS[name]
        axis.bar(place, row["q75"] - row["q25"], 0.6, bottom=row["q25"], color=colour, alpha=0.5)
        axis.plot([place - 0.3, place + 0.3], [row["median"]] * 2, color=colour, linewidth=1.8)
    labels = [CLASS_LABELS[name].replace("consistently\n", "") for name in classes]
    axis.set_xticks(range(len(classes)), labels, fontsize=6, rotation=30)
    axis.use_sticky_edges = False
    axis.margins(y=0.12)


def states_figure(table: pd.DataFrame) -> Figure:
    """Enrichment of eQTLs of every class in chromatin states, over the states' share of bp.

    Args:
        table: from `seqtrust.figures.eqtls.labelled`, of the tables of states.
    """
    mine = table[(table["split"] == EVERY) & table["class"].isin([EVERY, *CLASSES])]
    parts = list(mine.groupby(["analysis", "score"], sort=False))
    states = list(mine["state"].unique())
    figure = new_figure(max(3.6, 2.9 * len(parts)), 0.42 * len(states) + 1.9)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(parts), squeeze=False, sharey=True, sharex=True)[0]
        for axis, (_, rows) in zip(axes, parts, strict=True):
            classes = [name for name in (EVERY, *ORDER) if (rows["class"] == name).any()]
            offsets = np.linspace(0.27, -0.27, len(classes))
            for offset, name in zip(offsets, classes, strict=True):
                here = rows[(rows["class"] == name) & (rows["enrichment"] > 0)]
                places = [states.index(state) + offset for state in here["state"]]
                errors = [here["enrichment"] - here["low"], here["high"] - here["enrichment"]]
                label = f"{CLASS_LABELS.get(name, 'all eQTLs')}".replace("\n", " ")
                axis.errorbar(here["enrichment"], places, xerr=np.maximum(errors, 0), fmt="o",
                              markersize=3.5, capsize=2, linewidth=1, label=label,
                              color=CLASS_COLOURS.get(name, "#000000"))  # fmt: skip
            axis.axvline(1, color="#AAAAAA", linewidth=0.8)
            axis.set_xscale("log")
            axis.set_yticks(range(len(states)), states)
            axis.set_xlabel("share of eQTLs / share of bp")
            axis.set_title(f"{rows['title'].iloc[0]}:\n{rows['score_label'].iloc[0]}", loc="left")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2,
                      frameon=False, fontsize=7)  # fmt: skip
    return figure
