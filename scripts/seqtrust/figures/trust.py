"""Trust scores, ranked by what they save."""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.figures.style import SETTINGS, new_figure

_DOT, _LINE = "#0072B2", "#D55E00"


def trust_figure(table: pd.DataFrame) -> Figure:
    """A panel per entry: area under the risk of kept units by score, the best one on top.

    The dashed line is the risk of all units, which an order at random has on average.

    Args:
        table: from `seqtrust.figures.style.labelled_parts`.
    """
    entries = list(table["entry"].unique())
    tallest = table.groupby("entry").size().max()
    figure = new_figure(4.6, len(entries) * (0.24 * tallest + 0.9))
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(entries), 1, squeeze=False)[:, 0]
        for axis, entry in zip(axes, entries, strict=True):
            _panel(axis, table[table["entry"] == entry].sort_values("rank", ascending=False))
        axes[-1].set_xlabel("area under the risk of wrong signs (small is good)")
    return figure


def _panel(axis: Axes, table: pd.DataFrame) -> None:
    errors = [table["aurc"] - table["low"], table["high"] - table["aurc"]]
    names = [name.replace("_", " ") for name in table["score"]]
    axis.errorbar(table["aurc"], names, xerr=errors, fmt="o", markersize=4, color=_DOT)
    axis.axvline(table["risk"].iloc[0], color=_LINE, linestyle="--", linewidth=1)
    first = table.iloc[0]
    axis.set_title(f"{first['label']}, {first['units']} units of {first['loci']} loci", loc="left")
    axis.margins(y=0.1)
