"""Disagreement of replicates by source of randomness."""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.figures.style import SETTINGS, new_figure
from seqtrust.uncertainty.randomness import WITHIN_REPLICATE

_BAR, _POINT = "#0072B2", "#D55E00"


def randomness_figure(table: pd.DataFrame) -> Figure:
    """Per entry a panel of standard deviations, and where there are calls one of agreement.

    Bars and dots have 95 % bootstrap intervals over loci. The number at a bar is the variance
    over that of the first source. What replicates predict for the noise of a measurement has
    another colour.

    Args:
        table: from `seqtrust.figures.style.labelled_parts`.
    """
    entries = list(table["entry"].unique())
    tallest = table.groupby("entry").size().max()
    figure = new_figure(6.8, len(entries) * (0.28 * tallest + 0.9))
    with mpl.rc_context(SETTINGS):
        columns = 2 if table["agreement"].notna().any() else 1
        rows = figure.subplots(len(entries), columns, squeeze=False)
        for (left, *others), entry in zip(rows, entries, strict=True):
            mine = table[table["entry"] == entry].iloc[::-1]
            left.set_title(mine["label"].iloc[0], loc="left")
            _deviations(left, mine)
            for right in others:
                if mine["agreement"].isna().all():
                    right.set_axis_off()
                    continue
                _agreement(right, mine)
                right.set_ylim(left.get_ylim())
    return figure


def _deviations(axis: Axes, table: pd.DataFrame) -> None:
    errors = [table["sd"] - table["sd_low"], table["sd_high"] - table["sd"]]
    noise = table["part"] == WITHIN_REPLICATE
    colours = [_POINT if one else _BAR for one in noise]
    axis.barh(
        table["source"], table["sd"], xerr=errors, color=colours, ecolor="#333333", height=0.7
    )
    edge = table["sd_high"].max()
    for place, (_, row) in enumerate(table.iterrows()):
        axis.text(row["sd_high"] + 0.02 * edge, place, f"{row['share']:.2f}", va="center")
    axis.set_xlim(0, 1.15 * edge)
    between = "sd between replicates, of one unit"
    axis.set_xlabel(f"{between}\n(orange: of a measurement)" if noise.any() else between)


def _agreement(axis: Axes, table: pd.DataFrame) -> None:
    places = range(len(table))
    for name, colour, label in (
        ("agreement", _BAR, "two replicates say the same sign"),
        ("accuracy", _POINT, "a replicate's sign is right"),
    ):
        errors = [table[name] - table[f"{name}_low"], table[f"{name}_high"] - table[name]]
        axis.errorbar(
            table[name], places, xerr=errors, fmt="o", markersize=4, color=colour, label=label
        )
    axis.set_yticks([])
    axis.set_xlim(0, 1)
    axis.set_xlabel("fraction of units")
    axis.legend(frameon=False, fontsize=6, loc="lower left", bbox_to_anchor=(0, 1.0))
