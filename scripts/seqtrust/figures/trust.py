"""Trust scores, ranked by what they save."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.figures.style import SETTINGS, new_figure

_DOT, _LINE = "#0072B2", "#D55E00"


def trust_rankings(parts: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> pd.DataFrame:
    """The rankings of all entries, with their names and labels in the first columns.

    Args:
        parts: see `seqtrust.uncertainty.trust.trust_table`.
        labels: label of each entry by name, in the same order.
    """
    named = []
    for (name, label), part in zip(labels.items(), parts, strict=True):
        part = part.copy()
        part.insert(0, "label", label)
        part.insert(0, "entry", name)
        named.append(part)
    return pd.concat(named, ignore_index=True)


def trust_figure(table: pd.DataFrame) -> Figure:
    """A panel per entry: area under the risk of kept units by score, the best one on top.

    The dashed line is the risk of all units, which an order at random has on average.

    Args:
        table: from `trust_rankings`.
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
